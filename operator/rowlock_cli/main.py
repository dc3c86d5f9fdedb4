"""The entry point."""

from importlib.metadata import version as installed_version

import click

from rowlock_cli import changing, forgetting, health, info, monitor, reading, removing, show
from rowlock_cli.comments import comments
from rowlock_cli.completion import completion
from rowlock_cli.credentials import credentials
from rowlock_cli.logins import sessions
from rowlock_cli.processes import process
from rowlock_cli.session import DIRECT, NAMESPACE, WORDS, cluster_options, output_option

_CODES = "Exit codes: 0 done, 1 not found or failed, 2 wrong usage."
_OWN_CODES = {
    "enqueue": (
        "Exit codes: 0 enqueued (with --wait: succeeded), 1 failed (with --wait: did not succeed in time), 2"
        " wrong usage."
    ),
    "requeue": "Exit codes: 0 all are pending again, 1 some were left or not found, 2 wrong usage.",
    "cancel": (
        "Exit codes: 0 all are canceled or told to end, 1 some were left or not found, or the answer was no,"
        " 2 wrong usage."
    ),
    "purge": "Exit codes: 0 done or nothing to do, 1 failed or the answer was no, 2 wrong usage.",
    "forget-keys": (
        "Exit codes: 0 done or nothing to do, 1 not found, failed or the answer was no, 2 wrong usage."
    ),
    "health": "Exit codes: 0 well, 1 there is a problem (the sentence says which), 2 wrong usage.",
    "process start": (
        "Exit codes: 0 it runs (with --no-wait: it was asked to), 1 it does not run in time, or at all, 2"
        " wrong usage."
    ),
    "process stop": (
        "Exit codes: 0 it has ended (with --no-wait: it was asked to), 1 it has not in time, or was not"
        " found, 2 wrong usage."
    ),
    "process run-now": "Exit codes: 0 it looks now, 1 it does not run, or was not found, 2 wrong usage.",
    "comments approve": (
        "Exit codes: 0 all are approved, 1 some were left or not found, or the answer was no, 2 wrong usage."
    ),
    "comments reject": (
        "Exit codes: 0 all are rejected, 1 some were left or not found, or the answer was no, 2 wrong usage."
    ),
    "comments post": (
        "Exit codes: 0 all will be posted, 1 some were left or not found, or the answer was no, 2 wrong"
        " usage."
    ),
    "credentials rotate": (
        "Exit codes: 0 done, 1 a step could not be done (the sentence says what to do, then run it again), 2"
        " wrong usage."
    ),
    "credentials reencrypt": "Exit codes: 0 done, 1 failed, or something is opened by no key, 2 wrong usage.",
    "monitor": "Exit codes: 0 ended by Ctrl-C, --once or --ticks, 1 failed at the first look, 2 wrong usage.",
}


class _Group(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # Kept as they were typed: outside the cluster the operator's pod is given the very same words. A -n
        # before the command is put behind it, where an older operator's command knows it, too.
        namespace = ctx.meta.get(NAMESPACE)
        ctx.meta[WORDS] = [*args[:1], *(["-n", namespace] if namespace else []), *args[1:]]
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=_CODES,
)
@click.option("--direct", is_flag=True, hidden=True, help="Never look for an operator in the cluster.")
@cluster_options
@click.pass_context
def rowlock(context: click.Context, direct: bool) -> None:
    """See and steer the runs of Rowlock.

    Speaks to the database of ROWLOCK_DATABASE_URL_FILE or ROWLOCK_DATABASE_URL; where neither is set, runs
    inside the operator's pod of the current (or -n) namespace. Every command prints JSON with -o json.
    """
    context.meta[DIRECT] = direct


@click.command("version")
@output_option
@cluster_options
def version(output: str) -> None:
    """Print the version of this command."""
    mine = installed_version("rowlock")
    click.echo(show.to_json({"version": mine}) if output == "json" else mine)


def _told(command: click.Command, words: str) -> click.Command:
    """With its exit codes under its help, and so all commands below it."""
    command.epilog = _OWN_CODES.get(words, _CODES)
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        _told(below, f"{words} {name}")
    return command


for _command in (
    info.info,
    health.health,
    monitor.monitor,
    reading.list_command,
    reading.why,
    reading.dead_letters,
    changing.enqueue,
    changing.requeue,
    changing.cancel,
    removing.purge,
    forgetting.forget_keys,
    process,
    comments,
    sessions,
    credentials,
    completion,
    version,
):
    rowlock.add_command(_told(_command, _command.name or ""))


def main() -> None:
    """`rowlock` and `kubectl rowlock`."""
    rowlock()
