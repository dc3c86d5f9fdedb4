"""Reads the structured answer {reasoning_content, comment_content}, also from models that wrap it in
something. Pure.
"""

import json
import re
from dataclasses import dataclass

SCHEMA = {
    "type": "object",
    "properties": {
        "reasoning_content": {
            "type": "string",
            "description": "Why this comment fits the text; never shown to readers.",
        },
        "comment_content": {
            "type": "string",
            "description": "The comment: plain text, paragraphs separated by an empty line.",
        },
    },
    "required": ["reasoning_content", "comment_content"],
    "additionalProperties": False,
}
INSTRUCTION = (
    'Answer with one JSON object and nothing else: {"reasoning_content": "why this comment fits the text, for'
    ' the records", "comment_content": "the comment itself"}. The comment is plain text without HTML and'
    " Markdown, its paragraphs separated by an empty line. Write it in the language of the text, unless told"
    " otherwise. Leave out any notice that an AI wrote it: one is added."
)

_THINKING = re.compile(r"\s*<think(?:ing)?>(.*?)</think(?:ing)?>", re.IGNORECASE | re.DOTALL)
_FENCE = re.compile(r"\A\s*```\w*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


class AnswerUnreadable(ValueError):
    """The answer cannot be taken apart; `reason` in CamelCase, the message is a sentence the model can act
    on.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Answer:
    reasoning: str
    comment: str


def read_answer(text: str) -> Answer:
    """The two parts of an answer. Text that is no JSON at all is the comment: some models know no structured
    output. AnswerUnreadable.
    """
    thinking = "\n".join(part.strip() for part in _THINKING.findall(text))
    rest = _THINKING.sub("", text).strip()
    fenced = _FENCE.match(rest)
    rest = fenced[1].strip() if fenced else rest
    start = rest.find("{")
    if start < 0 or (start > 0 and '"comment_content"' not in rest):
        return Answer(reasoning=thinking, comment=rest)
    try:
        # strict=False: models write line ends into strings as they are. What follows the object is chatter.
        found, _ = json.JSONDecoder(strict=False).raw_decode(rest, start)
    except (ValueError, RecursionError) as error:
        raise AnswerUnreadable("NotJson", "the answer is not one complete JSON object") from error
    comment = found.get("comment_content")
    if not isinstance(comment, str):
        raise AnswerUnreadable("NoComment", "the JSON object has no text under comment_content")
    reasoning = found.get("reasoning_content")
    return Answer(
        reasoning=reasoning if isinstance(reasoning, str) and reasoning else thinking, comment=comment
    )
