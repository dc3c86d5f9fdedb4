"""RQ's own tidying up, made to survive what it finds: Redis holds what anybody wrote there, and one damaged
record must neither end the worker nor keep the others from being tidied.
"""

import logging
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import (
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ReadyJobRegistry,
    StartedJobRegistry,
)
from rq.worker_registration import clean_worker_registry

from rowlock_jobs import logs

_REGISTRIES = (
    FinishedJobRegistry,
    StartedJobRegistry,
    FailedJobRegistry,
    DeferredJobRegistry,
    ReadyJobRegistry,
)


class ReadableJob(Job):  # type: ignore[misc]
    """A record that cannot be read counts as none. Its callbacks and webhooks are nobody's: they would run in
    the worker's parent.
    """

    def restore(self, raw_data: Any) -> Any:
        """Raises NoSuchJobError where the record is damaged."""
        try:
            super().restore(raw_data)
        except (NoSuchJobError, RedisError):
            raise
        except Exception as error:  # noqa: BLE001 - a foreign hash makes RQ's reader raise whatever it likes
            raise NoSuchJobError(f"damaged: {type(error).__name__}") from None
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks: list[Any] = []


def tidy(worker: Worker, queue: Queue) -> None:
    """What RQ's clean_registries does, each step by itself. Raises RedisError."""
    if not queue.acquire_maintenance_lock():
        return
    try:
        for kind in _REGISTRIES:
            registry = kind(
                name=queue.name,
                connection=queue.connection,
                job_class=ReadableJob,
                serializer=queue.serializer,
            )
            _step(kind.__name__, registry.cleanup)
        _step("workers", lambda: clean_worker_registry(queue))
        _step("intermediate", lambda: _drop_unreadable(queue))
        _step("intermediate", lambda: queue.intermediate_queue.cleanup(worker, queue))
    finally:
        queue.release_maintenance_lock()


def _step(name: str, action: Callable[[], Any]) -> None:
    try:
        action()
    except RedisError as error:
        if not _about_a_record(error):
            raise
        logs.emit(logs.RQ_RECORD_DAMAGED, logging.WARNING, step=name, error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - see ReadableJob
        logs.emit(logs.RQ_RECORD_DAMAGED, logging.WARNING, step=name, error=type(error).__name__)


def _about_a_record(error: RedisError) -> bool:
    """Whether Redis answers, and speaks of a key of the wrong kind."""
    return "WRONGTYPE" in str(error)


def _drop_unreadable(queue: Queue) -> None:
    """Ids that RQ cannot decode would end its look at all others."""
    key = queue.intermediate_queue.key
    for raw in queue.connection.lrange(key, 0, -1):
        try:
            raw.decode()
        except UnicodeDecodeError:
            queue.connection.lrem(key, 1, raw)
