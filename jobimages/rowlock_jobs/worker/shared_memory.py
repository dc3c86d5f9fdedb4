"""A page of memory that parent and child share: the cancel flag one way; the newest progress and the soft
limit the other.

A flag in memory needs no signal and no reader: a task that is busy in C code sees it the next time it looks,
and ten thousand calls of progress() cost the parent nothing.
"""

import json
import mmap
import struct
from uuid import uuid4

PROGRESS_LIMIT_BYTES = 4_000
# Sequence of the run to cancel; version of the progress (odd: being written); its length; 1: the soft limit
# rang; 1: spent; when the soft limit is due.
_HEADER = struct.Struct("=QIIIId")
_VERSION_AT, _LENGTH_AT, _RANG_AT, _SPENT_AT, _DUE_AT = 8, 12, 16, 20, 24


class SharedMemory:
    """Made before the fork. `sequence` numbers the runs of one child, so that a late cancel never hits the
    next run.

    `session_name`: how the child names its sessions in PostgreSQL, so that the parent can end what a dead
    child left there.
    """

    def __init__(self) -> None:
        self.session_name = f"rowlock-task {uuid4().hex[:12]}"
        self._memory = mmap.mmap(-1, _HEADER.size + PROGRESS_LIMIT_BYTES)

    def begin(self) -> None:
        """Child, before a run: no progress, no limit reached. A cancel of an earlier run needs no end, it
        bears that run's number.
        """
        self._memory[_VERSION_AT:_SPENT_AT] = bytes(_SPENT_AT - _VERSION_AT)

    def cancel(self, sequence: int) -> None:
        struct.pack_into("=Q", self._memory, 0, sequence)

    def is_canceled(self, sequence: int) -> bool:
        return bool(struct.unpack_from("=Q", self._memory, 0)[0] == sequence)

    def note_soft_limit(self) -> None:
        """Child: the soft limit was raised in this run."""
        struct.pack_into("=I", self._memory, _RANG_AT, 1)

    @property
    def soft_limit_rang(self) -> bool:
        return bool(struct.unpack_from("=I", self._memory, _RANG_AT)[0])

    def announce_soft_limit(self, at: float) -> None:
        """Child: when the run at work meets its soft limit (monotonic clock); 0.0 once its task is over."""
        struct.pack_into("=d", self._memory, _DUE_AT, at)

    @property
    def unheard_soft_limit_at(self) -> float:
        """Parent: when the soft limit of the run at work is due or was, 0.0 where it rang. Long over: the
        child is in C code.
        """
        return 0.0 if self.soft_limit_rang else float(struct.unpack_from("=d", self._memory, _DUE_AT)[0])

    def spend(self) -> None:
        """Child: no other run may come to this process."""
        struct.pack_into("=I", self._memory, _SPENT_AT, 1)

    @property
    def is_spent(self) -> bool:
        """Parent, with the answer."""
        return bool(struct.unpack_from("=I", self._memory, _SPENT_AT)[0])

    def write_progress(self, progress: bytes) -> None:
        """Child: replaces the progress (JSON). Raises ValueError above PROGRESS_LIMIT_BYTES."""
        if len(progress) > PROGRESS_LIMIT_BYTES:
            raise ValueError(
                f"progress has {len(progress)} bytes of JSON, {PROGRESS_LIMIT_BYTES} are allowed: shorten its"
                " note"
            )
        version = struct.unpack_from("=I", self._memory, _VERSION_AT)[0]
        struct.pack_into("=I", self._memory, _VERSION_AT, version + 1)
        self._memory[_HEADER.size : _HEADER.size + len(progress)] = progress
        struct.pack_into("=I", self._memory, _LENGTH_AT, len(progress))
        struct.pack_into("=I", self._memory, _VERSION_AT, version + 2)

    def read_progress(self) -> str | None:
        """Parent: the newest progress; None where there is none or it is just being written (the next renewal
        takes it).
        """
        _, version, length, *_ = _HEADER.unpack_from(self._memory)
        if version == 0 or version % 2 or length > PROGRESS_LIMIT_BYTES:
            return None
        text = self._memory[_HEADER.size : _HEADER.size + length]
        if struct.unpack_from("=I", self._memory, _VERSION_AT)[0] != version:
            return None
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return None
        return text.decode()
