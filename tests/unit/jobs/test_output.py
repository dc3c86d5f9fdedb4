"""The bound of what a run prints."""

import io

from rowlock_jobs.worker.output import BoundedOutput


def test_each_run_has_the_whole_bound_and_hears_what_was_dropped() -> None:
    kept = io.StringIO()
    output = BoundedOutput(kept, 10)
    for _ in range(2):
        output.begin()
        print("12345678", file=output)
        print("abc", file=output)
        output.end()
    said = "\n[3 characters of this run's output were dropped: 10 are kept]\n"
    assert kept.getvalue() == f"12345678\na{said}" * 2


def test_what_fits_passes_as_it_is() -> None:
    kept = io.StringIO()
    output = BoundedOutput(kept, 10)
    output.begin()
    assert output.write("1234567890") == 10
    output.end()
    assert kept.getvalue() == "1234567890"


def test_a_closed_log_is_not_the_runs_failure() -> None:
    closed = io.StringIO()
    closed.close()
    BoundedOutput(closed).end()
