"""Finds the statement of a text that would end the transaction it is sent in. Pure."""

import re
from collections.abc import Iterator

# Nearly no text of a task has one of these words, and then nothing more is looked at.
_HINT = re.compile(r"\b(?:commit|rollback|abort|end|prepare)\b", re.IGNORECASE)
_HIDING = r"""
    (?P<comment> /\* ) | --[^\n]* | "[^"]*"
  | (?<![\w$]) \$(?P<tag>(?:[^\W\d]\w*)?)\$ .*? (?:\$(?P=tag)\$ | \Z)
  | (?<![\w$]) [eE] '(?:[^'\\]|\\.)*'
  | '%s*'
"""
_STANDARD = re.compile(_HIDING % "[^']", re.VERBOSE | re.DOTALL)
_BACKSLASHES = re.compile(_HIDING % r"(?:[^'\\]|\\.)", re.VERBOSE | re.DOTALL)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_WORD = re.compile(r"\w+")
_BODY = re.compile(r"\bbegin\s+atomic\b", re.IGNORECASE)


def ending_statement(text: str, *, backslash_escapes: bool = False) -> str | None:
    """`COMMIT`, `ROLLBACK`, `PREPARE TRANSACTION` or another word for them, where a statement of the text is
    one; else None.

    A rollback to a savepoint ends no transaction. `backslash_escapes`: standard_conforming_strings is off.
    """
    if not _HINT.search(text):
        return None
    in_body = False  # create function ... begin atomic ...; ...; end
    for statement in "".join(_visible(text, _BACKSLASHES if backslash_escapes else _STANDARD)).split(";"):
        words = [word.lower() for word in _WORD.findall(statement, 0, 400)[:3]]
        if in_body:
            in_body = words[:1] != ["end"]
        elif words[:1] == ["create"]:
            in_body = bool(_BODY.search(statement))
        elif found := _ending(words):
            return found
    return None


def _ending(words: list[str]) -> str | None:
    match words:
        case ["rollback" | "abort", "work" | "transaction", "to"] | ["rollback" | "abort", "to", *_]:
            return None
        case ["commit" | "end" | "rollback" | "abort", *_]:
            return words[0].upper()
        case ["prepare", "transaction", *_]:
            return "PREPARE TRANSACTION"
    return None


def _visible(text: str, hiding: re.Pattern[str]) -> Iterator[str]:
    """The text without comments, and with a blank for everything that is quoted."""
    at = 0
    while found := hiding.search(text, at):
        yield text[at : found.start()]
        yield " "
        at = _comment_end(text, found.end()) if found["comment"] else found.end()
    yield text[at:]


def _comment_end(text: str, at: int) -> int:
    """Comments nest."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(text, at)
        if edge is None:
            return len(text)
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at
