"""Runs and their surroundings at a fixed time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rowlock_client.explain.run import RunFacts, Surroundings, Waiting
from rowlock_client.explain.work_queue import QueueFacts
from rowlock_client.health import Vitals
from rowlock_client.runs import RunRow
from rowlock_client.stats import Versions

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
RUN = RunRow(
    id="019513a2-7c00-7abc-8def-0123456789ab",
    queue="demo/documents",
    task="process_document",
    state="pending",
    attempt=1,
    source=None,
    source_key=None,
    priority=0,
    fairness_key="",
    due=NOW,
    claimed_at=None,
    started_at=None,
    finished_at=None,
    created_at=NOW - timedelta(seconds=90),
    progress=None,
    result=None,
    failure=None,
    cancel_requested=False,
    effect=None,
    infra_tries=0,
    app_tries=0,
    site_tries=0,
)
AROUND = Surroundings(
    mode="Workers",
    suspended=False,
    retry={"app": {"limit": 3}},
    waiting=5,
    claimed=2,
    running=4,
    runner=None,
    runner_name=None,
    lease_until=None,
    runner_dead=None,
    runners_alive=4,
)
LINE = Waiting(
    ahead_in_line=0,
    ahead_by_priority=0,
    other_lines=0,
    limit_name=None,
    max_running=None,
    running=None,
    rate=None,
    burst=None,
    wake_at=None,
)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def run(**changes: Any) -> RunRow:
    return replace(RUN, **changes)


def facts(
    changes: dict[str, Any] | None = None,
    *,
    around: Surroundings | None = AROUND,
    waiting: Waiting | None = None,
) -> RunFacts:
    return RunFacts(run=run(**changes or {}), now=NOW, surroundings=around, waiting=waiting)


QUEUE = QueueFacts(
    name="demo/documents",
    mode="Workers",
    suspended=False,
    now=NOW,
    waiting=0,
    ready=0,
    blocked=0,
    claimed=0,
    running=0,
    not_due=0,
    retrying=0,
    next_due=None,
    oldest_due=None,
    oldest_id=None,
    claimed_since=None,
    events=0,
    succeeded_lately=0,
    failed_lately=0,
    dead=0,
    runners_alive=1,
    runners_of_queue=1,
    operator_visible=True,
    operator_seconds=0.1,
)
VERSIONS = Versions(
    command="0.1.0",
    database="rowlock",
    login="rowlock",
    address=None,
    postgresql="15.2",
    applied=("0001_a", "0002_b"),
    expected=("0001_a", "0002_b"),
    missing=(),
    newer=(),
)
VITALS = Vitals(
    answer_seconds=0.002,
    versions=VERSIONS,
    dead=0,
    runners_alive=2,
    operator_visible=True,
    operator_seconds=0.4,
    days_ahead=8,
)
