"""Carries out the blows of a plan, and ends those that last."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2
import redis

from tests.chaos import cluster
from tests.chaos.crew import Member, children_of, kill_together, signal_all
from tests.chaos.plan import Blow
from tests.chaos.stage import Stage
from tests.services.kube import KubeControlPlane
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer


@dataclass
class Struck:
    """A blow that fell. `at`: Unix time in seconds."""

    blow: Blow
    at: float
    victim: str


class Striker:
    """`strike` and `tend` may block for some seconds (restarts); what lasts is ended by `tend`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.struck: list[Struck] = []
        self._ends: list[tuple[float, Callable[[], object]]] = []
        self._stopped: set[str] = set()  # stores that are away
        self._webhook: socket.socket | None = None  # of an admission webhook that does not answer

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
        if kind in ("kill", "oom", "freeze", "pause", "lose"):
            member = self._victim(what, blow)
            return self._hit(kind, what, member, blow) if member else ""
        act: Callable[[Blow], str] = getattr(self, f"_{blow.kind}")
        return act(blow)

    # -- processes
    # --------------------------------------------------------------------------------------------------

    def _victim(self, what: str, blow: Blow) -> Member | None:
        """A living one that is not frozen already."""
        stage = self._stage
        if what in ("leader", "standby"):
            leader, operators = stage.leader(), stage.of("operator")
            found = [leader] if what == "leader" else [each for each in operators if each is not leader]
            if blow.seconds and not any(
                each.alive and not each.held for each in operators if each is not leader
            ):
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
        if kind == "oom":
            member.kill_with(children)
            return member.name
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
        if not pods or self._stage.plane is None:
            return ""
        pid, name = list(pods.items())[int(blow.pick * len(pods))]
        if kind in ("evict", "delete"):
            done = (cluster.evict if kind == "evict" else cluster.delete_pod)(self._stage.plane, name)
            return f"pod {name}" if done else ""
        if kind == "kill":
            signal_all([pid], signal.SIGKILL)
        elif kind == "oom":
            (self._stage.folder / "pods" / f"{pid}.oom").touch()
            kill_together([pid, *children_of(pid)])
        else:
            pids = [pid, *children_of(pid)]
            signal_all(pids, signal.SIGSTOP)
            self._later(blow.seconds, lambda: signal_all(pids[::-1], signal.SIGCONT))
        return f"pod {name}"

    def _second_leader(self, blow: Blow) -> str:
        member = self._stage.add_second_leader()
        self._later(blow.seconds, member.close)
        return member.name

    # -- the cluster
    # ------------------------------------------------------------------------------------------------

    def _skew_node(self, blow: Blow) -> str:
        """The node's clock is three to ten minutes off, behind or ahead."""
        side = -1 if blow.pick < 0.5 else 1
        seconds = side * (180 + 840 * (blow.pick % 0.5))
        clock = self._stage.folder / "clock"
        clock.write_text(str(seconds))
        self._later(blow.seconds, lambda: clock.write_text("0"))
        return f"node, {seconds:+.0f} s"

    def _fail_webhook(self, blow: Blow) -> str:
        """Where the connection stays, the API server waits for an answer that never comes, each time."""
        plane = self._plane()
        if self._webhook is not None:
            return ""
        self._webhook = socket.socket()
        self._webhook.bind(("127.0.0.1", 0))
        if blow.silent:
            self._webhook.listen(100)
        cluster.fail_webhook(plane, port=self._webhook.getsockname()[1])

        def mend() -> None:
            cluster.mend_webhook(plane)
            if self._webhook is not None:
                self._webhook.close()
            self._webhook = None

        self._later(blow.seconds, mend)
        return "every creation"

    def _restore_etcd(self, blow: Blow) -> str:
        """The state of now comes back `seconds` later, whatever was made meanwhile."""
        plane, since = self._plane(), time.time()
        snapshot = plane.snapshot_etcd()

        def restore() -> None:
            plane.restore_etcd(snapshot)
            self._stage.forgotten.append((since, time.time()))
            if self._webhook is None:
                cluster.mend_webhook(plane)  # an older etcd may know of one that was mended since

        self._later(blow.seconds, restore)
        return "etcd"

    def _plane(self) -> KubeControlPlane:
        assert self._stage.plane is not None, "this blow needs a control plane"
        return self._stage.plane

    # -- stores and network
    # -----------------------------------------------------------------------------------------

    def _cut(self, what: str, blow: Blow) -> str:
        proxy = self._stage.network.proxies[what]
        proxy.cut(silent=blow.silent)
        self._later(blow.seconds, proxy.heal)
        return what

    def _flush_redis(self, _: Blow) -> str:
        if "redis" in self._stopped:
            return ""
        self._stage.redis.flush()
        return "redis"

    def _restart_redis(self, blow: Blow) -> str:
        return self._stop("redis", self._stage.redis, blow)

    def _restart_postgres(self, blow: Blow) -> str:
        return self._stop("postgres", self._stage.postgres, blow)

    def _stop_redis(self, blow: Blow) -> str:
        return self._stop("redis", self._stage.redis, blow)

    def _stop_postgres(self, blow: Blow) -> str:
        return self._stop("postgres", self._stage.postgres, blow)

    def _stop(self, name: str, server: RedisServer | PostgresServer, blow: Blow) -> str:
        """Killed, and started again at once or when the blow is over."""
        if name in self._stopped:
            return ""

        def start() -> None:
            server.start()
            self._stopped.discard(name)

        self._stopped.add(name)
        server.kill()
        if blow.seconds:
            self._later(blow.seconds, start)
        else:
            start()
        return name

    def _duplicate_ids(self, blow: Blow) -> str:
        """Redis delivers twice: every id that is in hand (waiting there, or running already) is pushed again,
        behind the back of the dedupe.
        """
        copies = 0
        with (
            contextlib.suppress(redis.RedisError, psycopg2.OperationalError),
            redis.Redis.from_url(self._stage.redis.url) as client,
        ):
            claimed = self._stage.sql(
                "select q.name, a.id || '-' || a.attempt from rowlock.active a join rowlock.queue q on q.id ="
                " a.queue_id where a.claimed_at is not null and q.mode = 'Workers'"
            )
            for queue, rq_id in claimed:
                client.rpush(f"rq:queue:{queue.replace('/', '.', 1)}", rq_id)
                copies += 1
        return f"{copies} ids"
