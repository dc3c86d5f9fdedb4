"""The options that all commands have, and where their values are kept."""

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


def _remember(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def note(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            context.meta[key] = value

    return note
