"""Loads named statements: a `.sql` file holds several, each after a line `-- name: NAME` and comment lines
that say its purpose.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name:[ \t]*(.*?)[ \t]*$\n?", re.MULTILINE)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_COMMENT = re.compile(r"^[ \t]*--.*\n?", re.MULTILINE)


class StatementsInvalid(ValueError):
    """A file of statements is not what `load_statements` reads; the text names file and statement."""


@cache
def load_statements(package: str, *paths: str) -> Mapping[str, str]:
    """The statements of these files by name, without their comment lines and without a last semicolon.

    package: the importable package that the files belong to, such as `__package__`.
    paths: of the files within it, such as "sql/runs.sql"; together they are one set of names.

    Raises StatementsInvalid for a file without a name, a name twice (also in two of the files), one that is
    no identifier in lower case, and a statement without text; FileNotFoundError where there is no such file.
    To be called while a module is imported, so that none of these waits for the first use.
    """
    found: dict[str, str] = {}
    for path in paths:
        text = files(package).joinpath(path).read_text(encoding="utf-8")
        for name, statement in parse_statements(text, f"{package}/{path}"):
            if name in found:
                raise StatementsInvalid(f"{package}/{path}: there is another statement {name!r}")
            found[name] = statement
    return MappingProxyType(found)


def parse_statements(text: str, where: str) -> list[tuple[str, str]]:
    """(name, statement) in the order of the text. `where` names the text in errors. Raises as load_statements
    does, except for a name that is there twice.
    """
    before, *parts = _NAME.split(text)
    if not parts:
        raise StatementsInvalid(f"{where}: no line says `-- name: NAME`")
    if _without_comments(before):
        raise StatementsInvalid(f"{where}: a statement stands before the first name")
    named = list(zip(parts[::2], map(_without_comments, parts[1::2]), strict=True))
    for name, statement in named:
        if not _IDENTIFIER.fullmatch(name):
            raise StatementsInvalid(f"{where}: {name!r} is no name: a-z, 0-9 and _, a letter first")
        if not statement:
            raise StatementsInvalid(f"{where}: {name!r} has no statement")
    return named


def _without_comments(text: str) -> str:
    return _COMMENT.sub("", text).strip().removesuffix(";").rstrip()
