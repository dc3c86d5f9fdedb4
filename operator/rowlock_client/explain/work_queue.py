"""Says in sentences why a queue moves or does not, and what to do about it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rowlock_client.explain.run import deleted_sentence, limit_values, resume_command
from rowlock_client.text import age, moment

LATELY_SECONDS = 60
SILENT_SECONDS = 15.0
LIMITS_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class HoldingLimit:
    """A limit that holds runs of the queue back."""

    name: str
    runs: int
    max_running: int | None
    running: int | None
    rate: float | None
    burst: float | None
    wake_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class QueueFacts:
    """One queue at one moment. `not_due` of the waiting ones have a later time (`retrying` of them after a
    failure); `events` the claimer has yet to read.
    """

    name: str
    mode: str
    suspended: bool
    now: datetime
    waiting: int
    ready: int
    blocked: int
    claimed: int
    running: int
    not_due: int
    retrying: int
    next_due: datetime | None
    oldest_due: datetime | None
    oldest_id: str | None
    claimed_since: datetime | None
    events: int
    succeeded_lately: int
    failed_lately: int
    dead: int
    runners_alive: int
    runners_of_queue: int
    operator_visible: bool
    operator_seconds: float | None
    limits: tuple[HoldingLimit, ...] = ()
    deleted: bool = False
    expected: bool = False  # no WorkQueue of that name was ever seen
    troubles: Sequence[str] = ()  # what keeps the operator's duties from their work
    # of runs that have not started, and that the queue does not run; some of them
    unlisted_tasks: Sequence[str] = ()


def explain_queue(facts: QueueFacts) -> list[str]:
    """Sentences: how it stands, what holds it up (the strongest reason first), what else to know."""
    head = (
        f"The queue {facts.name} (mode {facts.mode}) has {facts.waiting} waiting, {facts.claimed} claimed and"
        f" {facts.running} running."
    )
    reasons = list(_reasons(facts))
    return [head, *reasons, *_pace(facts), *_oldest(facts), *_dead(facts)]


def _reasons(facts: QueueFacts) -> Iterator[str]:
    if facts.deleted:
        yield deleted_sentence(facts.name, expected=facts.expected)
    elif facts.suspended:
        yield f"It is suspended: nothing of it starts until `{resume_command(facts.name)}`."
    if _operator_silent(facts):
        since = "" if facts.operator_seconds is None else f" for {age(facts.operator_seconds)}"
        yield (
            f"No operator speaks to this database{since}: nothing is claimed, in any queue; `rowlock health`"
            " says more."
        )
    yield from facts.troubles
    if not facts.waiting and not facts.claimed:
        yield (
            "Nothing waits, so there is nothing to start."
            if facts.running
            else "It is empty: nothing waits and nothing runs."
        )
    for task in facts.unlisted_tasks:
        yield (
            f"It has runs of the task {task}, which is not in spec.tasks any more: they fail as class input"
            " once they start; add it, or cancel them."
        )
    yield from _not_due(facts)
    for limit in facts.limits:
        held = f"{limit.runs} {'run' if limit.runs == 1 else 'runs'}"
        values = limit_values(
            limit.max_running, limit.running, limit.rate, limit.burst, limit.wake_at, facts.now
        )
        yield f"The limit {limit.name} holds back {held}: {values}."
    if (more := facts.blocked - sum(limit.runs for limit in facts.limits)) > 0:
        yield f"Other limits hold back {more} more."
    yield from _not_started(facts)
    if facts.events and _operator_silent(facts):
        yield (
            f"{facts.events} {'change of it is' if facts.events == 1 else 'changes of it are'} not read by"
            " the claimer yet."
        )
    if facts.ready and not facts.suspended and not _operator_silent(facts):
        yield (
            f"{facts.ready} {'is' if facts.ready == 1 else 'are'} ready: new ones are claimed as claimed and"
            " running ones end, or once the operator takes its next look (within a second)."
        )


def _not_due(facts: QueueFacts) -> Iterator[str]:
    if not facts.not_due or not facts.next_due:
        return
    first = f"{moment(facts.next_due)} (in {age((facts.next_due - facts.now).total_seconds())})"
    kind = (
        "for their retry"
        if facts.retrying == facts.not_due
        else f"for their time ({facts.retrying} for a retry)"
        if facts.retrying
        else "for their time"
    )
    if facts.oldest_due is None:
        yield f"All of the waiting ones wait {kind}: the first is due at {first}."
    elif facts.not_due == 1:
        yield f"1 of the waiting ones waits {kind.replace('their', 'its')}, which is {first}."
    else:
        yield f"{facts.not_due} of the waiting ones wait {kind}: the first is due at {first}."


def _not_started(facts: QueueFacts) -> Iterator[str]:
    if not facts.claimed:
        return
    since = (
        f" (the oldest for {age((facts.now - facts.claimed_since).total_seconds())})"
        if facts.claimed_since
        else ""
    )
    namespace, _, name = facts.name.partition("/")
    look = f"`kubectl -n {namespace} get workqueue,pods -l rowlock.dev/work-queue={name}`"
    if facts.mode == "Jobs":
        yield f"{facts.claimed} wait for the pod of their Kubernetes Job{since}: {look} shows the pods."
    elif not facts.runners_alive:
        yield (
            f"{facts.claimed} wait in Redis{since}, and no worker of any queue holds a lease: {look} says"
            " why."
        )
    elif not facts.runners_of_queue:
        yield (
            f"{facts.claimed} wait in Redis{since}, and no worker of this queue's Deployment holds a lease:"
            f" {look} says why."
        )
    else:
        workers = facts.runners_of_queue
        yield (
            f"{facts.claimed} wait in Redis{since} for one of its {workers}"
            f" {'worker' if workers == 1 else 'workers'}."
        )


def _pace(facts: QueueFacts) -> Iterator[str]:
    lately = facts.succeeded_lately + facts.failed_lately
    if lately:
        bad = f", {facts.failed_lately} of them badly" if facts.failed_lately else ""
        yield f"It moves: {lately} {'run' if lately == 1 else 'runs'} ended in the last minute{bad}."
    elif facts.waiting or facts.claimed or facts.running:
        yield "No run of it ended in the last minute."


def _oldest(facts: QueueFacts) -> Iterator[str]:
    if facts.oldest_due and facts.oldest_id:
        waits = age((facts.now - facts.oldest_due).total_seconds())
        yield f"The oldest due run waits for {waits}: `rowlock why {facts.oldest_id}`."


def _dead(facts: QueueFacts) -> Iterator[str]:
    if facts.dead:
        runs = "1 run waits" if facts.dead == 1 else f"{facts.dead} runs wait"
        yield f"{runs} for a person (dead or unknown): `rowlock dead-letters --queue {facts.name}`."


def _operator_silent(facts: QueueFacts) -> bool:
    return facts.operator_visible and (
        facts.operator_seconds is None or facts.operator_seconds > SILENT_SECONDS
    )
