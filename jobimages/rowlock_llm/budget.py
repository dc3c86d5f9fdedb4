"""Whether a process may ask for another comment. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a process may use in all; None = no limit."""

    max_tokens: int | None = None
    """Tokens of prompts and answers together."""
    max_comments: int | None = None
    """Comments that were generated, posted or not."""

    def __post_init__(self) -> None:
        for name, value in (("max_tokens", self.max_tokens), ("max_comments", self.max_comments)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1, or absent for no limit")


@dataclass(frozen=True, kw_only=True)
class Decision:
    allowed: bool
    reason: str = ""
    """TokenBudgetSpent or CommentBudgetSpent, where it is not allowed."""
    sentence: str = ""


def may_generate(budget: Budget, *, tokens: int, comments: int) -> Decision:
    """Whether one more comment may be begun, after so many tokens and comments; count comments that are being
    generated as well.

    A comment's cost is known only afterwards: the last one may go beyond max_tokens, and so may each that
    other workers have begun.
    """
    if budget.max_tokens is not None and tokens >= budget.max_tokens:
        return _spent(
            "TokenBudgetSpent", used=tokens, limit=budget.max_tokens, what="tokens", field="maxTokens"
        )
    if budget.max_comments is not None and comments >= budget.max_comments:
        return _spent(
            "CommentBudgetSpent",
            used=comments,
            limit=budget.max_comments,
            what="comments",
            field="maxComments",
        )
    return Decision(allowed=True)


def _spent(reason: str, *, used: int, limit: int, what: str, field: str) -> Decision:
    sentence = (
        f"the process has used {used:,} of {limit:,} {what}: raise llm.limits.{field}, or stop the process"
    )
    return Decision(allowed=False, reason=reason, sentence=sentence)
