"""The short form of the soak (tests/proof/soak.py): what a hostile run leaves behind reaches no
innocent one.
"""

from pathlib import Path

import pytest

from tests.proof.soak import measure

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_innocent_runs_beside_hostile_ones_end_once_and_right(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    seen = measure(database, redis_url, tmp_path, seconds=8, rate=20, every_seconds=2)
    assert seen.innocent > 60
    assert sum(seen.hostile_ends.values()) == seen.hostile
    assert seen.wrong == []
    assert seen.worker_restarts == 0
    assert seen.left_behind == []
