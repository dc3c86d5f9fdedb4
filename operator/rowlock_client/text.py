"""Ages, and text of tasks and rows as one line that steers no terminal. Pure."""

import math
from collections.abc import Sequence
from datetime import datetime

_MESSAGE_CHARACTERS, _SENTENCE_CHARACTERS = 70, 2_000
_YEAR_SECONDS = 31_556_952


def age(seconds: float) -> str:
    """A duration in at most two units, as kubectl shows it: 8s, 3m12s, 5h, 12d; from ten years on 18030y;
    infinity as such.
    """
    if seconds == math.inf:
        return "infinity"
    whole = max(0, int(max(0.0, seconds)))
    if whole < 120:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s" if whole < 600 else f"{whole // 60}m"
    if whole < 48 * 3600:
        minutes = whole % 3600 // 60
        return f"{whole // 3600}h{minutes}m" if minutes and whole < 10 * 3600 else f"{whole // 3600}h"
    return f"{whole // 86400}d" if whole < 10 * _YEAR_SECONDS else f"{whole // _YEAR_SECONDS}y"


def moment(at: datetime) -> str:
    """A moment as sentences name it."""
    return at.strftime("%Y-%m-%d %H:%M:%S %Z")


def progress_text(progress: object) -> str:
    """`3/10 page 3`, from what the task reported; empty where that is nothing of the kind."""
    if not isinstance(progress, dict):
        return ""
    done, total, note = progress.get("done"), progress.get("total"), progress.get("note")
    figures = "" if done is None else f"{done}" if total is None else f"{done}/{total}"
    return shortened(" ".join(str(part) for part in (figures, note) if part))


def sentences(lines: Sequence[str]) -> str:
    """Sentences, one a line: what a task or a row brought into them steers no terminal and does not
    fill it.
    """
    return "\n".join(sentence(line) for line in lines)


def sentence(text: str) -> str:
    """One line of at most 2,000 characters."""
    return shortened(text, _SENTENCE_CHARACTERS)


def shortened(text: str, most: int = _MESSAGE_CHARACTERS) -> str:
    """One line of at most so many characters; before that a text of megabytes is not looked at."""
    line = one_line(text[: most + 1])
    return line if len(text) <= most else line[: most - 3] + "..."


def one_line(text: str) -> str:
    """The text without anything that breaks a line or steers a terminal."""
    # Also keeps a task's own escape sequences off the user's terminal.
    return "".join(character if character.isprintable() else " " for character in text)
