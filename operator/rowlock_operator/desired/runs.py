"""The run that a kube job is built for, as values."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from rowlock_operator.api import reasons

# The API server allows 256 KiB of annotations on one object, and others write there, too (meshes, networks,
# queues); etcd takes 1.5 MiB for one object, and a Secret may hold 1 MiB.
ALL_ANNOTATION_BYTES, ROOM_FOR_OTHERS_BYTES = 256 * 1024, 16 * 1024
ANNOTATION_BYTES = 200 * 1024
SECRET_BYTES = 900 * 1024
# A column that is longer is in the file alone, and so are the longest of more than all that variables may
# have together: kube job and pod are written a dozen times in their lives, and etcd keeps each version for
# minutes.
VARIABLE_BYTES, ALL_VARIABLES_BYTES = 4 * 1024, 16 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class RunToLaunch:
    """One attempt of one run."""

    run_id: str
    attempt: int
    task: str
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowVariables:
    """`given`: name -> text; `in_file_only`: names of the variables that there would be, were their columns
    shorter.
    """

    given: dict[str, str]
    in_file_only: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """`in_file_only` as one text; `*` where the names alone would fill a variable."""
        names = ",".join(self.in_file_only)
        return names if len(names) <= VARIABLE_BYTES else "*"


def row_json(run: RunToLaunch) -> str:
    """The whole row, in one line, keys sorted."""
    return json.dumps(run.args, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def row_variables(run: RunToLaunch) -> RowVariables:
    """`ROW_<NAME>` -> text; text as it is (without NUL), null as nothing, anything else as JSON; large
    columns are left to the file.

    Raises GiveUp where two columns would share a variable.
    """
    made: dict[str, str] = {}
    origin: dict[str, str] = {}
    for column, value in sorted(run.args.items()):
        name = "ROW_" + re.sub(r"[^A-Za-z0-9]", "_", column).upper()
        if name in made:
            raise reasons.ROW_NAMES_COLLIDE.error(one=origin[name], other=column, name=name)
        made[name], origin[name] = _text(value), column
    left_out, room = set[str](), ALL_VARIABLES_BYTES
    for name, size in sorted(
        ((name, len(text.encode())) for name, text in made.items()), key=lambda pair: (pair[1], pair[0])
    ):
        room -= len(name) + size
        if size > VARIABLE_BYTES or room < 0:
            left_out.add(name)
    return RowVariables(
        given={name: text for name, text in made.items() if name not in left_out},
        in_file_only=tuple(sorted(left_out)),
    )


def check_size(run: RunToLaunch, *, by_secret: bool, other_annotations: dict[str, str]) -> None:
    """Raises GiveUp where the row does not fit into a pod that has these annotations, too; the sentence says
    what else to do.
    """
    whole = len(row_json(run).encode())
    others = sum(len(key.encode()) + len(value.encode()) for key, value in other_annotations.items())
    by_annotation = max(0, min(ANNOTATION_BYTES, ALL_ANNOTATION_BYTES - ROOM_FOR_OTHERS_BYTES - others))
    most = SECRET_BYTES if by_secret else by_annotation
    if whole > most:
        remedy = "give the task the key only and let it read the row itself"
        if not by_secret and whole <= SECRET_BYTES:
            remedy = "set spec.rowDelivery of the WorkQueue to Secret, or " + remedy
        raise reasons.ROW_TOO_LARGE.error(run=run.run_id, bytes=whole, most=most, remedy=remedy)


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    )
    return text.replace("\x00", "")
