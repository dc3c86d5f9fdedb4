"""How the tests of a tier are shared out to several processes: what has to run in one of them, in its order,
and what begins first.

`--dist loadfile` with this is pytest-xdist's, but for the folder whose files share one installed release.
"""

from collections import Counter
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# Its tests kill the operator and the stores of one release: one after the other.
ALONE = "tests/cluster"
SLOW_SECONDS = 10.0


class Scheduler(LoadFileScheduling):
    """One process takes a file as a whole, and the files of `ALONE` as one."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)


def scheduler(config: pytest.Config, log: Any) -> Scheduler:
    return Scheduler(config, log)


def share_of(nodeid: str) -> str:
    """What the test of this node id runs together with: its file, or the folder of those that share more."""
    file = nodeid.split("::", 1)[0]
    return ALONE if file.startswith(f"{ALONE}/") else file


def longest_first(items: list[pytest.Item]) -> None:
    """The shares that take longest begin first, so that no process is left alone with one at the end; within
    a share the order stays. The marker says it: `slow` ten seconds, `slow(seconds)` about so many.
    """
    seconds: Counter[str] = Counter()
    for item in items:
        if marker := item.get_closest_marker("slow"):
            share = share_of(item.nodeid)
            seconds[share] = max(seconds[share], *(marker.args or (SLOW_SECONDS,)))
    items.sort(key=lambda item: -seconds[share_of(item.nodeid)])
