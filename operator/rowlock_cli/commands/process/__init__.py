"""`rowlock process`: start and stop a MonitoringProcess, look at it, have it look for articles now.

Invariant: start and stop change the object's spec alone; the operator does the rest.
"""

import click

from rowlock_cli.lazy import Entry, LazyGroup
from rowlock_cli.options import cluster_options

_HERE = "rowlock_cli.commands.process"


@click.group(
    "process",
    cls=LazyGroup,
    entries={
        "start": Entry(f"{_HERE}.start:start", "Start a process, also one that has ended."),
        "stop": Entry(f"{_HERE}.stop:stop", "Stop a process: nothing more is sent to the site."),
        "status": Entry(f"{_HERE}.status:status", "Show how a process is, and its logins."),
        "run-now": Entry(f"{_HERE}.run_now:run_now", "Look for new articles now instead of later."),
    },
)
@cluster_options
def process() -> None:
    """Start, stop and see MonitoringProcesses."""
