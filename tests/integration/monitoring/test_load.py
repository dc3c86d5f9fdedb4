"""The load of tests/bench/monitoring.py in small: all comments of several processes at once, none lost."""

from pathlib import Path

import pytest

from tests.bench.frame import Bench
from tests.bench.monitoring import ARTICLES, LOGINS, PROMPTS, load, render
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_three_processes_at_once_get_every_comment_and_log_in_once(
    postgres: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    figures = load(Bench(postgres, redis_server, tmp_path, print), 3, deadline_seconds=120)
    assert figures.comments == figures.model_requests == 3 * LOGINS * PROMPTS * ARTICLES
    assert figures.full_logins == 3 * LOGINS
    assert "| **360** |" in render(figures)
