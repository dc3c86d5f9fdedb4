"""How many runs a worker takes at once."""

import pytest

from rowlock_jobs.worker.batch_size import LARGEST_BATCH, BatchSize


def after(*means: float) -> int:
    pace = BatchSize()
    for mean_seconds in means:
        pace.note(mean_seconds)
    return pace.size


@pytest.mark.parametrize(
    ("means", "size"),
    [
        ((), 1),  # nothing is known of the first run
        ((0.0001,), 2),  # sizes double at most
        ((0.0001,) * 8, LARGEST_BATCH),
        ((0.001,) * 8, 10),  # a batch is over after ten milliseconds
        ((0.006,) * 8, 1),
        ((0.0001,) * 8 + (0.5,), 1),  # one slow run is enough
        ((0.0001,) * 8 + (float("inf"),), 1),
        ((0.5,) * 50 + (0.0001,), 1),  # and is forgotten by halves
        ((0.5,) * 50 + (0.0001,) * 2, 2),
        ((0.0,) * 8, LARGEST_BATCH),
    ],
)
def test_only_what_proved_short_is_taken_by_the_handful(means: tuple[float, ...], size: int) -> None:
    assert after(*means) == size
