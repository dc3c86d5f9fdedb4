"""Brings a schema of ours in one database to this version: its tables once, changes to them once each, its
functions whenever they differ.

A schema is a folder of `.sql` files that say what is true today: what makes the tables (`schema.sql`), one
file a function (`functions/`, replaced by `create or replace`), what needs both once (`schema_end.sql`), what
is repeated each time (`each_time/`), and for databases of an earlier release the way to here (`migrations/`,
in the order of their names). A new database gets the tables as they are and no migration.

The table `<name>.migration` holds the names of the migrations that a database has had, and the build of its
functions (`0.1.0+<digest>`). A build of a later release is left alone: an operator of before, started again
while the next one is rolled out, must not bring back its functions.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from rowlock_ledger.statements import load_statements

RELEASE = "0.1.0"
"""Of this package; the first part of a build."""
_SQL = load_statements("rowlock_ledger", "install.sql")
_BUILD = re.compile(r"(\d+(?:\.\d+)*)\S*\+[0-9a-f]{12}")


class Cursor(Protocol):
    """What is used of psycopg2's."""

    def execute(self, query: str, vars: dict[str, Any] | None = None) -> object: ...  # noqa: A002
    def fetchone(self) -> tuple[Any, ...] | None: ...
    def fetchall(self) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Schema:
    """A folder of SQL as this module's door has it. `tables` are the files that make the tables, in their
    order.
    """

    name: str
    folder: Traversable
    tables: tuple[str, ...] = ("schema.sql",)
    release: str = RELEASE

    @cached_property
    def build(self) -> str:
        """The release and a digest of all its files, such as 0.1.0+3f2a9c1b7d20."""
        digest = sha256()
        for step, text in self._all():
            digest.update(f"{step}\0{text}\0".encode())
        return f"{self.release}+{digest.hexdigest()[:12]}"

    @property
    def versions(self) -> tuple[str, ...]:
        """What an up to date database has noted: every migration, and the build."""
        return (*(step for step, _ in self.files("migrations")), self.build)

    def missing(self, applied: Collection[str]) -> list[str]:
        """What a database lacks that has noted `applied`, in the order to apply it."""
        later = any(_release(version) > _release(self.build) for version in applied)
        return [
            version
            for version in self.versions
            if version not in applied and not (later and version == self.build)
        ]

    def unknown(self, applied: Collection[str]) -> list[str]:
        """What a database has noted that only a later release can know."""
        return [
            version
            for version in applied
            if version not in self.versions
            and (not _release(version) or _release(version) > _release(self.build))
        ]

    def files(self, part: str) -> list[tuple[str, str]]:
        """(name without .sql, text) of the files of a folder in the order of their names; none where it is
        not there.
        """
        folder = self.folder.joinpath(part)
        found = [file for file in folder.iterdir() if file.name.endswith(".sql")] if folder.is_dir() else []
        return [_read(file) for file in sorted(found, key=lambda file: file.name)]

    def once(self, *names: str) -> list[tuple[str, str]]:
        """The same for single files; those that are not there are left out."""
        found = [self.folder.joinpath(name) for name in names]
        return [_read(file) for file in found if file.is_file()]

    def _all(self) -> Iterator[tuple[str, str]]:
        yield from self.once(*self.tables, "schema_end.sql")
        for part in ("migrations", "functions", "each_time"):
            yield from self.files(part)


LEDGER = Schema("rowlock", files("rowlock_ledger"))


def install(
    cursor: Cursor, schema: Schema, *, before: Callable[[str], None] = lambda step: None
) -> list[str]:
    """Applies what this database lacks of a schema and returns the names of it.

    cursor: in a transaction of the caller's, who commits: all or nothing. Several may call it at once: one
    works, the others wait for its end. Where nothing is missing and nothing is repeated each time, no lock is
    asked for.
    before: is told the name of each file before it is applied, for the caller's errors.

    Raises nothing of its own; errors are the driver's.
    """
    each_time = schema.files("each_time")
    if not each_time and not schema.missing(_applied(cursor, schema)):
        return []
    cursor.execute(_SQL["lock"])
    applied = _applied(cursor, schema)
    missing = schema.missing(applied)
    steps: list[tuple[str, str]] = []
    if not applied:
        steps += schema.once(*schema.tables)
    else:
        steps += [step for step in schema.files("migrations") if step[0] in missing]
    if schema.build in missing:
        steps += schema.files("functions")
    if not applied:
        steps += schema.once("schema_end.sql")
    # Functions call each other, and the order of their names is not the order of their calls.
    cursor.execute(_SQL["bodies_unchecked"])
    for step, text in steps + each_time:
        before(step)
        cursor.execute(text)
    if schema.build in missing:
        for version in applied:
            if _release(version):
                cursor.execute(_SQL["remove"].format(schema=schema.name), {"version": version})
    for version in missing:
        cursor.execute(_SQL["add"].format(schema=schema.name), {"version": version})
    return missing


def _applied(cursor: Cursor, schema: Schema) -> list[str]:
    cursor.execute(_SQL["is_there"], {"name": f"{schema.name}.migration"})
    if not (cursor.fetchone() or (False,))[0]:
        return []
    cursor.execute(_SQL["applied"].format(schema=schema.name))
    return [version for (version,) in cursor.fetchall()]


def _release(version: str) -> tuple[int, ...]:
    """The release of a build in numbers; () for a migration."""
    build = _BUILD.fullmatch(version)
    return tuple(map(int, build.group(1).split("."))) if build else ()


def _read(file: Traversable) -> tuple[str, str]:
    return file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")
