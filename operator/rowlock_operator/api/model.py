"""The one shape all our models share: camelCase outside, snake_case inside, frozen, unknown fields
ignored.
"""

from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DAY = 86400  # seconds


class Rule(TypedDict, total=False):
    """One `x-kubernetes-validations` entry; `message` says what to change."""

    rule: str
    message: str
    messageExpression: str
    fieldPath: str
    reason: str


def rule(expression: str, message: str, field_path: str | None = None) -> Rule:
    """A CEL rule whose failure shows `message`, at `field_path` of the object that carries the rule."""
    made: Rule = {"rule": expression, "message": message}
    if field_path:
        made["fieldPath"] = field_path
    return made


def rules(*given: Rule) -> dict[str, Any]:
    """What a model puts into `json_schema_extra` to carry CEL rules."""
    return {"x-kubernetes-validations": list(given)}


class ApiModel(BaseModel):
    """Lenient on purpose: the API server has validated; an older operator must survive fields of a
    newer one.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
OPEN: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


def keyed(*keys: str) -> dict[str, Any]:
    """A list whose items are told apart by `keys`, so that server-side apply merges instead of replacing."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def shaped(pattern: str, advice: str, *, at_most: int) -> Any:
    """Field of a text that must match `pattern`; the schema says it as a CEL rule with `advice` as its
    message.
    """
    return Field(min_length=1, max_length=at_most, pattern=pattern, json_schema_extra={"x-advice": advice})


DnsLabel = Annotated[
    str,
    shaped(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "use lower-case letters, digits and '-', beginning and ending with a letter or digit",
        at_most=63,
    ),
]
DnsName = Annotated[
    str,
    shaped(
        r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        "use the name of an object: lower-case letters, digits, '-' and '.', beginning and ending with a"
        " letter or digit",
        at_most=253,
    ),
]
SecretKey = Annotated[
    str, shaped(r"^[-._a-zA-Z0-9]+$", "use the name of a key: letters, digits, '-', '_' and '.'", at_most=253)
]
TaskName = Annotated[
    str,
    shaped(
        r"^[A-Za-z_][A-Za-z0-9_.-]*$",
        "use the task's registered name: letters, digits, '_', '.' and '-', beginning with a letter or '_'",
        at_most=100,
    ),
]
ModuleName = Annotated[
    str,
    shaped(
        r"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*$",
        "use the dotted name of a Python module, for example shop.tasks (not a path)",
        at_most=200,
    ),
]
ColumnName = Annotated[
    str,
    shaped(
        r"^[^\x00-\x1f\x7f\"]+$",
        "use the column's name exactly as the database shows it, without quotes",
        at_most=63,
    ),
]
