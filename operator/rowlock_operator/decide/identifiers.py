"""Names of a user's table and columns, taken exactly as the database shows them; the rows room quotes
them.
"""

from rowlock_operator.errors import InvalidSpec

# NAMEDATALEN - 1: PostgreSQL would cut a longer name silently and then not find it.
LONGEST_BYTES = 63


def parse_table(text: str) -> tuple[str, str]:
    """`schema.table` or `table` -> (schema, table); double quotes are only needed around a name with a blank
    or a dot.

    Capitals and reserved words need no quotes here, since every name is quoted when it is used. Raises
    InvalidSpec.
    """
    parts = _parts(text)
    if len(parts) > 2:
        raise InvalidSpec(
            "spec.table",
            f"{text!r} has {len(parts)} parts: write schema.table; the database is the one of databaseRef",
        )
    schema, table = parts if len(parts) == 2 else ["public", parts[0]]
    _check("spec.table", schema)
    _check("spec.table", table)
    if schema in ("rowlock", "pg_catalog", "information_schema") or schema.startswith("pg_"):
        raise InvalidSpec(
            "spec.table", f"schema {schema} belongs to Rowlock or PostgreSQL: name a table of your own"
        )
    return schema, table


def parse_order(items: list[str], key: str) -> tuple[tuple[str, bool], ...]:
    """(column, descending) of each item of orderBy, and the key last, so that equal rows have an order too.
    Raises InvalidSpec.
    """
    made: list[tuple[str, bool]] = []
    for item in items:
        head, blank, tail = item.strip().rpartition(" ")
        column, descending = (
            (head.strip(), tail.lower() == "desc")
            if blank and tail.lower() in ("asc", "desc")
            else (item.strip(), False)
        )
        _check("spec.orderBy", column)
        if column in (seen for seen, _ in made):
            raise InvalidSpec("spec.orderBy", f"column {column} is given twice: remove one")
        made.append((column, descending))
    return tuple(made) if key in (column for column, _ in made) else (*made, (key, False))


def _parts(text: str) -> list[str]:
    """Splits at dots outside double quotes; a doubled quote inside quotes is one quote."""
    parts, current, quoted, was_quoted, position = [], "", False, False, 0
    while position < len(text):
        letter = text[position]
        if quoted and letter == '"' and text[position + 1 : position + 2] == '"':
            current, position = current + '"', position + 1
        elif letter == '"':
            if not quoted and (current or was_quoted):
                raise InvalidSpec(
                    "spec.table", f"{text!r} has a quote in the middle of a name: quote the whole name"
                )
            quoted, was_quoted = not quoted, True
        elif letter == "." and not quoted:
            parts.append(current)
            current, was_quoted = "", False
        elif was_quoted and not quoted:
            raise InvalidSpec("spec.table", f"{text!r} goes on after a closing quote: quote the whole name")
        elif not quoted and letter.isspace():
            raise InvalidSpec(
                "spec.table", f"{text!r} has a blank: put the name that holds it into double quotes"
            )
        else:
            current += letter
        position += 1
    if quoted:
        raise InvalidSpec("spec.table", f"{text!r} has an opening quote without a closing one: close it")
    return [*parts, current]


def _check(field: str, name: str) -> None:
    if not name:
        raise InvalidSpec(
            field, "a name is empty: write schema.table, and columns as the database shows them"
        )
    if "\x00" in name:
        raise InvalidSpec(field, "a name holds a NUL character: remove it")
    if len(name.encode()) > LONGEST_BYTES:
        raise InvalidSpec(
            field, f"{name!r} is longer than PostgreSQL's {LONGEST_BYTES} bytes: no such name can exist"
        )
