"""The bench's own code, with tiny sizes: its figures mean nothing here, but it cannot rot."""

import pytest

from tests.bench.__main__ import run
from tests.bench.measures import measures

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "name", ["claiming", "behind_limits", "dispatch_rate", "row_to_start", "redis_memory"]
)
def test_a_measure_gives_each_of_its_figures(name: str) -> None:
    (measure,) = measures([name])
    (figures,) = run(measure, 1, quick=True)
    assert figures.keys() == measure.KEYS.keys()
    assert all(value > 0 for value in figures.values())
