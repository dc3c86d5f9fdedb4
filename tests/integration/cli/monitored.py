"""A monitored site in the database: a process that runs, articles with comments at each stage."""

from typing import Any

from tests.integration.monitoring.processes import article, process, sql, started

TEXTS = {
    "article_content": "Once upon a time.",
    "comment_content": "[AI] A kind word.",
    "article_title": "The fox",
}


def watched(url: str, name: str = "watch", **changes: Any) -> dict[str, Any]:
    """A running process of the namespace demo, with one login and one prompt."""
    wanted = process(name=name, **changes)
    started(url, wanted)
    return wanted


def comment(url: str, wanted: dict[str, Any], number: str = "1", **columns: Any) -> str:
    """One comment, written and waiting unless `columns` say otherwise; its id."""
    return article(url, wanted, number, **({"status": "generated"} | TEXTS | columns))[0]


def state_of(url: str, comment_id: str) -> tuple[str, str, str | None]:
    """(status, approval, approved_by)."""
    ((status, approval, by),) = sql(
        url, "select status, approval, approved_by from ai_comments where id = %s", comment_id
    )
    return str(status), str(approval), by
