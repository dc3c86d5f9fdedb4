"""Which ledger a command speaks to: one within reach, or the operator's pod says it."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from rowlock_cli.errors import Failed
from rowlock_cli.kube.operator_pod import Write, run_in_operator
from rowlock_cli.kube.service_account import secret_url
from rowlock_cli.options import CONTEXT, DIRECT, NAMESPACE, WORDS
from rowlock_client import Client, Cursor
from rowlock_client.connection import address_of_environment
from rowlock_client.monitoring import ProcessName, find_process
from rowlock_client.names import find_queue


def client_here() -> Client | None:
    """A client of the database in ROWLOCK_DATABASE_URL(_FILE) or in the operator's Secret; None outside the
    cluster. The caller closes it. Raises ClientError for an address that cannot be used.
    """
    url = address_of_environment() or secret_url()
    if url is None and click.get_current_context().meta.get(DIRECT):
        raise Failed(
            "the operator's pod has no database address; set ROWLOCK_DATABASE_URL_FILE or"
            " ROWLOCK_DATABASE_SECRET on it"
        )
    return Client(url, application_name="rowlock-cli") if url else None


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
def ledger_client(
    *, ask: Callable[[dict[str, Any]], Sequence[str] | None] | None = None, more: Sequence[str] = ()
) -> Iterator[Client]:
    """The ledger within reach; else the command runs in the operator's pod, with the words `more` behind
    those typed, and ends here.

    `ask` belongs to a command that wants a yes first. Nobody can be asked in the pod: it says there what it
    would do (--dry-run), `ask` is given that here, and raises where the answer is no; then it goes there
    again with --yes and the words that `ask` returned.
    """
    client = client_here()
    if client is None:
        if ask:
            answer = bytearray()
            code = in_operator(*more, "--dry-run", "--output", "json", write=answer.extend)
            if code:
                sys.exit(code)
            sys.exit(in_operator(*more, "--yes", *(ask(json.loads(answer)) or ())))
        sys.exit(in_operator(*more))
    try:
        yield client
    finally:
        client.close()


def queue_named(cursor: Cursor, name: str) -> str:
    """The full name of a queue; -n decides where the name alone is not unique. Raises ClientError where there
    is none.
    """
    return find_queue(cursor, name, namespace=namespace_option())


def process_named(cursor: Cursor, name: str) -> ProcessName:
    """The MonitoringProcess of that name; -n decides where it is in more than one namespace. Raises
    ClientError where there is none.
    """
    return find_process(cursor, name, namespace=namespace_option())


def namespace_option() -> str | None:
    """The value of -n."""
    found: str | None = click.get_current_context().meta.get(NAMESPACE)
    return found


def context_option() -> str | None:
    """The value of --context."""
    found: str | None = click.get_current_context().meta.get(CONTEXT)
    return found
