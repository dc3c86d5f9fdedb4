"""Messages between a parent and its child: a length and a JSON array. JSON, so that task code cannot make the parent execute anything."""

import json
import socket
import struct
from typing import Any

_LENGTH = struct.Struct(">I")
_CHUNK_BYTES = 65_536

Message = list[Any]


def send(channel: socket.socket, *parts: Any) -> None:
    """Sends one message; blocks until it is on its way. Raises OSError where the other side is gone."""
    body = json.dumps(parts, separators=(",", ":")).encode()
    channel.sendall(_LENGTH.pack(len(body)) + body)


class Reader:
    """Cuts a stream into messages."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._buffer = bytearray()

    def next_message(self, longest_bytes: int = 1 << 32) -> Message | None:
        """A message that has arrived whole, or None. Raises ValueError where the bytes are none."""
        if len(self._buffer) < _LENGTH.size:
            return None
        length = _LENGTH.unpack_from(self._buffer)[0]
        if length > longest_bytes:
            raise ValueError(f"a message of {length} bytes")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        message: Message = json.loads(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return message

    def fill(self) -> bool:
        """Takes what has arrived, waiting as the socket does; False = the other side is gone."""
        try:
            data = self._channel.recv(_CHUNK_BYTES)
        except (ConnectionError, BlockingIOError) as error:
            return isinstance(error, BlockingIOError)
        self._buffer += data
        return bool(data)
