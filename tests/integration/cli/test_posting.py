"""A person's word on comments, and what becomes of it at the site: real workers, the site's own log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.stage import Invoke
from tests.integration.monitoring.stage import MonitoringStage
from tests.services.process import wait_until
from tests.standins import llm as llm_standin
from tests.standins import website as site_standin

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def stage(database: str, redis_url: str, tmp_path: Path) -> Iterator[MonitoringStage]:
    with (
        site_standin.running(site_standin.Config(articles_per_class=3)) as site,
        llm_standin.running(llm_standin.Llm()) as llm,
    ):
        made = MonitoringStage(database, redis_url, tmp_path, site, llm)
        yield made
        made.close()


def written(stage: MonitoringStage) -> list[str]:
    """Two written comments of a process that has ended."""
    stage.work()
    identity = stage.start(stage.wanted(article_limit=2))
    stage.wait_count("generated", 2)
    stage.sql("select monitoring.stop_v1(%s, 'completed', 'DurationReached')", identity)
    return [str(one) for (one,) in stage.sql("select id from ai_comments order by created_at, id")]


def test_approved_ones_are_on_the_site_rejected_ones_never(stage: MonitoringStage, invoke: Invoke) -> None:
    good, bad = written(stage)
    assert invoke("comments", "reject", bad).exit_code == 0
    assert invoke("comments", "approve", good).exit_code == 0
    stage.wait_count("posted", 1)
    assert len(stage.posted()) == 1
    assert stage.sql("select id::text from ai_comments where status = 'posted'") == [(good,)]


def test_a_failed_posting_is_repeated_after_a_question_once_it_can_succeed(
    stage: MonitoringStage, invoke: Invoke
) -> None:
    first, _ = written(stage)
    stage.site.fault(refuse_comments="Kommentare sind gesperrt.")
    assert invoke("comments", "approve", first).exit_code == 0
    stage.wait_count("failed", 1)
    stage.site.fault(refuse_comments=None)
    no = invoke("comments", "post", first, answer="n\n")
    assert (no.exit_code, f"{first}, whose posting failed, would be posted" in no.stderr) == (1, True), (
        no.output
    )
    assert stage.count("failed") == 1
    yes = invoke("comments", "post", first, answer="y\n")
    assert (yes.exit_code, "is pending again" in yes.stdout) == (0, True), yes.output
    stage.wait_count("posted", 1)
    assert len(stage.posted()) == 1


@pytest.mark.parametrize(("fault", "posted_before"), [("drop_before_post", 0), ("drop_after_post", 1)])
def test_an_unknown_one_is_looked_for_at_the_article_before_it_is_posted(
    fault: str, posted_before: int, stage: MonitoringStage, invoke: Invoke
) -> None:
    first, _ = written(stage)
    # Nobody can look, either: so the run ends as unknown whether the comment arrived or not.
    stage.site.fault(**{fault: 1})
    stage.sql("select monitoring.decide_v1(array[%s]::uuid[], 'approved', 'ada')", first)
    wait_until(lambda: not stage.site.faults.get(fault), "the answer of the POST was lost", 40)
    stage.site.fault(errors={"times": 1000, "status": 500, "path": "/article/", "method": "GET"})
    stage.wait_count("unknown", 1)
    stage.site.fault(errors=None)
    assert len(stage.posted()) == posted_before
    done = invoke("comments", "post", first, answer="y\n")
    assert "of which nobody knows whether it was posted" in done.stderr
    assert "looks for it at the article first" in done.stderr
    stage.wait_count("posted", 1)
    assert len(stage.posted()) == 1, "it was posted twice, or never"
