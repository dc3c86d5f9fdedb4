"""The entry point."""

from importlib.metadata import version as installed_version

import click

from rowlock_cli import changing, reading
from rowlock_cli.session import DIRECT, WORDS


class _Group(click.Group):
    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        # Kept as they were typed: outside the cluster the operator's pod is given the very same words.
        ctx.meta[WORDS] = list(args)
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--direct", is_flag=True, hidden=True, help="Never look for an operator in the cluster.")
@click.pass_context
def rowlock(context: click.Context, direct: bool) -> None:
    """See and steer the runs of Rowlock.

    Speaks to the database of ROWLOCK_DATABASE_URL_FILE or ROWLOCK_DATABASE_URL; where neither is set, runs inside the operator's pod of the
    current (or -n) namespace. Exit codes: 0 done, 1 not found or failed, 2 wrong usage.
    """
    context.meta[DIRECT] = direct


@rowlock.command("version")
def version() -> None:
    """Print the version of this command."""
    click.echo(installed_version("rowlock"))


for _command in (reading.list_command, reading.why, reading.dead_letters, changing.enqueue, changing.requeue, changing.cancel):
    rowlock.add_command(_command)


def main() -> None:
    """`rowlock` and `kubectl rowlock`."""
    rowlock()
