"""A dispatcher that kills itself at named steps, as `python -m tests.services.crashing_dispatcher SETTINGS`
(one JSON object).

The process is a supervisor without a thread or a connection: it forks one dispatcher after the other, each a
fresh life with nothing remembered, and writes the step at which each of them died. SIGTERM ends it and the
dispatcher of the moment.
"""

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rowlock_operator.dispatch.claimer import ClaimerSettings
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.dispatch.feeder import FeederSettings
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.sweeper import SweeperSettings
from rowlock_operator.errors import RetryLater
from rowlock_operator.rows.ledger import Ledger
from rowlock_operator.rows.source import Source
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.services.rows import QUEUE, order_plan

# Step -> (agent, what it does, before or after, what must have been done for the step to be one). A look that
# finds nothing is no step: it would use up the deaths that are meant for the moments in which something is
# half done.
STEPS: dict[str, tuple[type, str, str, Callable[[Any], bool]]] = {
    "before_claim_of_rows": (Source, "claim", "before", lambda rows: True),
    "after_claim_of_rows": (Source, "claim", "after", lambda rows: rows > 0),
    "before_round": (Ledger, "round", "before", lambda given: True),
    "after_round_before_push": (Ledger, "round", "after", lambda given: bool(given.claimed)),
    "before_push": (RedisQueues, "push", "before", lambda pushed: True),
    "after_push": (RedisQueues, "push", "after", lambda pushed: True),
    "before_sweep": (Ledger, "sweep", "before", lambda runs: True),
    "after_sweep": (Ledger, "sweep", "after", lambda runs: runs > 0),
    "before_write_back": (Source, "write_back", "before", lambda rows: True),
    "after_write_back": (Source, "write_back", "after", lambda rows: rows > 0),
    "before_unqueue": (Ledger, "unqueue", "before", lambda runs: True),
    "after_unqueue": (Ledger, "unqueue", "after", lambda runs: runs > 0),
}


@dataclass(frozen=True)
class Crashing:
    """What the process is told; `probability` is asked at each arrival at one of `steps`, until `deaths` have
    happened.
    """

    url: str
    redis_url: str
    journal: str  # the steps at which it died, a line each
    steps: list[str]
    probability: float = 0.5
    deaths: int = 3
    seed: int = 1
    batch: int = 10  # rows a claim and runs in Redis: small, so that few rows make many steps
    stale_seconds: float = 0.5  # a claim this old is asked for in Redis
    sweeping: bool = True  # False: nothing takes back what a lost worker held
    dedupe_of_push: bool = True  # False: an id that Redis has is pushed again
    retry: dict[str, Any] = field(
        default_factory=lambda: {
            "infra": {"limit": 1000, "backoff_seconds": 0.05, "max_backoff_seconds": 0.2}
        }
    )


def _arm(crashing: Crashing, life: int, deaths_left: int) -> None:
    """Makes the steps deadly for this process."""
    chance, lock = random.Random(f"{crashing.seed}:{life}"), threading.Lock()

    def arrive(step: str) -> None:
        with lock:
            if deaths_left <= 0 or chance.random() >= crashing.probability:
                return
            _write(crashing.journal, step)
            os.kill(os.getpid(), signal.SIGKILL)

    for step in crashing.steps:
        agent, name, when, counts = STEPS[step]
        _wrap(agent, name, step, when, counts, arrive)


def _wrap(
    agent: type, name: str, step: str, when: str, counts: Callable[[Any], bool], arrive: Callable[[str], None]
) -> None:
    inner = getattr(agent, name)

    def wrapped(self: Any, *arguments: Any, **named: Any) -> Any:
        if when == "before" and not (name == "unqueue" and not arguments[0]):
            arrive(step)
        result = inner(self, *arguments, **named)
        if when == "after" and counts(result):
            arrive(step)
        return result

    setattr(agent, name, wrapped)


def _write(path: str, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def _live(crashing: Crashing, life: int, deaths_left: int) -> None:
    """One dispatcher's life: as the operator starts one, then its duties until the process ends."""
    _arm(crashing, life, deaths_left)
    queues = (
        _Undeduped(crashing.redis_url) if not crashing.dedupe_of_push else RedisQueues(crashing.redis_url)
    )
    every = 0.2 if crashing.sweeping else 1e6
    settings = DispatchSettings(
        claimer=ClaimerSettings(smallest_depth=crashing.batch),
        feeder=FeederSettings(batch=crashing.batch),
        sweeper=SweeperSettings(
            every_seconds=every, stale_seconds=crashing.stale_seconds, relane_seconds=1.0, slow_seconds=2.0
        ),
    )
    if not crashing.sweeping:
        Ledger.sweep = lambda self, *, slow: 0  # type: ignore[method-assign]
    dispatcher = DatabaseDispatcher(
        crashing.url, lambda: queues, settings, launch=lambda dispatcher, queue, claims: None
    )
    entry = None
    while entry is None:
        try:
            entry = dispatcher.register_queue(
                QueueEntry(0, QUEUE, False, False, 600),
                retry=crashing.retry,
                succeeded_seconds=86400,
                dead_seconds=86400,
            )
            dispatcher.register_source(order_plan(task="bill"), [], queue_id=entry.queue_id, suspended=False)
        except RetryLater:
            entry = None
            time.sleep(0.1)  # the database is being restarted
    dispatcher.start()
    _write(crashing.journal, "started")
    threading.Event().wait()


class _Undeduped(RedisQueues):
    """The dedupe of the push switched off: what Redis knew of an id is forgotten before each push."""

    def push(self, work_queue: str, ids: list[str], *, hard_seconds: int) -> int:
        for each in ids:
            self._client.delete(f"rq:job:{each}")
        return super().push(work_queue, ids, hard_seconds=hard_seconds)


def supervise(crashing: Crashing) -> None:
    """Forks lives until SIGTERM."""
    child = 0

    def end(_signal: int, _frame: object) -> None:
        if child:
            os.kill(child, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    life, deaths = 0, 0
    while True:
        life += 1
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            try:
                _live(crashing, life, crashing.deaths - deaths)
            finally:
                os._exit(70)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _, status = os.waitpid(child, 0)
        child = 0
        if not os.WIFSIGNALED(status):
            sys.exit(f"the dispatcher ended by itself with status {status}")
        deaths += 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    supervise(Crashing(**json.loads(sys.argv[1])))
