"""`rowlock comments` on a real database; what becomes of an approved comment at the site stands in
test_posting.py.
"""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from rowlock_cli.main import rowlock
from tests.integration.cli.monitored import comment, state_of, watched
from tests.integration.cli.stage import Invoke
from tests.integration.monitoring.processes import prepare, sql

pytestmark = pytest.mark.integration


@pytest.fixture
def domain(database: str) -> str:
    return prepare(database)


@pytest.fixture
def watch(domain: str) -> dict[str, Any]:
    return watched(domain)


def test_comments_are_listed_with_what_a_person_needs(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    first = comment(domain, watch, "1", id="11111111-aaaa-4000-8000-000000000001")
    comment(
        domain,
        watch,
        "2",
        id="22222222-aaaa-4000-8000-000000000002",
        status="failed",
        error_message="the site said no",
        article_title="A bear",
    )
    comment(
        domain,
        watch,
        "3",
        id="33333333-aaaa-4000-8000-000000000003",
        approval="approved",
        approved_by="bea",
        article_title="An owl",
    )
    other = watched(domain, "other", owner="ben")
    comment(
        domain,
        other,
        "4",
        id="44444444-aaaa-4000-8000-000000000004",
        status="discovered",
        article_content=None,
        comment_content=None,
    )
    sql(domain, "update ai_comments set created_at = now() - interval '1 hour' * left(id::text, 1)::int")
    assert (
        invoke("comments", "list").stdout
        == "COMMENT    PROCESS      ARTICLE   LOGIN   STATUS       APPROVAL          AGE   ERROR\n"
        "11111111   demo/watch   The fox   ada     generated    waiting           1h\n"
        "22222222   demo/watch   A bear    ada     failed       -                 2h    the site said no\n"
        "33333333   demo/watch   An owl    ada     generated    approved by bea   3h\n"
        "44444444   demo/other   The fox   ada     discovered   -                 4h\n"
    )

    def ids(*words: str) -> list[str]:
        return [
            one["short_id"] for one in json.loads(invoke("comments", "list", "-o", "json", *words).stdout)
        ]

    assert ids("--process", "other") == ["44444444"]
    assert ids("--process", "demo/watch", "--status", "generated,failed", "--limit", "2") == [
        "11111111",
        "22222222",
    ]
    assert ids("--approval", "waiting") == ["11111111"], "what is not written yet waits for nobody"
    assert ids("--status", "posted") == []
    assert invoke("comments", "list", "--status", "posted").stdout == "No comments match.\n"
    assert json.loads(invoke("comments", "list", "-o", "json", "--limit", "1").stdout)[0]["id"] == first


def test_deleted_comments_are_shown_to_who_asks_for_them(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    comment(domain, watch, status="deleted")
    assert invoke("comments", "list").stdout == "No comments match.\n"
    assert len(json.loads(invoke("comments", "list", "--status", "deleted", "-o", "json").stdout)) == 1


def test_a_comment_is_shown_with_its_article_and_its_cost(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    made = comment(
        domain,
        watch,
        id="11111111-aaaa-4000-8000-000000000001",
        article_content="word " * 500,
        article_author="Ada",
        ai_provider_name="openai",
        ai_model_name="small",
        generation_tokens=1234,
        generation_time_ms=2500,
        reasoning_content="it is a fox",
        article_url="http://site.example/1",
    )
    sql(domain, "update ai_comments set updated_at = now() - interval '3 hours'")
    lines = invoke("comments", "show", "1111").stdout.splitlines()
    assert lines[:10] == [
        f"Comment:  {made}",
        "Process:  demo/watch (running)",
        "Login:    ada",
        "Prompt:   kind",
        "Status:   generated, 3h ago",
        "Approval: waiting",
        "Model:    openai small, 1,234 tokens, 2.5 s",
        "Article:  The fox by Ada",
        "Address:  http://site.example/1",
        "",
    ]
    assert "more characters; all of it with -o json" in "\n".join(lines)
    assert lines[-5:] == ["Comment", "  [AI] A kind word.", "", "Reasoning", "  it is a fox"]
    assert max(len(line) for line in lines) <= 110
    assert (
        json.loads(invoke("comments", "show", made, "-o", "json").stdout)["article_content"] == "word " * 500
    )


def test_what_a_site_wrote_cannot_steer_the_terminal(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    made = comment(
        domain,
        watch,
        article_title="\x1b[2Jgone",
        article_content="\x1b]0;x\x07 text",
        comment_content="one\n\x1b[31mtwo",
    )
    shown = invoke("comments", "show", made).stdout + invoke("comments", "list").stdout
    assert "\x1b" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize("command", ["show", "approve", "reject", "post"])
def test_an_id_that_is_wrong_or_means_several_is_told_with_the_remedy(
    command: str, domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    comment(domain, watch, "1", id="aaaa1111-aaaa-4000-8000-000000000001")
    comment(domain, watch, "2", id="aaaa2222-aaaa-4000-8000-000000000002")
    for words, said in (
        (
            "aaaa",
            "aaaa is the beginning of more than one comment: aaaa1111-aaaa-4000-8000-000000000001, aaaa2222",
        ),
        ("bbbb", "no comment begins with bbbb; `rowlock comments list` lists them"),
        ("my%", "'my%' is not (the beginning of) a comment's id"),
    ):
        result = invoke("comments", command, words)
        assert (result.exit_code, said in result.stderr) == (1, True), result.stderr


def test_approved_by_their_ids_with_the_name_of_who_said_so(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    first, second = comment(domain, watch, "1"), comment(domain, watch, "2")
    done = invoke("comments", "approve", first[:13], second, "--by", "bea")
    assert (done.exit_code, done.stdout) == (0, f"{first} is approved\n{second} is approved\n")
    assert state_of(domain, first) == state_of(domain, second) == ("generated", "approved", "bea")
    again = invoke("comments", "approve", first)
    assert (again.exit_code, f"{first} is approved already" in again.stderr) == (1, True)
    assert invoke("comments", "reject", first).stdout == f"{first} is rejected\n"
    assert state_of(domain, first) == ("generated", "rejected", None)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"status": "prepared", "comment_content": None}, "is prepared: its text is not written yet"),
        ({"status": "posting"}, "is being posted this moment"),
        ({"status": "deleted"}, "is deleted"),
        ({"status": "failed", "error_message": "no"}, "is failed; `rowlock comments post"),
    ],
)
def test_what_cannot_be_approved_is_left_with_the_reason(
    columns: dict[str, Any], said: str, domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    good, bad = comment(domain, watch, "1"), comment(domain, watch, "2", **columns)
    done = invoke("comments", "approve", good, bad, "-o", "json")
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert (answer["approved"], said in answer["left"][0]) == ([good], True), answer
    assert state_of(domain, bad)[1] == "waiting"


def test_all_that_wait_are_approved_after_a_yes_and_nothing_of_another_process(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    mine = [comment(domain, watch, str(n)) for n in range(3)]
    rejected = comment(domain, watch, "9", approval="rejected")
    other = comment(domain, watched(domain, "other", owner="ben"), "1")
    words = ("comments", "approve", "--process", "watch", "--all")
    no = invoke(*words, answer="n\n")
    assert (
        no.exit_code,
        "3 comments of demo/watch would be approved and posted, one after the other." in no.stderr,
    ) == (1, True)
    assert {state_of(domain, one)[1] for one in mine} == {"waiting"}
    nobody = invoke(*words)
    assert (nobody.exit_code, "--yes does it without asking" in nobody.stderr) == (1, True)
    assert json.loads(invoke(*words, "--dry-run", "-o", "json").stdout)["count"] == 3
    yes = invoke(*words, answer="y\n")
    assert (yes.exit_code, yes.stdout) == (0, "3 comments of demo/watch are approved.\n")
    assert {state_of(domain, one)[1] for one in mine} == {"approved"}
    assert (state_of(domain, rejected)[1], state_of(domain, other)[1]) == ("rejected", "waiting")
    assert (
        invoke(*words).stdout
        == "demo/watch has no comment that waits for approval: nothing to be approved.\n"
    )


def test_a_yes_means_what_was_counted_and_nothing_written_since(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    """The question is asked outside the cluster; the yes travels into the pod with the moment of the
    count.
    """
    seen = comment(domain, watch, "1")
    counted = json.loads(
        invoke("comments", "approve", "--process", "watch", "--all", "--dry-run", "-o", "json").stdout
    )
    later = comment(domain, watch, "2")
    done = invoke("comments", "approve", "--process", "watch", "--all", "--yes", "--until", counted["until"])
    assert done.stdout == "1 comment of demo/watch is approved.\n"
    assert (state_of(domain, seen)[1], state_of(domain, later)[1]) == ("approved", "waiting")


@pytest.mark.parametrize(
    "words",
    [
        ("approve",),
        ("approve", "aa", "--process", "watch", "--all"),
        ("approve", "--all"),
        ("approve", "--process", "watch"),
        ("approve", "aa", "--yes"),
        ("approve", "aa", "--by", "process"),
        ("reject", "aa", "--by", " "),
        ("approve", "--process", "watch", "--all", "-o", "json"),
        ("post", "aa", "-o", "json"),
        ("list", "--status", "dreamt"),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], domain: str, invoke: Invoke) -> None:
    assert invoke("comments", *words).exit_code == 2


def test_posting_by_hand_is_an_approval_also_of_rejected_ones_and_of_those_left_by_their_process(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    waiting = comment(domain, watch, "1")
    rejected = comment(domain, watch, "2", approval="rejected")
    left = comment(domain, watch, "3", approval="approved", approved_by="process")
    sql(domain, "select monitoring.stop_v1(%s, 'completed', 'DurationReached')", watch["id"])
    done = invoke("comments", "post", waiting, rejected, left, "--by", "bea")
    assert done.exit_code == 0, done.output
    assert done.stdout == "".join(
        f"{one} is approved, and posted in its turn\n" for one in (waiting, rejected, left)
    )
    assert {state_of(domain, one) for one in (waiting, rejected, left)} == {("generated", "approved", "bea")}
    taken = sql(
        domain,
        "select count(*) from ai_comments where status = 'generated' and approval = 'approved' and (runnable"
        " or approved_by <> 'process')",
    )
    assert taken == [(3,)], "what the source that posts takes"
    again = invoke("comments", "post", waiting)
    assert (again.exit_code, "is approved by bea already" in again.stderr) == (1, True)


def test_what_failed_before_it_was_written_or_has_no_run_any_more_is_told(
    domain: str, watch: dict[str, Any], invoke: Invoke
) -> None:
    unwritten = comment(domain, watch, "1", status="failed", error_message="no model", comment_content=None)
    forgotten = comment(domain, watch, "2", status="unknown", approval="approved", approved_by="bea")
    for one, said in (
        (unwritten, f"`rowlock runs --key {unwritten}`"),
        (forgotten, f"--arg comment_id={forgotten} --key post:{forgotten}"),
    ):
        done = invoke("comments", "post", one, "--yes")
        assert (done.exit_code, said in done.stderr) == (1, True), done.stderr


def test_without_the_tables_of_monitoring_every_command_says_how_to_get_them(
    database: str, invoke: Invoke
) -> None:
    for words in (
        *(
            ("comments", name, *ids)
            for name, ids in (("list", ()), ("show", ("aa",)), ("approve", ("aa",)), ("post", ("aa",)))
        ),
        ("process", "status", "watch"),
        ("process", "run-now", "watch"),
        ("sessions",),
        ("credentials", "reencrypt"),
    ):
        done = invoke(*words)
        assert (done.exit_code, "domain.monitoring.enabled=true" in done.stderr) == (1, True), (
            words,
            done.output,
        )


def test_words_of_the_shell_complete_commands_below_commands() -> None:
    def offered(words: str) -> list[str]:
        environment = {
            "_ROWLOCK_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        lines = CliRunner().invoke(rowlock, [], prog_name="rowlock", env=environment).stdout.splitlines()
        return [line.partition(",")[2] for line in lines]

    assert offered("rowlock comments ") == ["approve", "list", "post", "reject", "show"]
    assert "generated" in offered("rowlock comments list --status gen")
