"""From an object as the API server sends it to our models; the one place where a validation error becomes a
sentence.
"""

from typing import Any, TypeVar

from pydantic import ValidationError

from rowlock_operator.api.model import ApiModel
from rowlock_operator.api.monitoring_process import MonitoringProcess
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.errors import InvalidSpec

Kind = TypeVar("Kind", bound=ApiModel)


def parse_work_queue(manifest: dict[str, Any]) -> WorkQueue:
    """A WorkQueue; raises InvalidSpec naming the first wrong field. Unknown fields are ignored."""
    return _parse(WorkQueue, manifest)


def parse_row_source(manifest: dict[str, Any]) -> RowSource:
    """A RowSource; raises InvalidSpec naming the first wrong field. Unknown fields are ignored."""
    return _parse(RowSource, manifest)


def parse_monitoring_process(manifest: dict[str, Any]) -> MonitoringProcess:
    """A MonitoringProcess; raises InvalidSpec naming the first wrong field. Unknown fields are ignored."""
    return _parse(MonitoringProcess, manifest)


def _parse(model: type[Kind], manifest: dict[str, Any]) -> Kind:
    # A status is our own words: an older or newer operator's odd one must not keep the spec from being read.
    try:
        return model.model_validate(manifest)
    except ValidationError as wrong:
        if all(error["loc"][:1] == ("status",) for error in wrong.errors()):
            return model.model_validate({key: value for key, value in manifest.items() if key != "status"})
        first = next(error for error in wrong.errors() if error["loc"][:1] != ("status",))
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidSpec(
            field, f"{first['msg']}. Correct this field; `kubectl explain` describes it."
        ) from wrong
