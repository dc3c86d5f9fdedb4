"""The options that commands share, and where the values of those that all have are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

WORDS = "rowlock_cli.words"
DIRECT = "rowlock_cli.direct"
NAMESPACE = "rowlock_cli.namespace"
CONTEXT = "rowlock_cli.context"

_F = TypeVar("_F", bound=Callable[..., Any])


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


def limit_option(command: _F) -> _F:
    """--limit N of a list that shows the newest first, as `limit`: 1 to 10,000, 50 unless said."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 10_000),
        default=50,
        show_default=True,
        help="At most so many, the newest.",
    )(command)


def _remember(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def note(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            context.meta[key] = value

    return note
