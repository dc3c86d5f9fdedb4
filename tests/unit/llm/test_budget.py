"""Budgets and what answers cost: pure."""

import pytest

from rowlock_llm.budget import Budget, may_generate
from rowlock_llm.usage import Meter, Usage, estimated_tokens


@pytest.mark.parametrize(
    ("budget", "tokens", "comments", "reason"),
    [
        (Budget(), 10**9, 10**6, ""),
        (Budget(max_tokens=1000), 999, 0, ""),
        (Budget(max_tokens=1000), 1000, 0, "TokenBudgetSpent"),
        (Budget(max_comments=3), 0, 2, ""),
        (Budget(max_comments=3), 0, 3, "CommentBudgetSpent"),
        (Budget(max_tokens=10, max_comments=3), 10, 3, "TokenBudgetSpent"),
    ],
    ids=["no limit", "one token left", "tokens spent", "one comment left", "comments spent", "both spent"],
)
def test_comments_are_begun_while_the_budget_lasts(
    budget: Budget, tokens: int, comments: int, reason: str
) -> None:
    decision = may_generate(budget, tokens=tokens, comments=comments)
    assert (decision.allowed, decision.reason) == (reason == "", reason)


def test_a_spent_budget_says_what_to_change() -> None:
    decision = may_generate(Budget(max_tokens=50_000), tokens=51_234, comments=9)
    assert (
        decision.sentence
        == "the process has used 51,234 of 50,000 tokens: raise llm.limits.maxTokens, or stop the process"
    )


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"max_comments": -1}])
def test_a_budget_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Budget(**wrong)


def test_all_answers_of_a_run_are_added_up() -> None:
    meter = Meter()
    meter.add(Usage(prompt_tokens=100, completion_tokens=20, ms=300, model="m-1-2026", requests=1))
    meter.add(
        Usage(prompt_tokens=130, completion_tokens=30, ms=200, model="m-1-2026", requests=1, estimated=True)
    )
    assert meter.usage == Usage(
        prompt_tokens=230, completion_tokens=50, ms=500, model="m-1-2026", requests=2, estimated=True
    )
    assert meter.usage.tokens == 280


def test_an_untold_price_is_never_nothing() -> None:
    assert [estimated_tokens(text) for text in ("", "a", "abcd")] == [0, 1, 2]
