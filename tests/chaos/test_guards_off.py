"""Negative twins: with a guard off, the harness sees the damage. Its silence is worth nothing if it
does not.
"""

import pytest

from tests.chaos.__main__ import run
from tests.chaos.options import Options, guarded_off
from tests.chaos.running import Result

pytestmark = [pytest.mark.integration, pytest.mark.slow(130)]


def seen(result: Result) -> set[str]:
    return {violation.what for violation in result.violations}


def test_without_fences_attempts_are_seen_to_begin_twice_and_stale_outcomes_to_count() -> None:
    assert {"attempt_begun_twice", "stale_finish"} <= seen(run(guarded_off("fence", seed=1)))


def test_without_a_sweeper_runs_of_killed_workers_are_seen_to_be_lost() -> None:
    assert {"row_lost", "left_over"} <= seen(run(guarded_off("sweeper", seed=1)))


def test_without_dedupe_two_dispatchers_are_seen_to_run_a_row_twice() -> None:
    assert "row_run_twice" in seen(run(guarded_off("dedupe", seed=1)))


def test_with_kubernetes_taken_at_its_word_drained_programs_count_as_done_and_a_slow_clock_kills() -> None:
    assert {"stale_finish", "wrong_end"} <= seen(run(guarded_off("kubernetes", seed=1)))


def test_with_dedupe_the_same_two_dispatchers_run_each_row_once() -> None:
    assert (
        seen(run(Options(seed=1, rows=400, rate=60.0, gap_seconds=1e6, slow_claim=True, jobs=False))) == set()
    )
