"""The ledger of a later release, for tests of how one is brought up to it."""

import shutil
from dataclasses import replace
from importlib.resources import as_file
from pathlib import Path

from rowlock_ledger.install import LEDGER, Schema

LATER = "9.0.0"
LATER_MIGRATION = "9.0.0_01_later"


def ledger_script() -> str:
    """The whole ledger as one text for psql, without a note that it was applied."""
    steps = [*LEDGER.once(*LEDGER.tables), *LEDGER.files("functions"), *LEDGER.once("schema_end.sql")]
    return "\n".join(["set check_function_bodies = off;", *(text for _, text in steps)])


def later_ledger(folder: Path, migration: str) -> Schema:
    """Today's ledger with one migration more, of a later release; its files are copied into `folder`."""
    with as_file(LEDGER.folder) as ours:
        shutil.copytree(
            ours, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py*", "__pycache__")
        )
    (folder / "migrations").mkdir(exist_ok=True)
    (folder / f"migrations/{LATER_MIGRATION}.sql").write_text(migration)
    return replace(LEDGER, folder=folder, release=LATER)
