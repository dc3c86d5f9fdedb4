"""What every command shares: which ledger it speaks to."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from rowlock_cli.connection import Ledger, database_url
from rowlock_cli.errors import Failed
from rowlock_cli.in_pod import secret_url
from rowlock_cli.remote import run_in_operator

WORDS = "rowlock_cli.words"
DIRECT = "rowlock_cli.direct"
NAMESPACE = "rowlock_cli.namespace"
CONTEXT = "rowlock_cli.context"

_F = TypeVar("_F", bound=Callable[..., Any])


@contextmanager
def ledger() -> Iterator[Ledger]:
    """The ledger of ROWLOCK_DATABASE_URL(_FILE) or of the operator's Secret; else the command runs in the operator's pod."""
    meta = click.get_current_context().meta
    url = database_url() or secret_url()
    if url is None:
        if meta.get(DIRECT):
            raise Failed("the operator's pod has no database address; set ROWLOCK_DATABASE_URL_FILE or ROWLOCK_DATABASE_SECRET on it")
        sys.exit(run_in_operator(meta[WORDS], namespace=meta.get(NAMESPACE), context=meta.get(CONTEXT)))
    opened = Ledger(url)
    try:
        yield opened
    finally:
        opened.close()


def cluster_options(command: _F) -> _F:
    """-n and --context of a command; they matter only outside the cluster."""
    command = click.option(
        "-n",
        "--namespace",
        expose_value=False,
        callback=_remember(NAMESPACE),
        help="Namespace of the operator, where no database address is set.",
    )(command)
    return click.option("--context", expose_value=False, callback=_remember(CONTEXT), help="Context of the kubeconfig.")(command)


def output_option(command: _F) -> _F:
    """-o table|json, as `output`."""
    return click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to print.")(
        command
    )


def _remember(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def note(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            context.meta[key] = value

    return note
