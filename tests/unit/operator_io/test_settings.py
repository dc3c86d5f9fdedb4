"""The environment becomes settings, or a sentence."""

import dataclasses

import pytest

from rowlock_operator import settings
from rowlock_operator.settings import BadSetting, Settings, load


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load({}) == Settings()
    assert load({"ROWLOCK_HTTP_PORT": "", "ROWLOCK_LOG_FORMAT": "  "}) == Settings()


def test_every_variable_of_the_contract_is_read() -> None:
    """The names of docs/contracts.md section 6."""
    assert set(settings.variables()) == {
        "POD_NAME",
        "POD_NAMESPACE",
        "ROWLOCK_RELEASE",
        "ROWLOCK_WATCH_NAMESPACES",
        "ROWLOCK_DATABASE_SECRET",
        "ROWLOCK_REDIS_SECRET",
        "ROWLOCK_REDIS_URL_FILE",
        "ROWLOCK_WORKER_IMAGE",
        "ROWLOCK_WORKER_IMAGE_PULL_POLICY",
        "ROWLOCK_WORKER_RESOURCES",
        "ROWLOCK_WORKER_TMP_SIZE",
        "ROWLOCK_COMMON_LABELS",
        "ROWLOCK_POD_LABELS",
        "ROWLOCK_POD_ANNOTATIONS",
        "ROWLOCK_HTTP_PORT",
        "ROWLOCK_LOG_FORMAT",
        "ROWLOCK_LEASE_SECONDS",
        "ROWLOCK_POLL_BUSY_MS",
        "ROWLOCK_POLL_IDLE_MS",
        "ROWLOCK_ENCRYPTION_KEYS_FILE",
        "ROWLOCK_QUEUE_WRITE_MIB",
        "ROWLOCK_TOTAL_WRITE_MIB",
    }


def test_values_arrive_typed() -> None:
    loaded = load(
        {
            "POD_NAMESPACE": "ops",
            "ROWLOCK_HTTP_PORT": "9000",
            "ROWLOCK_POLL_BUSY_MS": "5",
            "ROWLOCK_LEASE_SECONDS": "30",
        }
    )
    assert loaded.server.http_port == 9000
    assert loaded.poll.busy_ms == 5.0
    assert (
        loaded.leader.lease_seconds,
        loaded.leader.renew_deadline_seconds,
        loaded.leader.retry_seconds,
    ) == (30, 20, 4)


@pytest.mark.parametrize(
    ("text", "namespaces"),
    [("", ("ops",)), ("a", ("a",)), ("a, b,,a", ("a", "b")), ("*", (None,)), ("a,*", (None,))],
    ids=["empty is our own", "one", "several, trimmed, once each", "all", "all swallows the rest"],
)
def test_watched_namespaces(text: str, namespaces: tuple[str | None, ...]) -> None:
    assert load({"POD_NAMESPACE": "ops", "ROWLOCK_WATCH_NAMESPACES": text}).watched_namespaces == namespaces


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("ROWLOCK_HTTP_PORT", "http", "a port from 1 to 65535"),
        ("ROWLOCK_HTTP_PORT", "0", "a port from 1 to 65535"),
        ("ROWLOCK_HTTP_PORT", "70000", "a port from 1 to 65535"),
        ("ROWLOCK_LOG_FORMAT", "xml", "one of json, text"),
        ("ROWLOCK_LEASE_SECONDS", "1", "a number of seconds from 4 to 300"),
        ("ROWLOCK_LEASE_SECONDS", "nan", "a number of seconds from 4 to 300"),
        ("ROWLOCK_POLL_IDLE_MS", "soon", "a number of milliseconds from 1 to 60000"),
        ("ROWLOCK_WORKER_IMAGE_PULL_POLICY", "Sometimes", "one of IfNotPresent, Always, Never"),
        ("ROWLOCK_WORKER_RESOURCES", '{"limit": {}}', "requests and limits as a JSON object"),
        (
            "ROWLOCK_WORKER_RESOURCES",
            '{"limits": {"memory": "much"}}',
            "requests and limits as a JSON object",
        ),
        ("ROWLOCK_WORKER_RESOURCES", "[]", "requests and limits as a JSON object"),
        ("ROWLOCK_WORKER_TMP_SIZE", "1 GB", "a quantity such as 512Mi or 1Gi"),
        ("ROWLOCK_COMMON_LABELS", "team=shop", "labels as a JSON object"),
        ("ROWLOCK_POD_LABELS", '{"n": 1}', "labels as a JSON object"),
        ("ROWLOCK_POD_ANNOTATIONS", "null", "annotations as a JSON object"),
    ],
)
def test_a_bad_value_is_told_with_its_variable_and_what_it_may_be(
    variable: str, text: str, words: str
) -> None:
    with pytest.raises(BadSetting) as bad:
        load({variable: text})
    assert str(bad.value) == f"the environment variable {variable} is {text!r}, but must be {words}"


def test_describe_shows_every_variable() -> None:
    described = load({"ROWLOCK_WATCH_NAMESPACES": "a,b"}).describe()
    assert set(described) == set(settings.variables())
    assert described["ROWLOCK_WATCH_NAMESPACES"] == "a,b"
    assert described["ROWLOCK_POLL_BUSY_MS"] == "20"


def test_a_secret_is_neither_described_nor_shown_in_an_error() -> None:
    @dataclasses.dataclass(frozen=True)
    class Group:
        password: str = settings._env("X_PASSWORD", "", settings._one_of("right"), secret=True)
        """A secret."""

    with pytest.raises(BadSetting) as bad:
        settings._load_group(Group, {"X_PASSWORD": "hunter2"})
    assert "hunter2" not in str(bad.value)

    @dataclasses.dataclass(frozen=True)
    class WithSecret(Settings):
        worker: Group = Group("hunter2")  # type: ignore[assignment]

    assert WithSecret().describe()["X_PASSWORD"] == "(set)"
