"""Checks RowSource.spec.pending with a real SQL parser: exactly one boolean expression over the columns of
one row.

Who writes a RowSource may not be who may read every table: the expression runs with the operator's role.
Hence a list of what is allowed instead of one of what is not, and hence no characters about which two SQL
parsers could disagree (comments, backslashes, $). The list: comparison and boolean operators, IN, BETWEEN,
LIKE, IS [NOT] NULL / DISTINCT FROM, arithmetic, ||, CASE, CAST to a plain type, JSON operators, AT TIME ZONE,
ANY(ARRAY[...]), literals, columns, and the functions of FUNCTIONS.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ParseError, SqlglotError

from rowlock_operator.errors import InvalidSpec

FIELD = "spec.pending"
FUNCTIONS = (
    "abs, age, btrim, ceil, char_length, coalesce, current_date, current_timestamp, date_part, date_trunc,"
    " extract, floor, greatest, jsonb_array_length, least, left, length, localtimestamp, lower, mod, now,"
    " nullif, position, right, round, starts_with, substring, trim, upper"
)
_BY_NAME = frozenset(FUNCTIONS.split(", "))
# Words that may stand before a parenthesis without being a function.
_NO_CALL = frozenset(
    {
        *(
            "all",
            "and",
            "any",
            "array",
            "between",
            "by",
            "case",
            "else",
            "escape",
            "exists",
            "from",
            "ilike",
            "in",
            "is",
            "like",
            "not",
        ),
        *("or", "over", "then", "to", "when"),
        *("cast", "char", "decimal", "numeric", "time", "timestamp", "timestamptz", "varchar"),
    }
)
# One node may stand for several functions, of other databases too; hence the names are checked as well.
_FUNCTION_NODES: tuple[type[exp.Expr], ...] = (
    exp.Abs,
    exp.Ceil,
    exp.Coalesce,
    exp.CurrentDate,
    exp.CurrentTimestamp,
    exp.Extract,
    exp.Floor,
    exp.Greatest,
    exp.Least,
    exp.Left,
    exp.Length,
    exp.Localtimestamp,
    exp.Lower,
    exp.Mod,
    exp.Nullif,
    exp.Right,
    exp.Round,
    exp.StartsWith,
    exp.StrPosition,
    exp.Substring,
    exp.TimestampTrunc,
    exp.Trim,
    exp.Upper,
)
_PREDICATES: tuple[type[exp.Expr], ...] = (
    exp.And,
    exp.Or,
    exp.Not,
    exp.EQ,
    exp.NEQ,
    exp.LT,
    exp.LTE,
    exp.GT,
    exp.GTE,
    exp.Is,
    exp.In,
    exp.Between,
    exp.Like,
    exp.ILike,
    exp.Escape,
    exp.SimilarTo,
    exp.RegexpLike,
    exp.RegexpILike,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.Boolean,
    exp.ArrayContainsAll,
    exp.JSONBContainsTopKey,
    exp.StartsWith,
)
_MAY_BE_BOOLEAN: tuple[type[exp.Expr], ...] = (exp.Column, exp.Coalesce, exp.Case, exp.Nullif)
_VALUES: tuple[type[exp.Expr], ...] = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Null,
    exp.Paren,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Neg,
    exp.DPipe,
    exp.Cast,
    exp.DataType,
    exp.DataTypeParam,
    exp.Interval,
    exp.Var,
    exp.Case,
    exp.If,
    exp.Any,
    exp.Array,
    exp.AtTimeZone,
    exp.JSONExtract,
    exp.JSONExtractScalar,
    exp.JSONPath,
    exp.JSONPathRoot,
    exp.JSONPathKey,
    exp.JSONPathSubscript,
)
_ALLOWED = frozenset((*_FUNCTION_NODES, *_PREDICATES, *_VALUES))
_ODD = (
    (";", "it holds ';': write one expression only"),
    ("--", "it holds a comment (--): remove it"),
    ("/*", "it holds a comment (/*): remove it"),
    ("\\", "it holds a backslash: write the character itself, or compare in another way"),
    ("\x00", "it holds a NUL character: remove it"),
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_QUERIES = (exp.Query, exp.Subquery, exp.Exists)
_PARAMETERS = (exp.Placeholder, exp.Parameter)
_STRINGS = (exp.ByteString, exp.RawString, exp.UnicodeString, exp.HexString, exp.BitString, exp.National)


@dataclass(frozen=True, slots=True)
class PendingExpression:
    """A checked expression. `columns` as PostgreSQL reads them: without quotes in lower case."""

    text: str
    columns: frozenset[str]


def check_pending(text: str) -> PendingExpression:
    """The expression, checked. Raises InvalidSpec whose sentence tells the remedy."""
    tree = parse(text)
    query = tree.find(*_QUERIES)
    if query is not None:
        raise InvalidSpec(FIELD, _why_not(query))
    _check_calls(text)
    for node in tree.walk():
        _check_node(node)
    _check_boolean(tree)
    return PendingExpression(
        text.strip(), frozenset(column_name(column) for column in tree.find_all(exp.Column))
    )


def parse(text: str) -> exp.Expr:
    """The tree of exactly one expression, of whatever nodes. Raises InvalidSpec."""
    for odd, why in _ODD:
        if odd in text:
            raise InvalidSpec(FIELD, why)
    if "$" in _QUOTED.sub("", text):
        raise InvalidSpec(FIELD, "it holds '$' outside of single quotes: write text in single quotes")
    if not text.strip():
        raise InvalidSpec(
            FIELD, "it is empty: write the condition that a waiting row fulfils, for example status = 'new'"
        )
    try:
        trees = sqlglot.parse(text, dialect="postgres")
    except (SqlglotError, RecursionError) as wrong:
        raise InvalidSpec(FIELD, f"{text!r} is not a SQL expression{_place(wrong)}: correct it") from wrong
    if len(trees) != 1 or trees[0] is None:
        raise InvalidSpec(FIELD, "it is not exactly one expression: write one condition")
    return trees[0]


def column_name(column: exp.Column) -> str:
    """The name as PostgreSQL reads it."""
    return column.name if column.this.args.get("quoted") else column.name.lower()


def _check_node(node: exp.Expr) -> None:
    if isinstance(node, exp.Column) and node.args.get("table") is not None:
        raise InvalidSpec(
            FIELD, f"{node.sql(dialect='postgres')} names a table: write the column alone, {node.name}"
        )
    if isinstance(node, exp.DataType):
        _check_type(node)
    if isinstance(node, exp.Anonymous):
        _check_function(str(node.this).lower())
    elif type(node) not in _ALLOWED:
        raise InvalidSpec(FIELD, _why_not(node))


def _check_calls(text: str) -> None:
    """Every word before a parenthesis: the parser reads another database's name, such as ifnull, as one of
    the list.
    """
    for word, following in pairwise(sqlglot.tokenize(text, dialect="postgres")):
        if following.token_type is not TokenType.L_PAREN or not (
            word.text[:1].isalpha() or word.text[:1] == "_"
        ):
            continue
        if word.token_type is TokenType.IDENTIFIER:
            raise InvalidSpec(FIELD, f'function "{word.text}" is quoted: write it without quotes')
        if word.token_type is not TokenType.STRING and word.text.lower() not in _NO_CALL:
            _check_function(word.text.lower())


def _check_function(name: str) -> None:
    if name in ("clock_timestamp", "statement_timestamp", "timeofday"):
        raise InvalidSpec(FIELD, f"{name}() has another value for each row: write now()")
    if name not in _BY_NAME:
        raise InvalidSpec(
            FIELD,
            f"function {name} is not allowed here: use only {FUNCTIONS}, or keep its result in a column",
        )


def _place(wrong: Exception) -> str:
    where = wrong.errors[0].get("col") if isinstance(wrong, ParseError) and wrong.errors else None
    return f" (near character {where})" if where else ""


def _check_type(node: exp.DataType) -> None:
    if node.is_type("userdefined", "unknown", "object"):
        raise InvalidSpec(
            FIELD,
            f"type {node.sql(dialect='postgres')} is not a plain type: cast to text, a number, a date or"
            " time, boolean, uuid or jsonb",
        )


def _why_not(node: exp.Expr) -> str:
    shown = node.sql(dialect="postgres")
    if isinstance(node, _QUERIES):
        return (
            f"it holds a query ({shown}): keep what it finds in a column of the table, or name a view in"
            " spec.table"
        )
    if isinstance(node, _PARAMETERS):
        return f"it holds a parameter ({shown}): write the value itself"
    if isinstance(node, _STRINGS):
        return f"it holds a string in a special form ({shown}): write it in single quotes"
    if isinstance(node, exp.Window | exp.AggFunc):
        return f"{shown} looks at other rows: the condition is about one row alone"
    if isinstance(node, exp.Func):
        name = node.sql_name().lower()
        return f"function {name} is not allowed here: use only {FUNCTIONS}, or keep its result in a column"
    return f"{shown} is not allowed here: write a condition of columns, comparisons, AND, OR, NOT and values"


def _check_boolean(tree: exp.Expr) -> None:
    while isinstance(tree, exp.Paren):
        tree = tree.this
    if isinstance(tree, exp.Cast) and tree.to.is_type("boolean"):
        return
    if not isinstance(tree, (*_PREDICATES, *_MAY_BE_BOOLEAN)):
        raise InvalidSpec(
            FIELD,
            f"{tree.sql(dialect='postgres')} is a value, not a condition: compare it with something, for"
            " example status = 'new'",
        )
