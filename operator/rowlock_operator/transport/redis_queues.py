"""RQ's queues as the dispatcher needs them: push a batch, ask which claims Redis has lost."""

import pickle
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, cast

import redis

from rowlock_ledger.addresses import REDIS_FORM, AddressMalformed, read_redis_address
from rowlock_operator.api import reasons
from rowlock_operator.errors import RetryLater

RQ_FUNCTION = "rowlock_jobs.worker.rq_compat.run"
# Pickle, because that is what RQ's tools read where nobody told them otherwise, and rq-dashboard's worker
# page always. No bytes are both this and RQ's JSON: a JSON list begins with a byte that no pickle may begin
# with. Plain values: reading them executes nothing.
_DATA = zlib.compress(pickle.dumps((RQ_FUNCTION, None, (), {}), protocol=2))
# Results live in the ledger; here they are for RQ's tools alone, and the worker's turn.lua keeps the last
# ones only.
_RESULT_TTL_SECONDS, _FAILURE_TTL_SECONDS = 300, 3600
_BATCH = 500
FULL = (
    "it is full (OOM, used memory is above maxmemory); workers go on with what is there: give it more memory,"
    " see docs/tuning.md"
)
_PATIENCE: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 3, "health_check_interval": 15}


def rq_queue_name(work_queue: str) -> str:
    """`namespace/name` of a WorkQueue -> the name of its RQ queue."""
    return work_queue.replace("/", ".", 1)


def _script(name: str) -> str:
    return (files(__package__) / name).read_text()


class RedisQueues:
    """Raises RetryLater where Redis is away; the ledger keeps the claim, the sweeper pushes it again."""

    def __init__(self, url: str) -> None:
        """Raises GiveUp (SecretMalformed) for an address that cannot be read; no part of it is in the
        error.
        """
        self._client = _client(url)
        self._enqueue = self._client.register_script(_script("enqueue.lua"))
        self._lost = self._client.register_script(_script("lost.lua"))

    def push(self, work_queue: str, ids: list[str], *, hard_seconds: int) -> int:
        """Pushes what is not there yet; returns how many were pushed."""
        name = rq_queue_name(work_queue)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        fixed: list[Any] = [name, now, _DATA, hard_seconds, _RESULT_TTL_SECONDS, _FAILURE_TTL_SECONDS]
        pushed = 0
        for batch in _batches(ids):
            pushed += int(
                self._call(
                    self._enqueue,
                    ["rq:queues", f"rq:queue:{name}"],
                    fixed + batch,
                    f"pushing to queue {name}",
                )
            )
        return pushed

    def lost(self, work_queue: str, ids: list[str]) -> set[str]:
        """Those of the ids that no list holds and no worker has in hand."""
        key = f"rq:queue:{rq_queue_name(work_queue)}"
        found: set[str] = set()
        for batch in _batches(ids):
            found |= {
                i.decode()
                for i in cast(
                    list[bytes],
                    self._call(self._lost, [key], list(batch), f"looking for lost claims of {work_queue}"),
                )
            }
        return found

    def close(self) -> None:
        self._client.close()

    def _call(self, script: Any, keys: list[str], args: list[Any], what: str) -> Any:
        try:
            return script(keys=keys, args=args)
        except redis.exceptions.OutOfMemoryError:
            kind = FULL
        except redis.RedisError as error:
            kind = f"{type(error).__name__}: check its pod and the URL in the Redis Secret"
        # The library's own words stay with it: a server that does not know AUTH answers with its arguments.
        raise RetryLater(f"Redis: {what}: {kind}")


def _client(url: str) -> redis.Redis:
    try:
        address = read_redis_address(url)
        client = redis.Redis.from_url(address.url, **address.login, **_PATIENCE)
        # not opened: it refuses options that this library does not know
        client.connection_pool.make_connection()
        return client
    except AddressMalformed as error:
        why = error.why
    except (redis.RedisError, TypeError, ValueError):
        why = "it has an option that the library does not know"
    # Outside of the handlers: an error that stays behind as the context of ours would carry what it quotes.
    raise reasons.SECRET_MALFORMED.error(
        fact=f"The URL of Redis in its Secret cannot be read: {why}", form=REDIS_FORM
    )


def _batches(ids: list[str]) -> Iterable[list[str]]:
    return (ids[i : i + _BATCH] for i in range(0, len(ids), _BATCH))
