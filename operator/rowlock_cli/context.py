"""What every command shares: which ledger it speaks to, and the options all of them have."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from rowlock_cli.connection import Cursor, Ledger, database_url
from rowlock_cli.errors import Failed
from rowlock_cli.in_pod import secret_url
from rowlock_cli.monitored import ProcessName, find_process
from rowlock_cli.remote import Write, run_in_operator
from rowlock_cli.runs import find_queue

WORDS = "rowlock_cli.words"
DIRECT = "rowlock_cli.direct"
NAMESPACE = "rowlock_cli.namespace"
CONTEXT = "rowlock_cli.context"

_F = TypeVar("_F", bound=Callable[..., Any])


def ledger_here() -> Ledger | None:
    """The ledger of ROWLOCK_DATABASE_URL(_FILE) or of the operator's Secret; None outside the cluster. The
    caller closes it.
    """
    url = database_url() or secret_url()
    if url is None and click.get_current_context().meta.get(DIRECT):
        raise Failed(
            "the operator's pod has no database address; set ROWLOCK_DATABASE_URL_FILE or"
            " ROWLOCK_DATABASE_SECRET on it"
        )
    return Ledger(url) if url else None


def in_operator(*more: str, write: Write | None = None) -> int:
    """The words as they were typed, and some more (the last of an option counts), said in the operator's pod;
    its exit code.
    """
    meta = click.get_current_context().meta
    code = run_in_operator(
        [*meta[WORDS], *more], namespace=meta.get(NAMESPACE), context=meta.get(CONTEXT), write=write
    )
    if code == click.UsageError.exit_code:
        # This command understood the words before they travelled.
        click.echo(
            "The operator's pod did not understand these words: it is of another version than this command.",
            err=True,
        )
    return code


@contextmanager
def ledger(
    *, ask: Callable[[dict[str, Any]], Sequence[str] | None] | None = None, more: Sequence[str] = ()
) -> Iterator[Ledger]:
    """The ledger within reach; else the command runs in the operator's pod, with the words `more` behind
    those typed, and ends here.

    `ask` belongs to a command that wants a yes first. Nobody can be asked in the pod: it says there what it
    would do (--dry-run), `ask` is given that here, and raises where the answer is no; then it goes there
    again with --yes and the words that `ask` returned.
    """
    opened = ledger_here()
    if opened is None:
        if ask:
            answer = bytearray()
            code = in_operator(*more, "--dry-run", "--output", "json", write=answer.extend)
            if code:
                sys.exit(code)
            sys.exit(in_operator(*more, "--yes", *(ask(json.loads(answer)) or ())))
        sys.exit(in_operator(*more))
    try:
        yield opened
    finally:
        opened.close()


def queue_named(cur: Cursor, name: str) -> str:
    """The full name of a queue; -n decides where the name alone is not unique. Failed where there is none."""
    return find_queue(cur, name, namespace=click.get_current_context().meta.get(NAMESPACE))


def process_named(cur: Cursor, name: str) -> ProcessName:
    """The MonitoringProcess of that name; -n decides where it is in more than one namespace. Failed where
    there is none.
    """
    return find_process(cur, name, namespace=click.get_current_context().meta.get(NAMESPACE))


def cluster_options(command: _F) -> _F:
    """-n and --context, before the command or after it (which wins)."""
    command = click.option(
        "-n",
        "--namespace",
        expose_value=False,
        callback=_remember(NAMESPACE),
        help=(
            "Namespace of the operator, where no database address is set; also decides between queues or"
            " processes of the same name."
        ),
    )(command)
    return click.option(
        "--context",
        expose_value=False,
        callback=_remember(CONTEXT),
        help="Context of the kubeconfig, where no database address is set.",
    )(command)


def output_option(command: _F) -> _F:
    """-o table|json, as `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="How to print.",
    )(command)


def _remember(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def note(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            context.meta[key] = value

    return note
