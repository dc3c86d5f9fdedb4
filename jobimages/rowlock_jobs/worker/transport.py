"""The hot path to Redis: one Lua call a run on a connection of its own, one blocking wait while nothing is queued.

A reply that was lost is recovered: finish and claim are one atomic step, so the worker's own set of executions tells afterwards
whether the step took place, and which id it claimed.
"""

import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any
from uuid import uuid4
from zlib import compress

import redis
from redis.exceptions import NoScriptError, RedisError

from rowlock_jobs.errors import TransportAway

BLOCK_SECONDS = 1  # how late an idle worker sees SIGTERM
WORKER_SECONDS = 90  # how long a worker that died stays listed
EXECUTION_SECONDS = 90  # how long one stays in RQ's list of started ids; renewed every EXECUTION_SECONDS / 6


@dataclass(frozen=True, slots=True)
class Claim:
    """An id in this worker's hands. `execution` is empty where Redis forgot the id's hash."""

    rq_id: str
    execution: str
    started_at: float  # unix seconds


@dataclass(frozen=True, slots=True)
class Ending:
    """What RQ's records shall say about a claim. `note` replaces a traceback: a class and a reason, no user data."""

    claim: Claim
    status: str  # finished | failed | stopped
    ended_at: float
    note: str = ""


class Transport:
    """Every method raises TransportAway where Redis does not answer; what was to be recorded is kept for the next call."""

    def __init__(self, client: "redis.Redis", *, rq_queue: str, worker_name: str, rq_time: Callable[[], str]) -> None:
        self._pool = client.connection_pool
        self._connection: Any = None
        self._rq_time = rq_time
        self._name = worker_name
        queue = f"rq:queue:{rq_queue}"
        self._queue, self._intermediate = queue, f"{queue}:intermediate"
        worker = f"rq:worker:{worker_name}"
        self._executions, self._wip = f"{worker}:executions", f"rq:wip:{rq_queue}"
        self._keys = (queue, self._intermediate, worker, self._executions, self._wip, f"rq:finished:{rq_queue}", f"rq:failed:{rq_queue}")
        self._script = _read("turn.lua")
        self._digest = ""
        self._unsent: Ending | None = None
        self._recovered: Claim | None = None
        self._in_doubt = False
        self.suspended = False

    def turn(self, ending: Ending | None, *, want: bool, moved: str | None = None) -> Claim | None:
        """Records the ending of the last claim and claims the next id: `moved`, or the head of the queue.

        With `moved` and not `want`, that id goes back to the queue.
        """
        if ending is not None:
            self._unsent = ending
        mode = ("take" if want else "return") if moved else ("next" if want else "none")
        connection = self._connection or self._connect()
        if self._recovered is not None:
            claim, self._recovered = self._recovered, None
            if want and not moved:
                self._record(connection, self._unsent)
                return claim
            self._put_back(connection, claim)
        if mode == "none" and self._unsent is None:
            return None
        now = time.time()
        self._in_doubt = True
        reply = self._evaluate(connection, self._unsent, now, mode, moved or "")
        self._in_doubt, self._unsent = False, None
        rq_id, execution, suspended = reply
        self.suspended = bool(suspended)
        return Claim(rq_id.decode(), execution.decode(), now) if rq_id else None

    def wait(self) -> str | None:
        """Waits up to BLOCK_SECONDS for an id and moves it to RQ's intermediate list: one waiter wakes for one id, and an id whose
        worker dies right then is in that list, where RQ's maintenance and the ledger's sweep find it."""
        connection = self._connection or self._connect()
        reply = self._ask(connection, "BLMOVE", self._queue, self._intermediate, "LEFT", "RIGHT", BLOCK_SECONDS)
        return reply.decode() if reply else None

    def descriptors(self) -> list[int]:
        """The sockets a forked child must not touch."""
        held = list(getattr(self._pool, "_available_connections", ())) + list(getattr(self._pool, "_in_use_connections", ()))
        sockets = [getattr(connection, "_sock", None) for connection in [self._connection, *held] if connection is not None]
        return [s.fileno() for s in sockets if s is not None and s.fileno() >= 0]

    def close(self) -> None:
        """Drops the connection; the next call makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _record(self, connection: Any, ending: Ending | None) -> None:
        if ending is not None:
            self._evaluate(connection, ending, time.time(), "none", "")
            self._unsent = None

    def put_back(self, claim: Claim) -> None:
        """Returns a claim that will not be run to the head of the queue."""
        self._put_back(self._connection or self._connect(), claim)

    def _put_back(self, connection: Any, claim: Claim) -> None:
        keys = (self._queue, self._executions, self._wip)
        self._ask(connection, "EVAL", _read("put_back.lua"), len(keys), *keys, claim.rq_id, claim.execution)

    def _evaluate(self, connection: Any, ending: Ending | None, now: float, mode: str, moved: str) -> Any:
        if ending is None:
            ended: tuple[str, ...] = ("", "", "", "", "", "")
        else:
            claim = ending.claim
            working = f"{max(0.0, ending.ended_at - claim.started_at):.6f}"
            note = b64encode(compress(ending.note.encode())).decode() if ending.status != "finished" else ""
            ended = (claim.rq_id, claim.execution, ending.status, f"{claim.started_at:.6f}", working, note)
        arguments = (
            *self._keys,
            self._rq_time(),
            f"{now:.6f}",
            self._name,
            WORKER_SECONDS,
            EXECUTION_SECONDS,
            mode,
            moved,
            uuid4().hex,
            *ended,
        )
        try:
            return self._ask(connection, "EVALSHA", self._digest, len(self._keys), *arguments)
        except NoScriptError:
            self._digest = self._ask(connection, "SCRIPT LOAD", self._script).decode()
            return self._ask(connection, "EVALSHA", self._digest, len(self._keys), *arguments)

    def _ask(self, connection: Any, *command: Any) -> Any:
        try:
            connection.send_command(*command)
            return connection.read_response()
        except NoScriptError:
            raise
        except (RedisError, OSError) as error:
            self.close()
            raise TransportAway(f"Redis did not answer {command[0]}: {error}") from error

    def _connect(self) -> Any:
        try:
            connection: Any = self._pool.make_connection()
            connection.connect()
        except (RedisError, OSError) as error:
            raise TransportAway(f"Redis cannot be reached: {error}") from error
        self._connection = connection
        self._digest = self._ask(connection, "SCRIPT LOAD", self._script).decode()
        if self._in_doubt:
            self._settle_doubt(connection)
        return connection

    def _settle_doubt(self, connection: Any) -> None:
        """A turn's reply was lost. Its ending is still in our set: it did not take place. Another execution is there: that is its claim."""
        held = {member.decode() for member in self._ask(connection, "SMEMBERS", self._executions)}
        self._in_doubt = False
        if self._unsent is not None:
            mine = f"{self._unsent.claim.rq_id}:{self._unsent.claim.execution}"
            if mine not in held:
                self._unsent = None
            held.discard(mine)
        for composite in held:
            rq_id, _, execution = composite.rpartition(":")
            claim = Claim(rq_id, execution, time.time())
            if self._recovered is None:
                self._recovered = claim
            else:
                self._put_back(connection, claim)


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
