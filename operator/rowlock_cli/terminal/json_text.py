"""What -o json prints. Pure."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from rowlock_client.runs import RunRow
from rowlock_client.values import printable


def runs_json(runs: Sequence[RunRow]) -> str:
    """The view's columns under their names; times in ISO 8601."""
    return to_json([asdict(run) for run in runs])


def to_json(value: object) -> str:
    """Indented, for people and programs."""
    return json.dumps(printable(value), indent=2, default=_json_value)


def to_line(value: object) -> str:
    """The same as one line."""
    return json.dumps(printable(value), default=_json_value)


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
