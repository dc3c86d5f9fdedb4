"""Messages between a parent and its child: a mark, a length and a JSON array.

JSON, so that task code cannot make the parent execute anything; the mark, so that whatever a task writes into
the channel is seen to be no message at once, however few bytes it is.
"""

import json
import socket
import struct
from typing import Any

_MARK = b"rwlk"
_HEAD = struct.Struct(f">{len(_MARK)}sI")
_CHUNK_BYTES = 65_536
IMPORT_FAILED = 72  # exit code of a child that could not import the tasks
UNHEARD = 71  # exit code of a child whose answer cannot be sent

Message = list[Any]


class Spoiled(ValueError):
    """What arrived is no message of ours: somebody else wrote into the channel."""


def send(channel: socket.socket, *parts: Any) -> None:
    """Sends one message; blocks until it is on its way. Raises OSError where the other side is gone."""
    body = json.dumps(parts, separators=(",", ":")).encode()
    channel.sendall(_HEAD.pack(_MARK, len(body)) + body)


class Reader:
    """Cuts a stream into messages."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._buffer = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether everything that was taken in has been given out."""
        return not self._buffer

    def next_message(self, longest_bytes: int = 1 << 32) -> Message | None:
        """A message that has arrived whole, or None. Raises Spoiled where the bytes are none."""
        if not self._buffer.startswith(_MARK[: len(self._buffer)]):
            raise Spoiled("no mark")
        if len(self._buffer) < _HEAD.size:
            return None
        length = _HEAD.unpack_from(self._buffer)[1]
        if length > longest_bytes:
            raise Spoiled(f"a message of {length} bytes")
        end = _HEAD.size + length
        if len(self._buffer) < end:
            return None
        try:
            message = json.loads(self._buffer[_HEAD.size : end])
        except (ValueError, RecursionError):
            raise Spoiled("no JSON") from None
        if not isinstance(message, list):
            raise Spoiled("no array")
        del self._buffer[:end]
        return message

    def fill(self) -> bool:
        """Takes what has arrived, waiting as the socket does; False = the other side is gone."""
        try:
            data = self._channel.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._buffer += data
        return bool(data)
