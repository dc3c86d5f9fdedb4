"""The environment of a worker pod (docs/contracts.md section 3)."""

from pathlib import Path

import pytest

from rowlock_jobs.errors import SettingsError
from rowlock_jobs.settings import load_settings, require_rq_keys

LEAST = {"ROWLOCK_DATABASE_URL": "postgresql://user:hidden@host/db", "ROWLOCK_QUEUE": "demo/jobs"}


def test_defaults_are_those_of_the_contract() -> None:
    settings = load_settings(LEAST)
    limits = settings.limits
    assert (limits.soft_seconds, limits.hard_seconds, limits.tasks_per_child) == (300, 600, 100)
    assert (settings.processes, settings.grace_seconds, settings.log_format) == (1, 600, "json")
    assert settings.alive_file == Path("/tmp/rowlock-alive")
    assert (settings.lease.lease_seconds, settings.lease.renew_seconds) == (10, 3)


def test_grace_defaults_to_the_hard_limit() -> None:
    assert load_settings(LEAST | {"ROWLOCK_HARD_SECONDS": "900"}).grace_seconds == 900


def test_lists_are_split_and_trimmed() -> None:
    settings = load_settings(LEAST | {"ROWLOCK_IMPORTS": "a.b, c,", "ROWLOCK_TASKS": "x ,y"})
    assert (settings.imports, settings.tasks) == (("a.b", "c"), ("x", "y"))


def test_the_file_wins_over_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://from-file/db\n")
    assert (
        load_settings(LEAST | {"ROWLOCK_DATABASE_URL_FILE": str(file)}).database_url
        == "postgresql://from-file/db"
    )


def test_the_rq_queue_has_a_dot_for_the_slash() -> None:
    assert load_settings(LEAST).rq_queue == "demo.jobs"


def test_settings_can_be_shown_without_their_secrets() -> None:
    assert "hidden" not in repr(load_settings(LEAST | {"ROWLOCK_REDIS_URL": "redis://:hidden@host"}))


@pytest.mark.parametrize(
    ("change", "variable"),
    [
        ({"ROWLOCK_DATABASE_URL": ""}, "ROWLOCK_DATABASE_URL"),
        ({"ROWLOCK_DATABASE_URL_FILE": "/no/such/file"}, "ROWLOCK_DATABASE_URL_FILE"),
        ({"ROWLOCK_QUEUE": "jobs"}, "ROWLOCK_QUEUE"),
        ({"ROWLOCK_QUEUE": "a/b/c"}, "ROWLOCK_QUEUE"),
        ({"ROWLOCK_SOFT_SECONDS": "700"}, "ROWLOCK_SOFT_SECONDS"),
        ({"ROWLOCK_HARD_SECONDS": "soon"}, "ROWLOCK_HARD_SECONDS"),
        ({"ROWLOCK_HARD_SECONDS": "nan"}, "ROWLOCK_HARD_SECONDS"),
        ({"ROWLOCK_PROCESSES": "0"}, "ROWLOCK_PROCESSES"),
        ({"ROWLOCK_LOG_FORMAT": "xml"}, "ROWLOCK_LOG_FORMAT"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load_settings(LEAST | change)


def test_only_the_keys_that_the_operator_writes_are_accepted() -> None:
    require_rq_keys({})
    require_rq_keys({"RQ_KEY_PREFIX": "rq"})
    for prefix in ("acme", "", "rq:", "RQ", "{rq}", "a b"):
        with pytest.raises(SettingsError, match="^RQ_KEY_PREFIX is "):
            require_rq_keys({"RQ_KEY_PREFIX": prefix})
