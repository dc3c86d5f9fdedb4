"""Which pods that have ended are cleared away: nothing else does so, where no kube job stands behind them."""

from collections.abc import Mapping

# Long enough for somebody to look at the pod, and for what it says of its end to be joined to the runs that
# it held.
KEPT_SECONDS = 600.0
# A node that evicts pod after pod must not fill the API server meanwhile; the oldest of more go once they
# were seen for so long.
KEPT_COUNT, KEPT_LEAST_SECONDS = 10, 60.0


def pods_to_clear(seen_seconds: Mapping[str, float]) -> list[str]:
    """Names of ended pods of one WorkQueue to delete, by how many seconds each was seen ended; the oldest
    first.
    """
    oldest_first = sorted(seen_seconds, key=lambda name: (-seen_seconds[name], name))
    surplus = set(oldest_first[: max(0, len(oldest_first) - KEPT_COUNT)])
    return [
        name
        for name in oldest_first
        if seen_seconds[name] >= (KEPT_LEAST_SECONDS if name in surplus else KEPT_SECONDS)
    ]
