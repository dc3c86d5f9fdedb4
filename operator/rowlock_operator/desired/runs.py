"""The run that a kube job is built for, as values."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from rowlock_operator.api import reasons

# The API server allows 256 KiB of annotations on one object; Linux allows 128 KiB for one variable; etcd 1.5 MiB for one object.
ANNOTATION_BYTES = 200 * 1024
VARIABLE_BYTES = 120 * 1024
SECRET_BYTES = 450 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class RunToLaunch:
    """One attempt of one run."""

    run_id: str
    attempt: int
    task: str
    args: dict[str, Any] = field(default_factory=dict)


def row_json(run: RunToLaunch) -> str:
    """The whole row, in one line, keys sorted."""
    return json.dumps(run.args, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def row_variables(run: RunToLaunch) -> dict[str, str]:
    """`ROW_<NAME>` -> text; text as it is (without NUL), null as nothing, anything else as JSON.

    Raises GiveUp where two columns would share a variable.
    """
    made: dict[str, str] = {}
    origin: dict[str, str] = {}
    for column, value in sorted(run.args.items()):
        name = "ROW_" + re.sub(r"[^A-Za-z0-9]", "_", column).upper()
        if name in made:
            raise reasons.ROW_NAMES_COLLIDE.error(one=origin[name], other=column, name=name)
        made[name], origin[name] = _text(value), column
    return made


def check_size(run: RunToLaunch, *, by_secret: bool) -> None:
    """Raises GiveUp where the row does not fit into a pod; the sentence says what else to do."""
    whole = len(row_json(run).encode())
    largest = max((len(text.encode()) for text in row_variables(run).values()), default=0)
    most = SECRET_BYTES if by_secret else ANNOTATION_BYTES
    if whole > most or largest > VARIABLE_BYTES:
        remedy = "give the task the key only and let it read the row itself"
        if not by_secret and whole <= SECRET_BYTES and largest <= VARIABLE_BYTES:
            remedy = "set spec.rowDelivery of the WorkQueue to Secret, or " + remedy
        raise reasons.ROW_TOO_LARGE.error(run=run.run_id, bytes=whole, most=most, remedy=remedy)


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("\x00", "")
