"""One short run of the chaos harness with a seed of its own, which is printed with what repeats it."""

import secrets

import pytest

from tests.chaos.__main__ import run
from tests.chaos.options import Options
from tests.chaos.page import page

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(420)]


def test_blows_that_nobody_has_seen_before_leave_every_invariant_whole() -> None:
    result = run(Options(seed=secrets.randbelow(1_000_000), rows=500, rate=20.0, gap_seconds=1.5))
    print(page(result))
    assert result.violations == [], f"repeat with: {result.options.command()}"
