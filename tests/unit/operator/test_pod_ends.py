"""What pods of workers say of their ends, read from the files in pod_statuses; each says what is wanted."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rowlock_operator.decide.pod_ends import told_ends
from rowlock_operator.observed.pods import OwnedPod, PodSeen, Termination, observe_owned_pod, observe_pod

STATUSES = sorted((Path(__file__).parent / "pod_statuses").glob("*.yaml"))
NOW = datetime(2026, 1, 1, 12, 5, tzinfo=UTC)


def wanted(file: Path) -> list[str]:
    line = next(line for line in file.read_text().splitlines() if line.startswith("# wanted: "))
    return [word.strip() for word in line.removeprefix("# wanted: ").split(",", 3)]


@pytest.mark.parametrize("file", STATUSES, ids=[file.stem for file in STATUSES])
def test_what_a_pod_said_is_told_in_its_own_words_with_a_remedy(file: Path) -> None:
    manifest: dict[str, Any] = yaml.safe_load(file.read_text())
    told = told_ends(observe_pod(manifest), NOW)
    if wanted(file) == ["nothing"]:
        assert told == ()
        return
    container, failure_class, reason, words = wanted(file)
    assert len(told) == 1, told
    end = told[0].end
    assert (told[0].container, end.failure_class, end.reason) == (
        container.removeprefix("container").strip(),
        failure_class,
        reason,
    )
    assert words in end.message
    if reason != "RunnerFailed":
        assert any(remedy in end.message for remedy in ("It is tried again", "limits.memory")), end.message


def test_a_container_that_has_just_ended_in_a_pod_that_goes_on_is_told_once_under_its_own_name() -> None:
    """First it stands in state, and once it is started again in lastState."""
    killed = Termination(exit_code=137, reason="OOMKilled", container_id="containerd://1")
    now, later = (
        PodSeen(name="p", phase="Running", terminated=killed, container_id="containerd://1"),
        PodSeen(
            name="p",
            phase="Running",
            last_terminated=killed,
            running_since=NOW,
            restarts=1,
            container_id="containerd://2",
        ),
    )
    assert told_ends(now, NOW) == told_ends(later, NOW) != ()


def test_a_pod_that_nobody_confirms_to_have_ended_is_lost_with_its_node() -> None:
    ending = PodSeen(
        name="p",
        phase="Running",
        node="worker-7",
        running_since=NOW,
        deleting=True,
        end_asked=True,
        deleting_at=NOW,
    )
    assert told_ends(ending, NOW + timedelta(seconds=59)) == ()
    (told,) = told_ends(ending, NOW + timedelta(seconds=60))
    assert told.end.reason == "NodeLost"


@pytest.mark.parametrize(
    ("name", "labels", "host"),
    [
        ("orders-worker-7d4b9c-x2x4q", {}, "orders-worker-7d4b9c-x2x4q"),
        ("a" * 62 + ".b-worker", {}, "a" * 62),
        ("a" * 80, {}, "a" * 63),
        ("orders-0198", {"rowlock.dev/run": "0198-ab", "rowlock.dev/attempt": "3"}, "once 0198-ab-3"),
    ],
)
def test_a_pod_is_known_by_the_name_that_its_runners_give(
    name: str, labels: dict[str, str], host: str
) -> None:
    owned = observe_owned_pod(
        {"metadata": {"name": name, "labels": {"rowlock.dev/work-queue": "orders", **labels}}}
    )
    assert isinstance(owned, OwnedPod)
    assert owned.host == host
