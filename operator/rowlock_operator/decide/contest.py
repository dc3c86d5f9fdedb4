"""Somebody else writes the replicas of a Deployment of ours, too: who is named, and how often our number is
written over theirs.

Two writers that each undo the other roll pods for ever. So the first foreign write is answered at once (a
slip of somebody's hand), and from the second within ten minutes the writer is named; over its number ours is
written once in five minutes at most.
"""

from dataclasses import dataclass, replace

WINDOW_SECONDS, NAMED_AFTER, CONTEST_SECONDS = 600.0, 2, 300.0


@dataclass(frozen=True, slots=True)
class ForeignWrite:
    """A number that a stranger wrote: its field manager, when the server noted it (to the second), and the
    object's generation as it was seen."""

    writer: str
    at: str
    replicas: int
    generation: int


@dataclass(frozen=True, slots=True)
class Contest:
    """What foreign writers did to one Deployment; instants of one monotonic clock, in seconds."""

    last: ForeignWrite | None = None
    answered: bool = False
    seen_at: tuple[float, ...] = ()
    contested_at: float = float("-inf")

    @property
    def writer(self) -> str:
        """Who wrote last."""
        return self.last.writer if self.last else ""

    def met(self, write: ForeignWrite, now: float) -> "Contest":
        """A foreign number is in force; the same sighting again counts once."""
        if self._is_the_last(write):
            return replace(self, last=write)
        recent = tuple(at for at in self.seen_at if now - at < WINDOW_SECONDS)
        return replace(self, last=write, answered=False, seen_at=(*recent, now)[-NAMED_AFTER:])

    def _is_the_last(self, write: ForeignWrite) -> bool:
        """The generation tells two writes of one second apart, but it also grows when we change something
        else of the object."""
        if self.last is None or (write.writer, write.at, write.replicas) != (
            self.last.writer,
            self.last.at,
            self.last.replicas,
        ):
            return False
        return not self.answered or write.generation == self.last.generation

    def may_write(self, now: float) -> bool:
        """Whether our number may be written over it now."""
        return now - self.contested_at >= CONTEST_SECONDS

    def wrote(self, now: float) -> "Contest":
        """Ours was written over it."""
        return replace(self, answered=True, contested_at=now)

    def lasts(self, now: float) -> bool:
        """Whether the writer is to be named."""
        return sum(now - at < WINDOW_SECONDS for at in self.seen_at) >= NAMED_AFTER
