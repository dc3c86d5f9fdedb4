"""JSON that is small in memory: ten thousand specs and statuses say nearly the same, so they are deflated
against words that we know beforehand.
"""

import json
import zlib
from typing import Any

from rowlock_operator.api import reasons

_AT_REST = (
    reasons.READY,
    reasons.IDLE,
    reasons.NOT_SUSPENDED,
    reasons.STABLE,
    reasons.NOT_THROTTLED,
    reasons.HEALTHY,
)
# raw deflate; small tables, since each call makes them anew (20 us in all)
_WINDOW_BITS, _MEMORY_LEVEL = -15, 5


def _text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _words() -> bytes:
    """What specs and statuses are made of while all is well. No more: each call reads all of it."""
    condition = {"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1, "status": "False"}
    conditions = [
        {**condition, "message": reason.message, "reason": reason.name, "type": "Degraded"}
        for reason in _AT_REST
    ]
    spec = {
        "columns": ["id"],
        "databaseRef": {"key": "url", "secretName": "rowlock-database", "workerKey": "workerUrl"},
        "history": {"deadSeconds": 2592000, "succeededSeconds": 86400},
        "key": "id",
        "limits": {"hardSeconds": 600, "softSeconds": 300, "tasksPerChild": 100},
        "mode": "Workers",
        "pending": "status = 'new'",
        "retry": {
            name: {"backoffSeconds": 10, "limit": 3, "maxBackoffSeconds": 600}
            for name in ("app", "infra", "site")
        },
        "scaling": {"cooldownSeconds": 60, "driver": "Operator", "max": 1, "min": 0, "targetPerReplica": 10},
        "statusColumn": {
            "claimed": "queued",
            "errorColumn": "error",
            "failed": "failed",
            "name": "status",
            "succeeded": "done",
        },
        "workQueueRef": {"name": ""},
    }
    counters = dict.fromkeys(
        (
            "backlog",
            "desiredReplicas",
            "done",
            "pending",
            "readyReplicas",
            "replicas",
            "running",
            "throttled",
        ),
        0,
    )
    status = {
        **counters,
        "backlogDisplay": "0",
        "pendingDisplay": "0",
        "conditions": conditions,
        "observedGeneration": 1,
    }
    return _text(spec) + _text(status)


_WORDS = _words()


def pack(value: Any) -> bytes:
    """Equal values give equal bytes, within one process."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zdict=_WORDS)
    return deflate.compress(_text(value)) + deflate.flush()


def unpack(packed: bytes) -> Any:
    """A fresh copy of the value."""
    inflate = zlib.decompressobj(_WINDOW_BITS, zdict=_WORDS)
    return json.loads(inflate.decompress(packed) + inflate.flush())
