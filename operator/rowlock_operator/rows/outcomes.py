"""What the outbox has for each row becomes one word to write. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

REQUEUED = "claimed"  # the state of an outcome that a requeue put there


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the outbox; lines of one row are in the order of their ids."""

    id: int
    key: str
    state: str
    error: str | None
    run: str | None
    attempt: int | None


@dataclass(frozen=True, slots=True)
class Word:
    """What one row is to be told. It is written over the mark of its own attempt alone; after a requeue,
    which a person asked for, over any value that Rowlock writes.
    """

    key: str
    value: str
    error: str | None
    run: str | None
    attempt: int | None
    ids: tuple[int, ...]
    requeued: bool

    def may_follow(self, status: str | None, claimed: str, ours: Collection[str]) -> bool:
        """Whether a row that says `status` is this word's to write."""
        return status is not None and (status == claimed or (self.requeued and status in ours))


def words(outcomes: Iterable[Outcome], values: dict[str, str]) -> dict[str, Word]:
    """By key: the newest outcome's value. `values`: state of the ledger -> value of the user's column."""
    lines: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.id):
        lines.setdefault(outcome.key, []).append(outcome)
    return {
        key: Word(
            key=key,
            value=values[of[-1].state],
            error=of[-1].error,
            run=of[-1].run,
            attempt=of[-1].attempt,
            ids=tuple(line.id for line in of),
            requeued=any(line.state == REQUEUED for line in of),
        )
        for key, of in lines.items()
    }
