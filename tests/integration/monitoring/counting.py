"""What the site's own log and the rows must agree on, whatever was killed."""

from collections import Counter

from rowlock_operator.api.monitoring_process import DISCLOSURE
from rowlock_web.capabilities.comments import visible
from tests.integration.monitoring.stage import MonitoringStage


def check_posted(stage: MonitoringStage, *, doubled: int = 0) -> None:
    """No comment twice (or so many of them), none without the disclosure, none by a login or with a text that
    no row has.
    """
    rows = stage.sql(
        "select c.mymoment_article_id, l.name, c.comment_content from ai_comments c join mymoment_logins l on"
        " l.id = c.mymoment_login_id where c.comment_content is not null"
    )
    wanted = {(int(article), login, visible(text)) for article, login, text in rows}
    there = Counter(
        (comment["article"], comment["login"], visible(comment["text"])) for comment in stage.posted()
    )
    assert sum(count - 1 for count in there.values()) == doubled, (
        f"posted more than once: {[each for each, n in there.items() if n > 1]}"
    )
    assert set(there) <= wanted, f"nobody asked for {set(there) - wanted}"
    assert all(visible(comment["text"]).startswith(visible(DISCLOSURE)) for comment in stage.posted()), (
        "without the disclosure"
    )


def check_agreed(stage: MonitoringStage) -> None:
    """What is posted says so, and what says so is posted."""
    posted = stage.sql(
        "select c.mymoment_article_id::int, l.name from ai_comments c join mymoment_logins l on l.id ="
        " c.mymoment_login_id where c.status = 'posted'"
    )
    assert Counter(posted) == Counter((comment["article"], comment["login"]) for comment in stage.posted())


def statuses(stage: MonitoringStage) -> dict[str, int]:
    """Rows by status."""
    return {
        str(status): int(count)
        for status, count in stage.sql("select status, count(*) from ai_comments group by 1")
    }


def requeue(stage: MonitoringStage, state: str) -> int:
    """What a person does about runs that ended so; how many."""
    return len(
        stage.sql("select rowlock.requeue_v1(array(select id from rowlock.done where state = %s))", state)
    )


def active(stage: MonitoringStage, *tasks: str) -> int:
    """Runs that have not ended, of these tasks or of any."""
    return int(
        stage.sql(
            "select count(*) from rowlock.active where %s::text[] = '{}' or task = any(%s)",
            list(tasks),
            list(tasks),
        )[0][0]
    )
