"""What help and the commands import: no library that only others need."""

import subprocess
import sys

import click
import pytest

from rowlock_cli.commands import COMMANDS
from rowlock_cli.lazy import LazyGroup
from rowlock_cli.main import rowlock

HEAVY = ("kubernetes", "pydantic", "sqlglot", "redis", "aiohttp")


def imported(program: str, names: tuple[str, ...]) -> list[str]:
    ask = f"{program}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_help_imports_neither_the_client_nor_psycopg2() -> None:
    help_of_all = "from rowlock_cli.main import rowlock\nrowlock(['--help'], standalone_mode=False)"
    assert imported(help_of_all, (*HEAVY, "psycopg2", "rowlock_client")) == []


@pytest.mark.parametrize("module", sorted({e.target.partition(":")[0] for e in COMMANDS.values()}))
def test_no_command_imports_the_clusters_or_the_operators_libraries(module: str) -> None:
    assert imported(f"import {module}", HEAVY) == []


def groups(group: LazyGroup) -> list[LazyGroup]:
    context = click.Context(group)
    below = [group.get_command(context, name) for name in group.entries]
    return [group, *(one for each in below if isinstance(each, LazyGroup) for one in groups(each))]


def test_the_table_of_commands_says_what_their_help_begins_with() -> None:
    assert isinstance(rowlock, LazyGroup)
    for group in groups(rowlock):
        for name, entry in group.entries.items():
            command = group.get_command(click.Context(group), name)
            assert command is not None
            assert (command.name, command.get_short_help_str(200)) == (name, entry.summary)
