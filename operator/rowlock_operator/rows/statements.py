"""Loads named statements: a file holds several, each after a line `-- name: <name>` and comments that say its
purpose.
"""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of `sql/<file>.sql` by name, comments removed."""
    text = (files(__package__) / "sql" / f"{file}.sql").read_text()
    parts = _NAME.split(text)[1:]
    bodies = (re.sub(r"^\s*--.*\n", "", body, flags=re.MULTILINE).strip().rstrip(";") for body in parts[1::2])
    return dict(zip(parts[::2], bodies, strict=True))
