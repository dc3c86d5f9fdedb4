"""What a model may do: what concerns one comment fails it, what concerns all of them stops the asking until
somebody acts.
"""

from typing import Any

import pytest

from tests.integration.monitoring.counting import active, statuses
from tests.integration.monitoring.processes import apply
from tests.integration.monitoring.stage import MonitoringStage
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
WRITE = "generate_comments_for_process"


def asked(stage: MonitoringStage) -> int:
    """Requests in the model's own log."""
    return int(stage.llm.llm.totals["requests"])


def last_error(stage: MonitoringStage) -> str:
    ((found,),) = stage.sql(
        "select last_error from monitoring.status_v1(array(select id from monitoring_processes))"
    )
    return str(found)


def another_look(stage: MonitoringStage) -> None:
    """A discovery from begin to end, and a health check: both offer rows of running processes to the
    sources.
    """
    ((before,),) = stage.sql("select count(*) from rowlock.done where task = 'periodic_monitoring_check'")
    stage.sql("update monitoring_processes set next_discovery_at = now()")
    looks = "select count(*) from rowlock.done where task = 'periodic_monitoring_check'"
    wait_until(lambda: stage.sql(looks)[0][0] > before, "another discovery", 20)
    stage.sql("select monitoring.mark_runnable(id) from monitoring_processes")


@pytest.mark.parametrize(
    ("fault", "reason"), [("unauthorized", "LlmKeyInvalid"), ("quota", "LlmQuotaExhausted")]
)
def test_what_concerns_every_comment_is_asked_once_and_goes_on_after_a_change(
    stage: MonitoringStage, fault: str, reason: str
) -> None:
    stage.llm.llm.add_fault(fault, None)
    stage.work()
    wanted = stage.wanted(prompts=2)
    stage.start(wanted)
    wait_until(lambda: last_error(stage).startswith(f"{reason}: "), "the process says why", 30)
    wait_until(lambda: statuses(stage) == {"prepared": 6} and active(stage, WRITE) == 0, "the rows wait", 30)
    before = asked(stage)
    assert before <= 2, "asked again although nothing can come of it"
    another_look(stage)
    assert asked(stage) == before, "a discovery made it ask again"
    assert statuses(stage) == {"prepared": 6}
    assert last_error(stage).startswith(f"{reason}: "), "a discovery hid the reason"
    stage.llm.llm.faults.clear()
    apply(stage.url, wanted | {"llm": wanted["llm"] | {"api_key_encrypted": stage.encrypt("another-key")}})
    stage.wait_count("generated", 6)
    assert last_error(stage) == "None"


def test_a_model_that_asks_to_wait_is_asked_later(stage: MonitoringStage) -> None:
    stage.llm.llm.add_fault("rate_limit", 1, retry_after="3")
    stage.work()
    stage.start(stage.wanted(article_limit=1))
    stage.wait_count("generated", 1)
    first, second = [entry["at"] for entry in stage.llm.llm.log]
    assert second - first >= 2.9


def test_answers_that_cannot_be_used_are_asked_for_again(stage: MonitoringStage) -> None:
    faults = (
        "broken_json",
        "placeholder",
        "too_short",
        "repetitive",
        "empty",
        "refusal",
        "broken_body",
        "html_page",
        "drop",
        "error",
    )
    for fault in faults:
        stage.llm.llm.add_fault(fault, 1)
    stage.work()
    stage.start(stage.wanted(prompts=4))
    stage.wait_count("generated", 12)
    assert asked(stage) == 12 + len(faults)
    assert {entry["fault"] for entry in stage.llm.llm.log} == {*faults, None}


def test_a_model_that_never_writes_anything_usable_fails_the_comment_with_a_reason(
    stage: MonitoringStage,
) -> None:
    stage.llm.llm.add_fault("too_short", None)
    stage.work()
    stage.start(stage.wanted(article_limit=1))
    stage.wait_count("failed", 1)
    ((message, tokens),) = stage.sql("select error_message, generation_tokens from ai_comments")
    assert "characters" in message
    assert tokens > 0, "what unusable answers cost is counted, too"


@pytest.mark.parametrize("limit", ["comments", "tokens"])
def test_a_budget_that_is_spent_stops_the_asking_and_a_larger_one_goes_on(
    stage: MonitoringStage, limit: str
) -> None:
    def limited(comments: int, tokens: int) -> dict[str, Any]:
        settings = wanted["settings"] | ({"max_comments": comments} if limit == "comments" else {})
        model = wanted["llm"]["settings"] | ({"max_total_tokens": tokens} if limit == "tokens" else {})
        return wanted | {"settings": settings, "llm": wanted["llm"] | {"settings": model}}

    stage.work()
    wanted = stage.wanted(prompts=2)
    stage.start(limited(2, 300))
    reason = "CommentBudgetSpent" if limit == "comments" else "TokenBudgetSpent"
    wait_until(lambda: last_error(stage).startswith(f"{reason}: "), "the process says why", 30)
    wait_until(lambda: active(stage, WRITE) == 0, "nothing is being written", 20)
    written = stage.count("generated")
    assert (written == 2) if limit == "comments" else (1 <= written < 6)
    another_look(stage)
    assert asked(stage) == written
    apply(stage.url, limited(6, 100_000))
    stage.wait_count("generated", 6)
