"""What somebody says on a worker's RQ channel: anybody who reaches Redis may publish there, so a message is
data to be checked. Pure.
"""

import json
from typing import Any

COMMANDS = ("stop-job", "stop-execution", "kill-horse", "shutdown")
_NAMES = ("job_id", "execution_id")


def read_command(message: dict[str, Any]) -> dict[str, str]:
    """A pub/sub message as an RQ command and its names. Raises ValueError saying what is wrong with it,
    without its words.
    """
    try:
        payload = json.loads(message["data"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(payload, dict):
        raise ValueError("it is not a JSON object")
    command = payload.get("command")
    if command not in COMMANDS:  # a list compares, where a set would want a hash
        raise ValueError(f"its command is none of {', '.join(COMMANDS)}")
    names = {name: payload[name] for name in _NAMES if name in payload}
    if not all(isinstance(value, str) for value in names.values()):
        raise ValueError("its job or execution is not named by a text")
    return {"command": str(command), **names}
