"""The alive file: when this process's loop last turned, and what it was doing. Read by the probes of its pod.

Its time says that the loop turns, which is liveness: whoever waits for a store lives, and restarting it would
help nobody. Its text says whether the loop can work, which is readiness: `working`, `starting`, or `waiting
for` the stores that do not answer.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ALIVE_FOR_SECONDS = 30.0
STARTING, WORKING = "starting", "working"
_WAITING = "waiting for "


def state_of(waits_for: Sequence[str]) -> str:
    """What the file says of a loop that waits for these stores; none: it works."""
    return _WAITING + " and ".join(waits_for) if waits_for else WORKING


def write_alive(path: Path, state: str) -> None:
    """A full or read-only disk must not stop the work; the probe will tell."""
    with suppress(OSError):
        if _text(path) == state:
            path.touch()
        else:  # a reader finds the old text or the new one, never half of it
            new = path.with_name(f"{path.name}.new")
            new.write_text(state + "\n", encoding="utf-8")
            os.replace(new, path)


def read_alive(path: Path, now: float | None = None) -> str | None:
    """The state; None where the file was not written within ALIVE_FOR_SECONDS (`now`: unix seconds)."""
    try:
        age_seconds = (time.time() if now is None else now) - path.stat().st_mtime
        return _text(path) if age_seconds < ALIVE_FOR_SECONDS else None
    except OSError:
        return None


def state_of_all(states: Sequence[str | None]) -> str | None:
    """The state of a pod of several loops: alive only while all of them are, working only while all of them
    work.
    """
    known = [state for state in states if state is not None]
    if len(known) < len(states):
        return None
    return next(
        (state for state in known if state.startswith(_WAITING)),
        next((s for s in known if s != WORKING), WORKING),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""
