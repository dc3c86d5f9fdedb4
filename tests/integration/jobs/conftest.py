"""The stage of a worker test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.jobs.stage import Stage


@pytest.fixture
def stage(database: str, redis_url: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(database, redis_url, tmp_path)
    yield made
    made.close()
