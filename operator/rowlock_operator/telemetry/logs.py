"""Where log lines go: an event name and key-values, in the form of rowlock_logs.

A call is `log.info("row_claimed", extra={"queue": ..., "runs": 3})`. Levels by reader: debug for us, info for
milestones, warning for the operator with the consequence, error with the remedy. Nothing per reconcile above
debug. docs/logs.md lists the events: people search and alert for them.
"""

import logging
import sys
from typing import TextIO

from rowlock_logs.lines import all_extra, formatter

QUIET = {"kopf": logging.WARNING, "aiohttp.access": logging.WARNING, "asyncio": logging.WARNING}
"""Libraries that say a line for every event (kopf: several for every object)."""


def configure(log_format: str, *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sends all log lines to `stream` (stderr by default) in `log_format` (`json` or `text`), and quietens
    chatty libraries.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(log_format, all_extra))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(quiet)
