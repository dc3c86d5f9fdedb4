"""Which blow falls when. Pure: the same seed deals the same blows."""

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Blow:
    """`at`: seconds since the rows began to flow. `pick` in [0, 1) chooses the victim, `seconds` how long it
    lasts (0: an instant).
    """

    at: float
    kind: str
    pick: float = 0.0
    seconds: float = 0.0
    silent: bool = False  # of a cut or a webhook: no answer, but the connection stays (else it breaks)

    def __str__(self) -> str:
        how = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.1f} s  {self.kind}{how}{' (black hole)' if self.silent else ''}"


LEASE = (12.0, 15.0)  # past the 10 s lease of a runner
SHORT = (2.0, 6.0)  # within it
OUTAGE = (20.0, 30.0)  # past every lease, and past what clients try by themselves

# Kind -> (cards in the deck, how long it lasts). Of the kinds with `leader`, one that has no election hits
# any dispatcher.
KINDS: dict[str, tuple[int, tuple[float, float]]] = {
    "kill_leader": (3, (0, 0)),
    "kill_standby": (1, (0, 0)),
    "kill_worker": (4, (0, 0)),
    "kill_child": (4, (0, 0)),
    "kill_pod": (3, (0, 0)),
    "oom_worker": (1, (0, 0)),
    "oom_pod": (2, (0, 0)),
    "evict_pod": (3, (0, 0)),
    "delete_pod": (1, (0, 0)),
    "flush_redis": (2, (0, 0)),
    "restart_redis": (2, (0, 0)),
    "restart_postgres": (2, (0, 0)),
    "stop_redis": (1, OUTAGE),
    "stop_postgres": (1, OUTAGE),
    "duplicate_ids": (2, (0, 0)),
    "freeze_worker": (2, LEASE),
    "freeze_parent": (2, LEASE),
    "freeze_child": (1, SHORT),
    "pause_worker": (1, SHORT),
    "freeze_pod": (1, LEASE),
    "freeze_leader": (2, (8.0, 14.0)),
    "lose_leader": (1, (48.0, 50.0)),
    "second_leader": (1, (8.0, 12.0)),
    "cut_operator_postgres": (1, (1.0, 9.0)),
    "cut_worker_postgres": (1, (1.0, 9.0)),
    "cut_operator_redis": (1, (1.0, 9.0)),
    "cut_worker_redis": (1, (1.0, 9.0)),
    "cut_operator_api": (1, (2.0, 9.0)),
    "skew_node": (2, (10.0, 20.0)),
    "fail_webhook": (1, (4.0, 12.0)),
    "restore_etcd": (1, (3.0, 9.0)),  # to the state of so long ago
}
NEEDS_KUBE = (
    *("kill_standby", "kill_pod", "oom_pod", "evict_pod", "delete_pod", "freeze_pod", "cut_operator_api"),
    *("second_leader", "skew_node", "fail_webhook", "restore_etcd"),
)


def blows(seed: int, *, jobs: bool, gap_seconds: float = 2.2) -> Iterator[Blow]:
    """Blows without end, dealt from decks in which every kind has its cards: none is missing in a run that is
    long enough for one deck.
    """
    chance, at = random.Random(f"blows:{seed}"), 1.0
    while True:
        deck = [
            kind for kind, (cards, _) in KINDS.items() for _ in range(cards) if jobs or kind not in NEEDS_KUBE
        ]
        chance.shuffle(deck)
        for kind in deck:
            at += chance.uniform(0.4, 1.6) * gap_seconds
            shortest, longest = KINDS[kind][1]
            silent = kind.startswith(("cut_", "fail_webhook")) and chance.random() < 0.5
            yield Blow(at, kind, chance.random(), chance.uniform(shortest, longest), silent)


# With a guard off, the blow that it guards against: a plan of chance would need luck to strike within
# seconds.
AIMED: dict[str, tuple[Blow, ...]] = {
    # Two parents sleep past their lease while their children work on; and each id is delivered again and
    # again.
    "fence": (
        *(Blow(2.0, "freeze_parent", pick, 15.0) for pick in (0.0, 0.5)),
        *(Blow(13.0 + 0.3 * number, "duplicate_ids") for number in range(5)),
    ),
    "dedupe": (),  # two dispatchers at once suffice
    # The first rows' pods are drained while their programs are at work; then the node's clock is minutes
    # behind.
    "kubernetes": (
        *(Blow(2.0 + 0.4 * number, "evict_pod") for number in range(8)),
        Blow(5.5, "skew_node", 0.2, 14.0),
    ),
    "sweeper": tuple(Blow(at, "kill_worker", pick) for at, pick in ((1.0, 0.0), (1.4, 0.3), (1.8, 0.6))),
}
