"""The queue and the source that rows flow through here, and what must be true of them afterwards."""

from tests.services.manifests import STATUS_COLUMN, row_source, work_queue
from tests.services.operator_room import OperatorRoom

QUEUE = work_queue("orders", imports=["tests.services.journal_tasks"], tasks=["count"])
SOURCE = row_source("orders", workQueueRef={"name": "orders"}, task="count", statusColumn=STATUS_COLUMN)


def every_row_ran_once(room: OperatorRoom, rows: int) -> None:
    begun = [(line.run, line.attempt) for line in room.journal.lines()]
    assert len(begun) == len(set(begun)) == rows
    assert [(state, attempt) for _, state, attempt, _, _ in room.runs()] == [("succeeded", 1)] * rows


def uids(room: OperatorRoom) -> dict[str, str]:
    """Kube job -> uid."""
    return {job["metadata"]["name"]: job["metadata"]["uid"] for job in room.kube_jobs()}
