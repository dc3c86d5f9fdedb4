"""The last result of every measure: medians by key, every round's value beside them, and where they come
from.
"""

import json
import platform
import statistics
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.bench.frame import cores
from tests.services.postgres import FOLDERS
from tests.services.process import find_program

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parent / "results" / "summary.json"
_RECORDS = ("all", "measured", "versions", "cores", "date", "commit")


def read(file: Path = FILE) -> dict[str, Any]:
    """The last summary; empty where there is none."""
    return json.loads(file.read_text()) if file.exists() else {}


def medians(summary: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in summary.items() if key not in _RECORDS}


def merged(
    old: Mapping[str, Any],
    name: str,
    rounds: list[dict[str, float]],
    origin: Mapping[str, Any],
    *,
    load: float = 0.0,
) -> dict[str, Any]:
    """The summary with one measure's new rounds; whatever was not measured keeps its last result.

    `load`: the machine's load average (5 minutes) before it began, so that a figure of a busy machine is
    known for one.
    """
    values = {key: [round_(r[key]) for r in rounds] for key in rounds[0]}
    figures = medians(old) | {key: round_(statistics.median(all_)) for key, all_ in values.items()}
    measured = {
        **old.get("measured", {}),
        name: {
            "date": origin["date"],
            "commit": origin["commit"],
            "rounds": len(rounds),
            "load_before": round(load, 1),
        },
    }
    return {
        **dict(sorted(figures.items())),
        "all": {**old.get("all", {}), **values},
        "measured": measured,
        **origin,
    }


def write(summary: Mapping[str, Any], file: Path = FILE) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(summary, indent=1) + "\n")


def round_(value: float) -> float:
    """Three digits that say something; whole numbers above a thousand."""
    return float(f"{value:.3g}") if abs(value) < 1000 else float(round(value))


def origin() -> dict[str, Any]:
    """Where and when: versions, cores, date, commit."""
    return {
        "versions": {
            "python": platform.python_version(),
            "postgresql": _said(find_program("postgres", *FOLDERS), "--version").split()[2],
            "redis": _said(find_program("redis-server"), "--version").split("v=")[1].split()[0],
            "rq": metadata.version("rq"),
        },
        "cores": cores(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _said("git", "rev-parse", "--short", "HEAD")
        + ("+" if _said("git", "status", "--porcelain", "-uno") else ""),
    }


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False).stdout.strip()
