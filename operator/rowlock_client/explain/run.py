"""Says in sentences why a run is where it is, and what to do about it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rowlock_client.runs import RunRow
from rowlock_client.text import age, moment, progress_text

COUNTED_TO = 1_000
_LEFT_ALONE = {
    "changed": "it no longer said what Rowlock had written (its task or its user had set it)",
    "gone": "it was not there any more",
    "newer": "it had been taken again meanwhile, and a newer run has its word",
}
_CLASSES = {
    "infra": "infra (the machine or the cluster, not the task)",
    "app": "app (the task itself)",
    "site": "site (an outside system refused or was away)",
    "input": "input (the row itself is wrong, so no try would help)",
}


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What stands between a pending run and its start; counts stop at COUNTED_TO."""

    ahead_in_line: int
    ahead_by_priority: int
    other_lines: int
    limit_name: str | None
    max_running: int | None
    running: int | None
    rate: float | None
    burst: float | None
    wake_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The run's queue, and who holds the run."""

    mode: str
    suspended: bool
    retry: dict[str, Any]
    waiting: int
    claimed: int
    running: int
    runner: int | None
    runner_name: str | None
    lease_until: datetime | None
    runner_dead: bool | None
    runners_alive: int
    deleted: bool = False
    expected: bool = False  # no WorkQueue of that name was ever seen
    tasks: Sequence[str] | None = None  # what the queue runs; None = not known
    left_alone: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """`surroundings` and `waiting` are None where the login may read only the view (or the run is not
    pending).
    """

    run: RunRow
    now: datetime
    surroundings: Surroundings | None = None
    waiting: Waiting | None = None


def explain_run(facts: RunFacts) -> list[str]:
    """Sentences, the most important first."""
    run = facts.run
    where = (
        f"of {run.source} for the row {run.source_key}"
        if run.source
        else f"with the key {run.source_key}"
        if run.source_key
        else ""
    )
    head = (
        f"Run {run.id} {where}".rstrip()
        + f": task {run.task} in {run.queue}, attempt {run.attempt}, is {run.state}."
    )
    tell = {
        "pending": _pending,
        "queued": _queued,
        "launching": _launching,
        "running": _running,
        "succeeded": _succeeded,
        "canceled": _canceled,
    }
    sentences = [head, *tell.get(run.state, _stopped)(facts)]
    if facts.surroundings and facts.surroundings.left_alone:
        sentences.append(f"The row's status was left alone: {_LEFT_ALONE[facts.surroundings.left_alone]}.")
    if run.state in ("pending", "queued", "launching", "running"):
        sentences += [*_not_listed(facts), *_last_failure(facts)]
        if facts.surroundings is None:
            sentences.append(
                "This login may read only the view rowlock.run, so the position in the queue, limits and"
                " leases are not shown."
            )
    return sentences


def _pending(facts: RunFacts) -> Iterator[str]:
    run, around, waiting = facts.run, facts.surroundings, facts.waiting
    if around and around.deleted:
        yield deleted_sentence(run.queue, expected=around.expected)
    elif around and around.suspended:
        yield f"The queue is suspended: nothing of it starts until `{resume_command(run.queue)}`."
    if run.due and run.due > facts.now:
        wait = f"{moment(run.due)} (in {age((run.due - facts.now).total_seconds())})"
        yield f"It waits for its retry until {wait}." if run.failure else f"It is not due before {wait}."
        return
    if not waiting:
        return
    if waiting.limit_name:
        yield _limit(waiting, facts.now)
    ahead = _counted(waiting.ahead_in_line)
    line = f"the line of {run.fairness_key}" if run.fairness_key else "its line"
    yield (
        f"It is the next in {line}."
        if not waiting.ahead_in_line
        else f"{ahead} {_runs(waiting.ahead_in_line)} ahead of it in {line}."
    )
    if waiting.ahead_by_priority:
        first = waiting.ahead_by_priority
        yield (
            f"{_counted(first)} {_runs(first)} of a higher priority than {run.priority} and"
            f" {'goes' if first == 1 else 'go'} first."
        )
    if waiting.other_lines:
        lines = waiting.other_lines
        yield (
            f"{_counted(lines)} other {'line takes turns' if lines == 1 else 'lines take turns'} with it at"
            " the same priority."
        )
    if around and not around.suspended and not waiting.limit_name:
        yield (
            f"The queue has {around.claimed} claimed and {around.running} running: new ones are claimed as"
            " those end, or once the operator takes its next look (within a second)."
        )


def _limit(waiting: Waiting, now: datetime) -> str:
    values = limit_values(
        waiting.max_running, waiting.running, waiting.rate, waiting.burst, waiting.wake_at, now
    )
    return f"It is held back by the limit {waiting.limit_name}: {values}."


def limit_values(
    max_running: int | None,
    running: int | None,
    rate: float | None,
    burst: float | None,
    wake_at: datetime | None,
    now: datetime,
) -> str:
    """What a limit allows and has given, as the end of a sentence."""
    parts = []
    if max_running is not None:
        parts.append(f"{running} of at most {max_running} are running")
    if rate is not None:
        parts.append(f"{rate:g} starts a second are allowed (burst {burst:g})")
    if wake_at:
        parts.append(f"the next look is in {age((wake_at - now).total_seconds())}")
    return ", ".join(parts) or "its values are not known yet"


def _queued(facts: RunFacts) -> Iterator[str]:
    since = (
        f" since {age((facts.now - facts.run.claimed_at).total_seconds())}" if facts.run.claimed_at else ""
    )
    yield f"It is claimed{since} and waits in Redis for a free worker."
    around = facts.surroundings
    if around and around.runners_alive == 0:
        namespace, _, name = facts.run.queue.partition("/")
        look = f"kubectl -n {namespace} get deployment,pods -l rowlock.dev/work-queue={name}"
        yield (
            f"No worker of any queue holds a lease now: look at the conditions of the WorkQueue {name}, and"
            f" at `{look}`."
        )
    elif around:
        yield (
            f"Of its queue {around.running} are running and {around.claimed} are claimed, this one included."
        )


def _launching(facts: RunFacts) -> Iterator[str]:
    run = facts.run
    since = f" since {age((facts.now - run.claimed_at).total_seconds())}" if run.claimed_at else ""
    yield (
        f"It is claimed{since}; its Kubernetes Job exists or is being made, and its pod has not started:"
        f" `{_kube_job(run)}`."
    )
    if run.attempt > 1:
        yield (
            "Under contract Exit it waits for the pod of its earlier attempt to be gone, too: `kubectl get"
            " pods` shows one that is Terminating."
        )


def _running(facts: RunFacts) -> Iterator[str]:
    run, around = facts.run, facts.surroundings
    if run.started_at:
        yield f"It started {age((facts.now - run.started_at).total_seconds())} ago" + (
            f" and reports {shown}." if (shown := progress_text(run.progress)) else "."
        )
    if around and around.runner == 0:
        yield (
            "A Kubernetes Job of its own runs it: "
            + f"`kubectl -n {run.queue.partition('/')[0]} get jobs,pods -l rowlock.dev/run={run.id}`."
        )
    elif around and around.runner_name and around.lease_until:
        left = (around.lease_until - facts.now).total_seconds()
        if left > 0 and not around.runner_dead:
            yield (
                f"The worker {around.runner_name} runs it; its lease holds for {left:.0f} s more and is"
                " renewed every few seconds."
            )
        else:
            yield (
                f"The worker {around.runner_name} has not renewed its lease for {age(-left)}: the next sweep"
                " takes the run back."
            )
    elif around:
        yield "Its worker is gone: the next sweep (within a minute) takes the run back."
    if run.effect:
        yield (
            f"It has begun an effect outside ({run.effect}) that must not happen twice: if its worker is"
            " lost, it ends as unknown."
        )
    if run.cancel_requested:
        yield (
            "It was asked to end: its worker is told at the next renewal and stops it by force some seconds"
            " later."
        )


def _succeeded(facts: RunFacts) -> Iterator[str]:
    run = facts.run
    if run.started_at and run.finished_at:
        yield (
            f"It took {max(0.0, (run.finished_at - run.started_at).total_seconds()):.1f} s and ended at"
            f" {moment(run.finished_at)}."
        )
    if run.attempt > 1:
        yield f"It took {run.attempt} attempts."


def _canceled(facts: RunFacts) -> Iterator[str]:
    reason = _text(facts.run, "message") or _text(facts.run, "reason") or "no reason given"
    yield f"It was canceled{_ended(facts)}: {reason}."
    yield f"To run it after all: `rowlock requeue {facts.run.id}`."


def _stopped(facts: RunFacts) -> Iterator[str]:
    run = facts.run
    if run.state == "unknown":
        effect = f" ({run.effect})" if run.effect else ""
        yield f"It had begun an effect outside{effect} when its worker was lost{_ended(facts)}."
        yield "Whether it happened is not known, so it is not repeated by itself."
        yield f"Look whether it happened. If it did not: `rowlock requeue {run.id}`."
        return
    failure_class = _text(run, "class")
    yield f"It failed for good{_ended(facts)}: {_reason(run)}."
    if failure_class:
        yield (
            f"The failure is of class {_CLASSES.get(failure_class, failure_class)}; failures so far:"
            f" {_budgets(facts)}."
        )
    yield f"After the cause is mended: `rowlock requeue {run.id}`."


def _not_listed(facts: RunFacts) -> Iterator[str]:
    """The list was shortened, or the worker is older than it: the fence would find that out."""
    run, tasks = facts.run, facts.surroundings.tasks if facts.surroundings else None
    if tasks and run.task not in tasks and run.state != "running":
        yield (
            f"The task {run.task} is not in spec.tasks of its WorkQueue: it fails there as class input"
            " (TaskNotAllowed) once it starts; add it there, or cancel the run."
        )


def _last_failure(facts: RunFacts) -> Iterator[str]:
    run = facts.run
    if isinstance(run.failure, Mapping) and run.failure.get("started") is False:
        yield (
            f"Its last attempt did not start, which uses no try: {_reason(run)}. Failures so far:"
            f" {_budgets(facts)}."
        )
    elif run.failure:
        yield f"Its last attempt failed: {_reason(run)}. Failures so far: {_budgets(facts)}."


def _budgets(facts: RunFacts) -> str:
    run = facts.run
    retry = facts.surroundings.retry if facts.surroundings else {}
    parts = []
    for name, tries in (("infra", run.infra_tries), ("app", run.app_tries), ("site", run.site_tries)):
        limit = (retry.get(name) or {}).get("limit")
        if tries:
            parts.append(f"{name} {tries}" + (f" ({limit} retries allowed)" if limit is not None else ""))
    return ", ".join(parts) or "none that count"


def _reason(run: RunRow) -> str:
    parts = [_text(run, "reason"), _text(run, "message").rstrip(".")]
    return ": ".join(part for part in parts if part) or "no reason was recorded"


def _text(run: RunRow, key: str) -> str:
    return run.failed_with(key)


def _ended(facts: RunFacts) -> str:
    ended = facts.run.finished_at
    return f" {age((facts.now - ended).total_seconds())} ago" if ended else ""


def _kube_job(run: RunRow) -> str:
    return f"kubectl -n {run.queue.partition('/')[0]} get jobs,pods -l rowlock.dev/run={run.id}"


def deleted_sentence(queue: str, *, expected: bool = False) -> str:
    """What becomes of the runs of a WorkQueue that is gone, or has not come yet."""
    if expected:
        return (
            f"Its WorkQueue does not exist yet: create {queue}, and what waits starts; `rowlock cancel"
            f" --queue {queue} --all-waiting` ends it. What nobody asks for any more is canceled after 30"
            " days."
        )
    return (
        "Its WorkQueue is deleted: what waits goes on once one of that name is there again, or is ended by"
        f" `rowlock cancel --queue {queue} --all-waiting`; dead ones are forgotten by `rowlock delete-runs"
        f" --queue {queue}`."
    )


def resume_command(queue: str) -> str:
    """What lets a suspended queue go on."""
    namespace, _, name = queue.partition("/")
    return f'kubectl -n {namespace} patch workqueue {name} --type=merge -p \'{{"spec":{{"suspend":false}}}}\''


def _counted(count: int) -> str:
    return f"{COUNTED_TO:,} or more" if count >= COUNTED_TO else str(count)


def _runs(count: int) -> str:
    return "run is" if count == 1 else "runs are"
