"""Finds a RowSource whose rows would be taken again for ever: the status that Rowlock writes leaves `pending`
true.
"""

from typing import Final

from sqlglot import exp

from rowlock_operator.api import reasons
from rowlock_operator.api.row_source import StatusColumn
from rowlock_operator.decide.pending import FIELD, column_name, parse
from rowlock_operator.errors import InvalidSpec

Known = bool | str | None  # None is SQL's null


class Unknown:
    """A value that depends on the row."""


UNKNOWN: Final = Unknown()
Value = Known | Unknown
_TRUE, _FALSE = ("t", "true", "y", "yes", "on", "1"), ("f", "false", "n", "no", "off", "0")


def check_status_values(pending: str, status: StatusColumn) -> None:
    """Raises InvalidSpec where `pending` would stay true after Rowlock wrote one of the values. `pending` was
    checked before.
    """
    tree = parse(pending)
    if status.name not in {column_name(column) for column in tree.find_all(exp.Column)}:
        raise InvalidSpec(
            FIELD,
            f"it does not look at {status.name}, so a row would be pending again after its run: add a"
            f" condition on {status.name}",
            reasons.PENDING_STAYS_TRUE.name,
        )
    for field in ("claimed", "succeeded", "failed", "canceled", "unknown"):
        value = getattr(status, field)
        if value is not None and truth_with(pending, column=status.name, value=value) is True:
            raise InvalidSpec(
                FIELD,
                f"it is still true once Rowlock has written {status.name} = {value!r} (statusColumn.{field}),"
                " so the row would be taken again: change the condition or the value",
                reasons.PENDING_STAYS_TRUE.name,
            )


def waiting_value(pending: str, column: str) -> str | None:
    """A value of `column` with which a row waits, of those that `pending` names; None where it names none."""
    said = [literal.name for literal in parse(pending).find_all(exp.Literal) if literal.is_string]
    truths = {value: truth_with(pending, column=column, value=value) for value in said}
    return next(
        (value for wanted in (True, UNKNOWN) for value, truth in truths.items() if truth is wanted), None
    )


def truth_with(text: str, *, column: str, value: str) -> Value:
    """Whether the expression is true for every row whose `column` is `value`; UNKNOWN where it depends on
    more.
    """
    return _truth(_evaluate(parse(text), column, value))


def _evaluate(node: exp.Expr, column: str, value: str) -> Value:
    """SQL's three-valued logic over what is known; everything else of the row is UNKNOWN."""

    def of(child: exp.Expr) -> Value:
        return _evaluate(child, column, value)

    match node:
        case exp.Paren():
            return of(node.this)
        case exp.Cast():
            return of(node.this) if node.to.is_type("text", "varchar", "char") else UNKNOWN
        case exp.Column():
            return value if column_name(node) == column else UNKNOWN
        case exp.Literal():
            return str(node.this)
        case exp.Boolean():
            return bool(node.this)
        case exp.Null():
            return None
        case exp.And():
            return _all(_truth(of(node.left)), _truth(of(node.right)))
        case exp.Or():
            return _not(_all(_not(_truth(of(node.left))), _not(_truth(of(node.right)))))
        case exp.Not():
            return _not(_truth(of(node.this)))
        case exp.EQ():
            return _equal(of(node.left), of(node.right))
        case exp.NEQ():
            return _not(_equal(of(node.left), of(node.right)))
        case exp.In() if node.expressions:
            return _in([_equal(of(node.this), of(item)) for item in node.expressions])
        case exp.Is():
            return _is(of(node.this), of(node.expression), negate=bool(node.args.get("negate")))
        case _:
            return UNKNOWN


def _truth(value: Value) -> Value:
    """A value where a boolean is wanted."""
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else UNKNOWN
    return value


def _not(value: Value) -> Value:
    return not value if isinstance(value, bool) else value


def _all(left: Value, right: Value) -> Value:
    if left is False or right is False:
        return False
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    return None if left is None or right is None else True


def _in(found: list[Value]) -> Value:
    """x IN (...) is x = a OR x = b ..."""
    made: Value = False
    for one in found:
        made = _not(_all(_not(made), _not(one)))
    return made


def _equal(left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    if isinstance(left, bool) or isinstance(right, bool):
        left, right = _truth(left), _truth(right)
        return UNKNOWN if isinstance(left, Unknown) or isinstance(right, Unknown) else left is right
    return left == right


def _is(value: Value, wanted: Value, *, negate: bool) -> Value:
    """IS NULL, IS TRUE, IS FALSE: never null themselves."""
    if isinstance(wanted, bool):
        value = _truth(value)
    if isinstance(value, Unknown) or isinstance(wanted, Unknown):
        return UNKNOWN
    return (value is wanted) is not negate
