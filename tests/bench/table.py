"""The table of docs/measurements.md, written between two markers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.frame import Measure, Target

PAGE = Path(__file__).parents[2] / "docs" / "measurements.md"
BUSY_LOAD = 1.5  # load average before the measure: somebody else works on these cores
BEGIN, END = "<!-- figures of make bench: begin -->", "<!-- figures of make bench: end -->"


def render(summary: Mapping[str, Any], measures: Sequence[Measure]) -> str:
    """One row a figure that was measured: what, figure, target, command. A figure of a machine that did other
    things says so.
    """
    rows = ["| what | figure | at least | aim | command |", "|---|---|---|---|---|"]
    for measure in measures:
        busy = summary.get("measured", {}).get(measure.NAME, {}).get("load_before", 0.0) > BUSY_LOAD
        for key, target in measure.KEYS.items():
            if key in summary:
                command = f"`python -m tests.bench --only {measure.NAME}`"
                rows.append(
                    f"| {target.what} (`{key}`) | {_figure(summary[key], target, busy=busy)} |"
                    f" {_asked(target, target.at_least)} | {_asked(target, target.aim)} | {command} |"
                )
    return "\n".join(rows)


def replaced(page: str, table: str) -> str:
    """The page with the table between its markers. Raises ValueError where a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _figure(value: float, target: Target, *, busy: bool) -> str:
    notes = ["missed"] * (target.met(value) is False) + ["on a busy machine"] * busy
    return f"**{number(value)} {target.unit}**" + (f" ({', '.join(notes)})" if notes else "")


def _asked(target: Target, value: float | None) -> str:
    return (
        "" if value is None else f"{'<=' if target.better == 'lower' else '>='} {number(value)} {target.unit}"
    )
