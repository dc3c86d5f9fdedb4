"""What `make bench` promises: every figure of the issue comes from one measure, and the page shows the last
ones.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.bench import summary, table
from tests.bench.frame import Target, percentile
from tests.bench.measures import measures

WANTED = {
    "row_to_start_ms_p50",
    "row_to_start_ms_p99",
    "row_to_job_ms_p50",
    "row_to_job_ms_p99",
    "row_to_pod_code_ratio",
    "burst_200_jobs_s",
    "dispatch_rows_per_s",
    "claim_only_rows_per_s",
    "behind_limit_ms_p99",
    "throttled_keys_look_ms_p50",
    "end_to_end_runs_per_s_1",
    "end_to_end_runs_per_s_2",
    "celery_runs_per_s_2",
    "rq_worker_runs_per_s_2",
    "rq_simple_runs_per_s_2",
}
ORIGIN = {"versions": {}, "cores": 2, "date": "2026-11-23", "commit": "abc1234"}


class Measured:
    NAME = "walking"
    KEYS = {
        "steps_per_s": Target("steps", "steps/s", "higher", 100, 200),
        "fall_ms": Target("a fall", "ms", "lower", 5),
    }


def test_every_figure_of_the_issue_comes_from_exactly_one_measure() -> None:
    declared = Counter(key for measure in measures() for key in measure.KEYS)
    assert declared.keys() >= WANTED
    assert [key for key, times in declared.items() if times != 1] == []


def test_an_unknown_measure_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(SystemExit, match="no measure is called flying; there are: .*claiming"):
        measures(["flying"])


def test_the_summary_holds_medians_every_round_and_what_was_not_measured() -> None:
    old = summary.merged({}, "walking", [{"steps_per_s": 10.0, "fall_ms": 1.0}], ORIGIN)
    new = summary.merged(
        old, "running", [{"laps": 1.0}, {"laps": 9.0}, {"laps": 3.0}], {**ORIGIN, "commit": "def5678"}
    )
    assert summary.medians(new) == {"steps_per_s": 10, "fall_ms": 1, "laps": 3}
    assert new["all"] == {"steps_per_s": [10], "fall_ms": [1], "laps": [1, 9, 3]}
    assert [new["measured"][name]["commit"] for name in ("walking", "running")] == ["abc1234", "def5678"]
    assert json.loads(json.dumps(new)) == new


def test_a_figure_that_misses_its_target_says_so() -> None:
    rows = table.render({"steps_per_s": 99.0, "fall_ms": 4.2}, [Measured]).splitlines()[2:]
    assert rows == [
        (
            "| steps (`steps_per_s`) | **99 steps/s** (missed) | >= 100 steps/s | >= 200 steps/s | `python -m"
            " tests.bench --only walking` |"
        ),
        "| a fall (`fall_ms`) | **4.2 ms** | <= 5 ms |  | `python -m tests.bench --only walking` |",
    ]


def test_a_figure_of_a_busy_machine_says_so() -> None:
    busy = {"steps_per_s": 99.0, "measured": {"walking": {"load_before": 7.0}}}
    assert "| **99 steps/s** (missed, on a busy machine) |" in table.render(busy, [Measured])


def test_only_what_is_between_the_markers_is_rewritten() -> None:
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    assert table.replaced(page, "| new |") == f"before\n{table.BEGIN}\n\n| new |\n\n{table.END}\nafter\n"
    with pytest.raises(ValueError, match="needs the lines"):
        table.replaced("a page without markers", "| new |")


def test_the_page_shows_the_last_summary() -> None:
    found = summary.read()
    assert summary.medians(found)
    assert table.render(found, measures()) in table.PAGE.read_text()


def test_the_99th_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([float(n) for n in range(1, 301)], 99) == 298
    assert percentile([7.0], 99) == 7


def test_results_are_where_the_issue_wants_them() -> None:
    assert Path("tests/bench/results/summary.json").parts[-3:] == summary.FILE.parts[-3:]
