"""The entry point."""

import click

from rowlock_cli.commands import COMMANDS
from rowlock_cli.errors import Failed
from rowlock_cli.lazy import LazyGroup
from rowlock_cli.options import DIRECT, NAMESPACE, WORDS, cluster_options


class _Rowlock(LazyGroup):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # Kept as they were typed: outside the cluster the operator's pod is given the very same words. A -n
        # before the command is put behind it, where an older operator's command knows it, too.
        namespace = ctx.meta.get(NAMESPACE)
        ctx.meta[WORDS] = [*args[:1], *(["-n", namespace] if namespace else []), *args[1:]]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Exception as error:  # those of the client only: they say what to do
            if (sentence := _sentence_of(error)) is None:
                raise
            raise Failed(sentence) from error


def _sentence_of(error: Exception) -> str | None:
    """What an error of the client says; None for others."""
    # Imported here: nothing of the client is needed for help.
    from rowlock_client.errors import ClientError

    return str(error) if isinstance(error, ClientError) else None


@click.group(
    cls=_Rowlock,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
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


def main() -> None:
    """`rowlock` and `kubectl rowlock`."""
    rowlock()
