"""What the tests of MonitoringProcesses bring along: processes at the demo's stand-ins, and looks at what
became of them.
"""

from collections import Counter
from typing import Any

from tests.cluster.applications import API
from tests.cluster.release import Object, Release
from tools.demo.standins import SITE, Posted

LOGINS = {"ada": (12,), "ben": (12, 13), "cleo": (13,)}
WORKERS = "app.kubernetes.io/component=worker,rowlock.dev/work-queue in (monitoring, comments, sessions)"


def process(name: str, *, prompts: int, **spec: Any) -> Object:
    """A MonitoringProcess with all three accounts of the stand-in site."""
    told = "<article_title>{article_title}</article_title> {article_content}"
    whole = {
        "site": {"driver": "mymoment", "baseURL": f"http://{SITE}", "requestsPerSecond": 20},
        "logins": [{"name": login, "secretRef": {"name": f"demo-login-{login}"}} for login in LOGINS],
        "prompts": [{"name": f"p{n}", "template": f"Reader {n}: {told}"} for n in range(prompts)],
        "llm": {
            "provider": "compatible",
            "model": "small",
            "baseURL": "http://demo-model:8000/v1",
            "apiKeySecretRef": {"name": "demo-model"},
        },
        "filter": {"tab": "alle", "limit": 50},
        "discovery": {"intervalSeconds": 5, "maxIntervalSeconds": 5},
        **spec,
    }
    return {"apiVersion": API, "kind": "MonitoringProcess", "metadata": {"name": name}, "spec": whole}


def wanted(articles: dict[int, int]) -> Counter[tuple[str, str]]:
    """(login, article) of every pair that a process comments on."""
    return Counter(
        (login, str(article))
        for article, number in articles.items()
        for login, classes in LOGINS.items()
        if number in classes
    )


def times(posted: list[Posted]) -> Counter[tuple[str, str]]:
    """How often each login commented on each article, by the site's own log."""
    return Counter((comment.login, comment.article) for comment in posted)


def statuses(release: Release, name: str) -> dict[str, int]:
    """Status -> comments of a process that exists now."""
    rows = owned(
        release,
        f"""select c.status, count(*) from ai_comments c
          join monitoring_processes m on m.id = c.monitoring_process_id
             where m.name = '{name}' and m.namespace = '{release.namespace}' and m.is_active group by 1""",
    )
    return {status: int(n) for status, n in rows}


def owned(release: Release, statement: str) -> list[list[str]]:
    """As the tables' owner: an application may not look at them."""
    return release.sql(f"reset role;\n{statement};\nset role app")
