"""The hot path to Redis: one Lua call a batch on a connection of its own, one blocking wait while nothing is
queued.

A reply that was lost is recovered: finish and claim are one atomic step, so the worker's own set of
executions tells afterwards whether the step took place, and which ids it claimed.
"""

import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any
from uuid import uuid4
from zlib import compress

import redis
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError

from rowlock_jobs.errors import TransportAway
from rowlock_jobs.worker.redis_client import away, new_connection
from rowlock_ledger.addresses import without_arguments

BLOCK_SECONDS = 1  # how late an idle worker sees SIGTERM
WORKER_SECONDS = 90  # how long a worker that died stays listed
EXECUTION_SECONDS = 90  # how long one stays in RQ's list of started ids; renewed every EXECUTION_SECONDS / 6


@dataclass(frozen=True, slots=True)
class Claim:
    """An id in this worker's hands, whoever pushed it: any bytes, as `_text` has them. `execution` is empty
    where Redis forgot the id's hash.
    """

    rq_id: str
    execution: str
    started_at: float  # unix seconds


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """What RQ's records shall say about a claim. `note` replaces a traceback: a class and a reason, no user
    data.
    """

    claim: Claim
    status: str  # finished | failed | stopped
    seconds: float  # at work
    note: str = ""


class Transport:
    """Every method raises TransportAway where Redis does not answer; what was to be recorded is kept for the
    next call.
    """

    def __init__(
        self, client: "redis.Redis", *, rq_queue: str, worker_name: str, rq_time: Callable[[], str]
    ) -> None:
        self._pool = client.connection_pool
        self._connection: Any = None
        self._rq_time = rq_time
        self._name = worker_name
        queue = f"rq:queue:{rq_queue}"
        self._queue, self._intermediate = queue, f"{queue}:intermediate"
        worker = f"rq:worker:{worker_name}"
        self._executions, self._wip = f"{worker}:executions", f"rq:wip:{rq_queue}"
        self._keys = (
            queue,
            self._intermediate,
            worker,
            self._executions,
            self._wip,
            f"rq:finished:{rq_queue}",
            f"rq:failed:{rq_queue}",
        )
        self._script, self._put_back_script = _read("turn.lua"), _read("put_back.lua")
        self._digest = ""
        self.away = False  # whether Redis answered when it was asked last
        self._unsent: list[ExecutionRecord] = []
        self._recovered: list[Claim] = []
        # claims that were handed out here and have neither ended nor gone back
        self._in_hand: set[str] = set()
        self._in_doubt = False
        self.suspended = False
        self.full = False  # Redis takes no writes but those that make room

    def turn(self, endings: Sequence[ExecutionRecord], *, want: int, moved: str | None = None) -> list[Claim]:
        """Records how the last claims ended and claims up to `want` ids: `moved`, and from the head of the
        queue.

        With `moved` and nothing wanted, that id goes back to the queue.
        """
        self._unsent += endings
        connection = self._connection or self._connect()
        keep = 0 if moved else want
        while len(self._recovered) > keep:
            self._put_back(connection, self._recovered[-1])
            self._recovered.pop()
        if self._recovered:
            want = 0
        claims = self._evaluate(connection, want, moved or "") if want or moved or self._unsent else []
        claims, self._recovered = self._recovered + claims, []
        self._in_hand.update(map(_composite, claims))
        return claims

    def wait(self) -> str | None:
        """Waits up to BLOCK_SECONDS for an id and moves it to RQ's intermediate list: one waiter wakes for
        one id, and an id whose worker dies right then is in that list, where RQ's maintenance and the
        ledger's sweep find it.
        """
        connection = self._connection or self._connect()
        try:
            reply = self._ask(
                connection,
                "BLMOVE",
                self._queue,
                self._intermediate,
                "LEFT",
                "RIGHT",
                BLOCK_SECONDS,
                passes=OutOfMemoryError,
            )
        except OutOfMemoryError:
            self.full = True
            return None
        if reply == b"":  # no id, and turn.lua's word for none: from the list it is refused like any other
            self._ask(connection, "LREM", self._intermediate, 1, reply)
            self._ask(connection, "LPUSH", self._queue, reply)
            return None
        return None if reply is None else _text(reply)

    def descriptors(self) -> list[int]:
        """The sockets a forked child must not touch."""
        held = list(getattr(self._pool, "_available_connections", ())) + list(
            getattr(self._pool, "_in_use_connections", ())
        )
        sockets = [
            getattr(connection, "_sock", None)
            for connection in [self._connection, *held]
            if connection is not None
        ]
        return [s.fileno() for s in sockets if s is not None and s.fileno() >= 0]

    def close(self) -> None:
        """Drops the connection; the next call makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def put_back(self, claim: Claim) -> None:
        """Returns a claim that will not be run to the head of the queue."""
        self._put_back(self._connection or self._connect(), claim)

    def _put_back(self, connection: Any, claim: Claim) -> None:
        keys = (self._queue, self._executions, self._wip)
        self._ask(connection, "EVAL", self._put_back_script, len(keys), *keys, claim.rq_id, claim.execution)
        self._in_hand.discard(_composite(claim))

    def _evaluate(self, connection: Any, want: int, moved: str) -> list[Claim]:
        now, endings = time.time(), self._unsent
        head = (
            *self._keys,
            self._rq_time(),
            f"{now:.6f}",
            self._name,
            WORKER_SECONDS,
            EXECUTION_SECONDS,
            want,
            moved,
            len(endings),
        )
        ended = [value for ending in endings for value in _recorded(ending)]
        arguments = (*head, *ended, *(uuid4().hex for _ in range(want)))
        self._in_doubt = True
        try:
            reply = self._ask(
                connection, "EVALSHA", self._digest, len(self._keys), *arguments, passes=NoScriptError
            )
        except NoScriptError:
            self._digest = self._ask(connection, "SCRIPT LOAD", self._script).decode()
            reply = self._ask(connection, "EVALSHA", self._digest, len(self._keys), *arguments)
        self._in_doubt, self._unsent = False, []
        self._in_hand.difference_update(_composite(ending.claim) for ending in endings)
        suspended, full, *claimed = reply
        self.suspended, self.full = bool(suspended), bool(full)
        return [
            Claim(_text(rq_id), _text(execution), now)
            for rq_id, execution in zip(claimed[::2], claimed[1::2], strict=True)
        ]

    def _ask(self, connection: Any, *command: Any, passes: type[RedisError] | tuple[()] = ()) -> Any:
        try:
            connection.send_command(*command)
            reply = connection.read_response()
            self.away = False
            return reply
        except passes:
            raise
        except (RedisError, OSError) as error:
            self.close()
            self.away = True
            raise TransportAway(
                f"Redis did not answer {command[0]}: {without_arguments(str(error))}"
            ) from None

    def _connect(self) -> Any:
        connection = new_connection(self._pool)
        try:
            connection.connect()
        except (RedisError, OSError) as error:
            connection.disconnect()
            self.away = True
            raise away(error, self._pool) from None
        self._connection = connection
        self._digest = self._ask(connection, "SCRIPT LOAD", self._script).decode()
        if self._in_doubt:
            self._recover_lost_reply(connection)
        return connection

    def _recover_lost_reply(self, connection: Any) -> None:
        """A turn's reply was lost. Where its endings are still in our set, it did not take place. Other
        executions there: those are its claims.
        """
        held = {_text(member) for member in self._ask(connection, "SMEMBERS", self._executions)}
        self._in_doubt = False
        self._unsent = [ending for ending in self._unsent if _composite(ending.claim) in held]
        for composite in sorted(held - self._in_hand):
            rq_id, _, execution = composite.rpartition(":")
            self._recovered.append(Claim(rq_id, execution, time.time()))


def _text(raw: bytes) -> str:
    """Any bytes as text that goes back as the same bytes (`connect_redis` sets the same for the other
    way).
    """
    return raw.decode("utf-8", "surrogateescape")


def _composite(claim: Claim) -> str:
    return f"{claim.rq_id}:{claim.execution}"


def _recorded(ending: ExecutionRecord) -> tuple[str, ...]:
    claim = ending.claim
    note = b64encode(compress(ending.note.encode())).decode() if ending.status != "finished" else ""
    return (
        claim.rq_id,
        claim.execution,
        ending.status,
        f"{claim.started_at:.6f}",
        f"{ending.seconds:.6f}",
        note,
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
