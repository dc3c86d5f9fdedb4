"""Groups that import a command only when it is called: the help of all of them needs none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

EXIT_CODES = "Exit codes: 0 done, 1 not found or failed, 2 wrong usage."
"""What stands under the help of a command that says nothing else."""


@dataclass(frozen=True)
class Entry:
    """A command that is not imported yet. `target` is module:name; `summary` is what its help begins with."""

    target: str
    summary: str


class LazyGroup(click.Group):
    """A group of Entry by name, in the order of its table."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **more: Any) -> None:
        super().__init__(*args, **({"epilog": EXIT_CODES} | more))
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        if command.epilog is None:
            command.epilog = EXIT_CODES
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.entries[name].summary) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=self.entries[name].summary) for name in names),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]
