"""From a prompt to a comment, against the stand-in: what is repaired, what is refused, what it costs."""

import pytest

from rowlock_jobs.task import Canceled, InputError, SiteError
from rowlock_llm.client import LlmClient
from rowlock_llm.comment import DEFAULT_PREFIX, CommentRules
from rowlock_llm.errors import LlmAnswerUnusable
from rowlock_llm.templates import Caps, Prompt, PromptValues, build_prompt
from rowlock_llm.usage import Meter
from rowlock_llm.writing import Written, write_comment
from tests.standins.llm import Running

pytestmark = pytest.mark.integration

ARTICLE = PromptValues(
    article_title="Bo im Schnee", article_content="Mein Hund Bo mag Schnee.", article_author="Lea"
)
RULES = CommentRules()


def prompt(
    system: str = "Du gibst Kindern Rückmeldung.",
    template: str = "{article_title}: {article_content}",
    **caps: int,
) -> Prompt:
    return build_prompt(system, template, ARTICLE, Caps(**caps))


def write(client: LlmClient, meter: Meter | None = None, made: Prompt | None = None) -> Written:
    return write_comment(client, made or prompt(), RULES, meter=meter or Meter(), check=lambda: None)


def paid(endpoint: Running) -> int:
    return endpoint.llm.totals["prompt_tokens"] + endpoint.llm.totals["completion_tokens"]


def test_an_article_becomes_a_comment_with_disclosure_reasoning_and_price(
    client: LlmClient, endpoint: Running
) -> None:
    meter = Meter()
    written = write(client, meter)
    assert written.comment.html.startswith(f"<p>{DEFAULT_PREFIX} ")
    assert "«Bo im Schnee»" in written.comment.text
    assert written.reasoning == "Der Text ist freundlich und stellt eine Frage."
    assert (written.repaired, written.cut) == (False, ())
    assert meter.usage.tokens == paid(endpoint) > 0


def test_the_article_travels_as_data_in_the_users_message_only(client: LlmClient, endpoint: Running) -> None:
    write(client)
    system, user = endpoint.llm.bodies[0]["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert "Schnee" not in system["content"]
    assert user["content"].endswith("<article_content>\nMein Hund Bo mag Schnee.\n</article_content>")
    assert "between 50 and 4952 characters" in system["content"]


def test_what_was_cut_off_for_the_model_is_told(client: LlmClient) -> None:
    assert write(client, made=prompt(content=10)).cut == (
        "article_content: the first 10 of 24 characters were given to the model",
    )


@pytest.mark.parametrize(
    "fault", ["broken_json", "too_short", "repetitive", "placeholder", "refusal", "empty"]
)
def test_a_first_answer_that_cannot_be_posted_is_repaired_once_within_the_run(
    client: LlmClient, endpoint: Running, fault: str
) -> None:
    endpoint.llm.add_fault(fault)
    meter = Meter()
    written = write(client, meter)
    assert written.repaired
    assert written.comment.text.startswith(DEFAULT_PREFIX)
    assert meter.usage.requests == 2
    assert meter.usage.tokens == paid(endpoint)
    asked_again = endpoint.llm.bodies[1]["messages"]
    assert [message["role"] for message in asked_again] == ["system", "user", "assistant", "user"]
    assert asked_again[3]["content"].startswith("This answer cannot be used: the ")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("broken_json", "NotJson"),
        ("too_short", "TooShort"),
        ("repetitive", "Repetitive"),
        ("placeholder", "UnresolvedPlaceholder"),
        ("refusal", "Refusal"),
        ("empty", "Empty"),
    ],
)
def test_a_second_one_ends_the_run_which_the_ledger_retries_and_both_are_paid_for(
    client: LlmClient, endpoint: Running, fault: str, why: str
) -> None:
    endpoint.llm.add_fault(fault, times=None)
    meter = Meter()
    with pytest.raises(LlmAnswerUnusable, match="gave no usable comment in two answers") as caught:
        write(client, meter)
    error = caught.value
    assert (error.failure_class, error.reason, error.why, error.permanent) == (
        "app",
        "LlmAnswerUnusable",
        why,
        False,
    )
    assert len(endpoint.llm.log) == meter.usage.requests == 2
    assert meter.usage.tokens == paid(endpoint)


def test_an_answer_that_was_cut_off_names_the_setting_and_is_not_asked_for_again(
    client: LlmClient, endpoint: Running
) -> None:
    endpoint.llm.add_fault("cut")
    meter = Meter()
    with pytest.raises(LlmAnswerUnusable, match=r"cut off after 2,000 tokens.*raise llm\.max_tokens"):
        write(client, meter)
    assert meter.usage.tokens == paid(endpoint) > 0
    assert len(endpoint.llm.log) == 1


def test_a_content_filter_concerns_the_article(client: LlmClient, endpoint: Running) -> None:
    endpoint.llm.add_fault("content_filter")
    with pytest.raises(InputError) as caught:
        write(client)
    assert caught.value.reason == "LlmContentRefused"


def test_a_failing_repair_still_tells_what_the_first_answer_cost(
    client: LlmClient, endpoint: Running
) -> None:
    endpoint.llm.add_fault("too_short")
    endpoint.llm.add_fault("rate_limit")
    meter = Meter()
    with pytest.raises(SiteError):
        write(client, meter)
    assert meter.usage.requests == 1
    assert meter.usage.tokens == paid(endpoint) > 0


def test_a_run_that_was_canceled_asks_nothing_more(client: LlmClient, endpoint: Running) -> None:
    endpoint.llm.add_fault("too_short")
    looks = iter([None])

    def check() -> None:
        if next(looks, "canceled"):
            raise Canceled("the run was canceled")

    with pytest.raises(Canceled):
        write_comment(client, prompt(), RULES, meter=Meter(), check=check)
    assert len(endpoint.llm.log) == 1


def test_plain_text_of_a_model_without_structured_output_becomes_a_comment(
    client: LlmClient, endpoint: Running
) -> None:
    endpoint.llm.add_fault(
        "says",
        content="<think>Hm.</think>Dein Hund Bo scheint den Winter zu lieben, das hast du schön erzählt!",
    )
    written = write(client)
    assert (
        written.comment.text
        == f"{DEFAULT_PREFIX} Dein Hund Bo scheint den Winter zu lieben, das hast du schön erzählt!"
    )
    assert written.reasoning == "Hm."


def test_markup_and_scripts_of_the_model_do_not_reach_the_site(client: LlmClient, endpoint: Running) -> None:
    text = (
        f"<p>{DEFAULT_PREFIX}</p><p>Dein Hund Bo scheint den Winter zu lieben <script>alert(1)</script> <i"
        " onclick=x>sehr</i> &lt;b&gt;</p>"
    )
    endpoint.llm.add_fault("comment", content=text)
    assert (
        write(client).comment.html
        == f"<p>{DEFAULT_PREFIX} Dein Hund Bo scheint den Winter zu lieben sehr &lt;b&gt;</p>"
    )


def test_the_same_article_gets_the_same_comment_from_the_stand_in(client: LlmClient) -> None:
    assert write(client).comment == write(client).comment
