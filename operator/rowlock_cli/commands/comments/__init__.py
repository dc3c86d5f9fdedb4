"""`rowlock comments`: see what a model wrote, and say what becomes of it.

Invariant: a decision in bulk covers what was counted before the question, nothing written since.
"""

import click

from rowlock_cli.lazy import Entry, LazyGroup
from rowlock_cli.options import cluster_options

_HERE = "rowlock_cli.commands.comments"


@click.group(
    "comments",
    cls=LazyGroup,
    entries={
        "list": Entry(f"{_HERE}.list:list_command", "List comments, the newest first."),
        "show": Entry(
            f"{_HERE}.show:show_command", "Show a comment, its article shortened, and what it cost."
        ),
        "approve": Entry(
            f"{_HERE}.approve:approve",
            "Approve comments: they are posted, also after their process has ended.",
        ),
        "reject": Entry(f"{_HERE}.reject:reject", "Reject comments: they are not posted."),
        "post": Entry(f"{_HERE}.post:post", "Post comments by hand, whether their process runs or not."),
    },
)
@cluster_options
def comments() -> None:
    """See and decide on AI comments."""
