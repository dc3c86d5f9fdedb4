"""prepare_article_content, cleanup_old_articles."""

from typing import Any

from rowlock_jobs.task import InputError, Run, task
from rowlock_jobs.work.monitoring.access import site_session
from rowlock_jobs.work.monitoring.store import ask, execute, login_of, process_of
from rowlock_jobs.work.monitoring.tasks.arguments import put_back, row_of
from rowlock_web.capabilities.offered import offered
from rowlock_web.pace.gate import Stopped


@task("prepare_article_content")
def prepare_article_content(run: Run) -> dict[str, Any]:
    """The text of an article, fetched once by one of its rows for all rows of the process. Argument:
    `comment_id`.
    """
    row, why = row_of(run, "preparing", "discovered", "failed")
    if row is None:
        return {"skipped": why}
    process = process_of(run, row.process_id)
    if not process.running:
        raise put_back("NotRunning")
    if row.login_id is None:
        raise InputError("LoginGone", "the login of this comment does not exist any more")
    login_id = row.login_id
    try:
        with site_session(run, process, login_of(run, login_id)) as session:
            article = session.do(lambda site: offered(site.articles, "articles").article(row.article_id))
        if not article.text.strip():
            raise InputError("NoText", "the article has no text that could be commented on")
    except Stopped as stopped:
        raise put_back(stopped.reason) from None
    except InputError as gone:
        ask(
            run,
            "article_gone",
            process_id=process.id,
            article_id=row.article_id,
            login_id=login_id,
            comment_id=row.id,
            message=str(gone),
        )
        ask(run, "runnable", process_id=process.id)
        raise
    with run.transaction() as cur:
        execute(
            cur,
            "prepared",
            process_id=process.id,
            comment_id=row.id,
            article_id=row.article_id,
            title=article.title,
            author=article.author,
            content=article.text,
            html=article.html,
            category=article.category,
            category_id=article.category_id,
            task=article.task,
            url=article.url,
            published_at=article.published_at,
        )
        execute(cur, "active", process_id=process.id)
    return {"characters": len(article.text)}


@task("cleanup_old_articles")
def cleanup_old_articles(run: Run) -> dict[str, Any]:
    """Deletes rows of more than a year that nobody works with."""
    with run.transaction() as cur:
        return {"deleted": len(execute(cur, "old_articles"))}
