"""Whose a child is: ours, left behind by a WorkQueue of the same name that is gone, or somebody else's.

A WorkQueue deleted with `--cascade=orphan` leaves its children without an owner, a backup that is restored
leaves them with one that does not exist. A child that keeps such an owner would stay for ever once the
present WorkQueue is deleted.
"""

from enum import Enum

from rowlock_operator.api.kinds import GROUP
from rowlock_operator.observed.owners import Owner


class Whose(Enum):
    """What may be done with a child: written, taken over first, or nothing."""

    OURS = "ours"
    LEFT_BEHIND = "left behind"
    OTHERS = "others"


def whose(*, work_queue: str, uid: str, labelled: str | None, controller: Owner | None) -> Whose:
    """`labelled` is the WorkQueue that the child's labels name (None: they are not ours). Of one name there
    is one WorkQueue, so that an owner of this name with another uid is gone; whether any other owner is gone
    we cannot know."""
    if labelled != work_queue:
        return Whose.OTHERS
    if controller is None or is_namesake(controller, work_queue=work_queue, uid=uid):
        return Whose.LEFT_BEHIND
    return Whose.OURS if controller.uid == uid else Whose.OTHERS


def is_namesake(owner: Owner, *, work_queue: str, uid: str) -> bool:
    """Whether the owner is an earlier WorkQueue of this name."""
    return (owner.group, owner.kind, owner.name) == (GROUP, "WorkQueue", work_queue) and owner.uid != uid
