"""A dispatcher without an election, as `python -m tests.chaos.dispatcher DATABASE_URL REDIS_URL`: the leader
on the other side of a partition.
"""

import logging
import sys
import threading
import time

from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.sources import check_source
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.errors import RetryLater
from rowlock_operator.reconcile.row_source import plan_of
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.chaos import workload


def register(dispatcher: DatabaseDispatcher) -> None:
    """The WorkQueues of warm workers and their sources, as the operator registers them."""
    queues = {queue.metadata.name: queue for queue in map(WorkQueue.parse, workload.queues(jobs=False))}
    ids = {}
    for name, queue in queues.items():
        retry = {
            kind: {
                "limit": each.limit,
                "backoff_seconds": each.backoff_seconds,
                "max_backoff_seconds": each.max_backoff_seconds,
            }
            for kind, each in (
                ("infra", queue.spec.retry.infra),
                ("app", queue.spec.retry.app),
                ("site", queue.spec.retry.site),
            )
        }
        entry = QueueEntry(0, queue.metadata.key, False, False, queue.spec.limits.hard_seconds)
        history = queue.spec.history
        ids[name] = dispatcher.register_queue(
            entry, retry=retry, succeeded_seconds=history.succeeded_seconds, dead_seconds=history.dead_seconds
        ).queue_id
    for source in map(RowSource.parse, workload.sources(jobs=False)):
        name = source.spec.work_queue_ref.name
        plan, rules = plan_of(
            source, check_source(source, queues[name], default_database_secret="rowlock-database")
        )
        dispatcher.register_source(plan, rules, queue_id=ids[name], suspended=False)


def main(url: str, redis_url: str) -> None:
    redis = RedisQueues(redis_url)
    dispatcher = DatabaseDispatcher(url, lambda: redis, DispatchSettings(), launch=lambda *_: None)
    while True:
        try:
            register(dispatcher)
            break
        except RetryLater:
            time.sleep(0.2)
    dispatcher.start()
    print("dispatcher_started", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(*sys.argv[1:])
