"""How many runs a worker takes at once. Pure.

Runs of a millisecond are taken by the handful, because a commit and a round trip cost more than they do; all
others one by one. Ids do not say which task they are, so the past decides: what a run took on average,
forgotten by halves.
"""

LARGEST_BATCH = 16
BATCH_SECONDS = 0.010  # what a batch may take, as far as the last runs tell
PATIENCE_SECONDS = (
    0.025  # a batch that takes longer is broken up: nobody waits behind a run that turned out slow
)


class BatchSize:
    """Starts with one run at a time."""

    def __init__(self) -> None:
        self.size = 1
        self._seconds = BATCH_SECONDS

    def note(self, mean_seconds: float) -> None:
        """What a run of the last batch took; infinite where they were not done in time. Sizes double at
        most.
        """
        self._seconds = min(max(mean_seconds, self._seconds / 2, 1e-6), 2 * BATCH_SECONDS)
        self.size = max(1, min(int(BATCH_SECONDS / self._seconds), 2 * self.size, LARGEST_BATCH))
