"""Carries out the blows of a plan, and ends those that last."""

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from tests.chaos.crew import Member, children_of, signal_all
from tests.chaos.plan import Blow
from tests.chaos.stage import Stage


@dataclass
class Struck:
    """A blow that fell. `at`: Unix time in seconds."""

    blow: Blow
    at: float
    victim: str


class Striker:
    """`strike` may block for a second or two (restarts); what lasts is ended by `tend`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.struck: list[Struck] = []
        self._ends: list[tuple[float, Callable[[], object]]] = []

    def strike(self, blow: Blow) -> Struck | None:
        """None where there was nobody to hit."""
        at = time.time()
        victim = self._do(blow)
        if not victim:
            return None
        self.struck.append(Struck(blow, at, victim))
        return self.struck[-1]

    def tend(self) -> None:
        """Ends the blows whose time is over."""
        now = time.monotonic()
        due = [end for end in self._ends if end[0] <= now]
        self._ends = [end for end in self._ends if end[0] > now]
        for _, end in due:
            end()

    @property
    def lasting(self) -> bool:
        """Whether a blow still lasts."""
        return bool(self._ends)

    def finish(self) -> None:
        """Ends everything that still lasts."""
        for _, end in self._ends:
            end()
        self._ends = []
        self._stage.network.heal()

    def _later(self, seconds: float, end: Callable[[], object]) -> None:
        self._ends.append((time.monotonic() + seconds, end))

    def _do(self, blow: Blow) -> str:
        kind, _, what = blow.kind.partition("_")
        if kind == "cut":
            return self._cut(what, blow)
        if what == "pod":
            return self._hit_pod(kind, blow)
        if kind in ("kill", "freeze", "pause", "lose"):
            member = self._victim(what, blow)
            return self._hit(kind, what, member, blow) if member else ""
        act: Callable[[Blow], str] = getattr(self, f"_{blow.kind}")
        return act(blow)

    # -- processes --------------------------------------------------------------------------------------------------

    def _victim(self, what: str, blow: Blow) -> Member | None:
        """A living one that is not frozen already."""
        stage = self._stage
        if what in ("leader", "standby"):
            leader, operators = stage.leader(), stage.of("operator")
            found = [leader] if what == "leader" else [each for each in operators if each is not leader]
            if blow.seconds and not any(each.alive and not each.held for each in operators if each is not leader):
                return None  # with every replica frozen nobody could go on, and nothing is promised
        else:
            found = stage.of("worker")
        found = [member for member in found if member.alive and not member.held]
        if what not in ("leader", "standby"):  # a blow at an idle worker shows little
            busy = self._stage.log.busy()
            found = [member for member in found if busy.intersection(member.children())] or found
        return found[int(blow.pick * len(found))] if found else None

    def _hit(self, kind: str, what: str, member: Member, blow: Blow) -> str:
        children = member.children()
        if kind == "kill":
            if what != "child":
                member.kill()
            elif children:
                signal_all(children, signal.SIGKILL)
            else:
                return ""
            return member.name
        pids = {"parent": [member.pid], "child": children}.get(what, [member.pid, *children])
        member.freeze(pids)
        # The task's process comes back first: the one that would stop it is still away.
        self._later(blow.seconds, lambda: member.thaw(pids[::-1]))
        return member.name

    def _hit_pod(self, kind: str, blow: Blow) -> str:
        pods = self._stage.pods()
        if not pods:
            return ""
        pid = pods[int(blow.pick * len(pods))]
        if kind == "kill":
            signal_all([pid], signal.SIGKILL)
        else:
            pids = [pid, *children_of(pid)]
            signal_all(pids, signal.SIGSTOP)
            self._later(blow.seconds, lambda: signal_all(pids[::-1], signal.SIGCONT))
        return f"pod {pid}"

    def _second_leader(self, blow: Blow) -> str:
        member = self._stage.add_second_leader()
        self._later(blow.seconds, member.close)
        return member.name

    # -- stores and network -----------------------------------------------------------------------------------------

    def _cut(self, what: str, blow: Blow) -> str:
        proxy = self._stage.network.proxies[what]
        proxy.cut(silent=blow.silent)
        self._later(blow.seconds, proxy.heal)
        return what

    def _flush_redis(self, _: Blow) -> str:
        self._stage.redis.flush()
        return "redis"

    def _restart_redis(self, _: Blow) -> str:
        self._stage.redis.kill()
        self._stage.redis.start()
        return "redis"

    def _restart_postgres(self, _: Blow) -> str:
        self._stage.postgres.kill()
        self._stage.postgres.start()
        return "postgres"

    def _duplicate_ids(self, blow: Blow) -> str:
        """Redis delivers twice: every id that is in hand (waiting there, or running already) is pushed again, behind the back of the dedupe."""
        copies = 0
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self._stage.redis.url) as client:
            claimed = self._stage.sql(
                "select q.name, a.id || '-' || a.attempt from rowlock.active a join rowlock.queue q on q.id = a.queue_id"
                " where a.claimed_at is not null and q.mode = 'Workers'"
            )
            for queue, rq_id in claimed:
                client.rpush(f"rq:queue:{queue.replace('/', '.', 1)}", rq_id)
                copies += 1
        return f"{copies} ids"
