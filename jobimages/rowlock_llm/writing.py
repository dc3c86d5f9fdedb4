"""One comment from one prompt: ask, check, and at most once ask for a better one."""

from collections.abc import Callable
from dataclasses import dataclass

from rowlock_jobs.task import InputError
from rowlock_llm.answer import INSTRUCTION, AnswerUnreadable, read_answer
from rowlock_llm.client import LlmClient, Message, Reply
from rowlock_llm.comment import Comment, CommentRefused, CommentRules, compose
from rowlock_llm.errors import LlmAnswerUnusable
from rowlock_llm.templates import Prompt
from rowlock_llm.usage import Meter

_SHOWN_AGAIN_CHARACTERS = 4_000


@dataclass(frozen=True, kw_only=True)
class Written:
    comment: Comment
    reasoning: str
    """The model's own words on why, for the records; untrusted, never posted."""
    repaired: bool
    """The first answer was refused, this is the second."""
    cut: tuple[str, ...]
    """Which texts of the article were shortened for the model."""


def write_comment(
    client: LlmClient, prompt: Prompt, rules: CommentRules, *, meter: Meter, check: Callable[[], object]
) -> Written:
    """Asks at most twice and adds what it cost to `meter`, also where it fails. `check` (a run's own) is
    called before each request.

    Raises LlmAnswerUnusable where the second answer is refused too, and the errors of `LlmClient.ask`.
    """
    messages = _messages(prompt, rules)
    check()
    reply = _asked(client, messages, meter)
    try:
        return _accepted(reply, rules, prompt, repaired=False)
    except (AnswerUnreadable, CommentRefused) as refused:
        messages += _complaint(reply, str(refused))
    check()
    reply = _asked(client, messages, meter)
    try:
        return _accepted(reply, rules, prompt, repaired=True)
    except (AnswerUnreadable, CommentRefused) as refused:
        raise LlmAnswerUnusable(
            refused.reason, f"{client.settings.model} gave no usable comment in two answers: {refused}"
        ) from None


def _messages(prompt: Prompt, rules: CommentRules) -> list[Message]:
    longest = rules.max_characters - len(rules.prefix) - 1
    length = f"The comment has between {rules.min_characters} and {longest} characters."
    system = "\n\n".join((prompt.system, INSTRUCTION, length))
    return [{"role": "system", "content": system}, {"role": "user", "content": prompt.user}]


def _asked(client: LlmClient, messages: list[Message], meter: Meter) -> Reply:
    reply = client.ask(messages)
    meter.add(reply.usage)
    if reply.finish == "content_filter":
        raise InputError(
            "LlmContentRefused",
            "the provider's content filter refuses this article; no comment is made for it",
        )
    if reply.finish == "length":
        limit = client.settings.max_tokens
        raise LlmAnswerUnusable(
            "CutOff",
            f"the answer was cut off after {limit:,} tokens, thinking included: raise llm.max_tokens",
        )
    return reply


def _accepted(reply: Reply, rules: CommentRules, prompt: Prompt, *, repaired: bool) -> Written:
    if reply.declined:
        raise CommentRefused("Refusal", "the model declined to comment instead of commenting")
    answer = read_answer(reply.text)
    return Written(
        comment=compose(answer.comment, rules), reasoning=answer.reasoning, repaired=repaired, cut=prompt.cut
    )


def _complaint(reply: Reply, sentence: str) -> list[Message]:
    shown = reply.text[:_SHOWN_AGAIN_CHARACTERS] or "(no answer)"
    return [
        {"role": "assistant", "content": shown},
        {
            "role": "user",
            "content": (
                f"This answer cannot be used: {sentence}. Answer once more, in the form that was asked for."
            ),
        },
    ]
