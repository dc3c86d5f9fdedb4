"""What is typed, and where the command goes with it: pure."""

from pathlib import Path
from types import SimpleNamespace as Thing

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_cli.commands.runs.enqueue import parse_arguments
from rowlock_cli.errors import Failed
from rowlock_cli.kube.operator_pod import choose_pod
from rowlock_cli.kube.service_account import secret_url
from rowlock_client import AddressUnusable
from rowlock_client.connection import address_of_environment
from rowlock_client.runs import id_bounds


@given(st.uuids(), st.integers(1, 36))
def test_an_id_lies_within_the_bounds_of_any_of_its_beginnings(run_id: object, length: int) -> None:
    low, high = id_bounds(str(run_id)[:length])
    assert low <= str(run_id).replace("-", "") <= high
    assert len(low) == len(high) == 32


@pytest.mark.parametrize("beginning", ["", "xyz", "-", "0" * 33, "01%"])
def test_what_begins_no_id_is_refused(beginning: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        id_bounds(beginning)


def test_a_single_argument_wins_over_the_object() -> None:
    assert parse_arguments(("a=1", "b=x=y", "c=", "d=null"), '{"a": 0, "z": []}') == {
        "a": 1,
        "b": "x=y",
        "c": "",
        "d": None,
        "z": [],
    }


@pytest.mark.parametrize(("pairs", "text"), [(("a",), None), (("=1",), None), ((), "[]"), ((), "{")])
def test_what_is_no_argument_is_wrong_usage(pairs: tuple[str, ...], text: str | None) -> None:
    with pytest.raises(click.UsageError):
        parse_arguments(pairs, text)


def test_the_file_wins_over_the_plain_address_and_an_unreadable_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://file\n")
    assert (
        address_of_environment(
            {"ROWLOCK_DATABASE_URL_FILE": str(tmp_path / "url"), "ROWLOCK_DATABASE_URL": "postgresql://plain"}
        )
        == "postgresql://file"
    )
    assert address_of_environment({"ROWLOCK_DATABASE_URL": "postgresql://plain"}) == "postgresql://plain"
    assert address_of_environment({}) is None
    with pytest.raises(AddressUnusable, match="ROWLOCK_DATABASE_URL_FILE cannot be read"):
        address_of_environment(
            {
                "ROWLOCK_DATABASE_URL_FILE": str(tmp_path / "none"),
                "ROWLOCK_DATABASE_URL": "postgresql://plain",
            }
        )


def test_outside_a_pod_there_is_no_secret_to_read(tmp_path: Path) -> None:
    environment = {
        "ROWLOCK_DATABASE_SECRET": "db",
        "POD_NAMESPACE": "demo",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
    }
    assert secret_url(environment, tmp_path) is None
    (tmp_path / "token").write_text("a token")
    assert secret_url({}, tmp_path) is None


def pod(name: str, phase: str = "Running", ready: str = "True") -> Thing:
    condition = Thing(type="Ready", status=ready)
    return Thing(
        metadata=Thing(name=name),
        spec=Thing(containers=[Thing(name="operator")]),
        status=Thing(phase=phase, conditions=[condition]),
    )


def test_a_ready_operator_pod_is_chosen() -> None:
    assert choose_pod([pod("c", ready="False"), pod("b"), pod("a", phase="Pending")], "demo") == (
        "b",
        "operator",
    )


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([], "there is no Rowlock operator in the namespace demo"),
        ([pod("a", ready="False")], "is ready: `kubectl -n demo"),
    ],
)
def test_without_a_ready_operator_the_reason_and_the_remedy_are_said(pods: list[Thing], said: str) -> None:
    with pytest.raises(Failed, match=said):
        choose_pod(pods, "demo")
