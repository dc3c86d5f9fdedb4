"""The comparison's Celery application, set to what is nearest to Rowlock's promises: acknowledged late, one
at a time, results kept.
"""

import os

from celery import Celery  # type: ignore[import-not-found, unused-ignore]

from tests.bench.peer_tasks import note

URL = os.environ["ROWLOCK_BENCH_REDIS"]
app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=False,
    task_default_queue="bench",
    broker_connection_retry_on_startup=True,
    result_expires=3600,
)


@app.task(name="noop")  # type: ignore[untyped-decorator, unused-ignore]
def noop() -> None:
    note()


def fill(count: int) -> None:
    """So many messages in the queue."""
    with app.producer_or_acquire() as producer:
        for _ in range(count):
            noop.apply_async(producer=producer)


if __name__ == "__main__":
    import sys

    fill(int(sys.argv[1]))
