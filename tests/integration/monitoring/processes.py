"""A process as the operator writes it, and what a test asks of it."""

import json
from typing import Any
from uuid import uuid4

from rowlock_jobs.work.migrate import migrate
from tests.services.postgres import ask

NAMESPACE = "demo"
QUEUES = ("monitoring", "comments", "sessions", "timeouts", "scheduler", "celery")


def sql(url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Runs one statement in its own transaction."""
    return ask(url, statement, *parameters)


def prepare(url: str) -> str:
    """The domain tables and the queues of the chart, in a database that has the ledger."""
    migrate(url)
    for queue in QUEUES:
        sql(
            url,
            "insert into rowlock.queue(name, retry) values (%s, '{}') on conflict do nothing",
            f"{NAMESPACE}/{queue}",
        )
    return url


def process(**changes: Any) -> dict[str, Any]:
    """The document that monitoring.apply_v1 takes: one login, one prompt, generate only."""
    return {
        "id": str(uuid4()),
        "namespace": NAMESPACE,
        "name": "watch",
        "owner": "ada",
        "site_driver": "mymoment",
        "base_url": "http://site.example",
        "generate_only": True,
        "hide_comments": False,
        "article_limit": 20,
        "max_duration_minutes": 60,
        "settings": {},
        "logins": [
            {
                "id": str(uuid4()),
                "name": "ada",
                "username_encrypted": "u",
                "password_encrypted": "p",
                "credentials_hash": "1",
            }
        ],
        "prompts": [{"id": str(uuid4()), "name": "kind", "system_prompt": "", "template": "{article_title}"}],
        "llm": {"id": str(uuid4()), "provider": "openai", "model": "small", "api_key_encrypted": None},
    } | changes


def apply(url: str, wanted: dict[str, Any]) -> str:
    """Writes it and returns its id."""
    sql(url, "select monitoring.apply_v1(%s)", json.dumps(wanted))
    return str(wanted["id"])


def started(url: str, wanted: dict[str, Any]) -> str:
    """A process that runs."""
    identity = apply(url, wanted)
    assert sql(url, "select monitoring.start_v1(%s)", identity) == [(None,)]
    assert sql(url, "select monitoring.run_v1(%s)", identity) == [(True,)]
    return identity


def article(url: str, wanted: dict[str, Any], number: str = "1", **columns: Any) -> list[str]:
    """The rows of one article, as a discovery writes them: one for each login and prompt. Returns their
    ids.
    """
    ids = []
    for login in wanted["logins"]:
        for prompt in wanted["prompts"]:
            values = {
                "mymoment_article_id": number,
                "monitoring_process_id": wanted["id"],
                "mymoment_login_id": login["id"],
                "prompt_template_id": prompt["id"],
            } | columns
            names = ", ".join(values)
            places = ", ".join(["%s"] * len(values))
            ids.append(
                str(
                    sql(
                        url,
                        f"insert into ai_comments({names}) values ({places}) returning id",
                        *values.values(),
                    )[0][0]
                )
            )
    sql(url, "select monitoring.mark_runnable(%s)", wanted["id"])
    return ids
