"""rq-dashboard and django-rq, as their users open them, show our workers, queues and runs, also with one at
work.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import rq_dashboard.web
from flask import Flask
from flask.testing import FlaskClient
from rq.serializers import DefaultSerializer, JSONSerializer
from rq_dashboard import blueprint, default_settings
from rq_dashboard.web import setup_rq_connection

from rowlock_operator.transport.redis_queues import RedisQueues
from tests.integration.jobs.stage import QUEUE, ROOT, RQ_QUEUE, Stage

pytestmark = pytest.mark.integration


def rq_dashboard_of(redis_url: str, **settings: Any) -> FlaskClient:
    app = Flask(__name__)
    app.config.from_object(default_settings)
    app.config["RQ_DASHBOARD_REDIS_URL"] = redis_url
    app.config.update(settings)
    app.register_blueprint(blueprint, url_prefix="")
    with app.app_context():
        setup_rq_connection(app)
    return app.test_client()


@pytest.fixture
def in_flight(stage: Stage) -> Iterator[str]:
    """The id of a run that is at work; the dispatcher's own hand pushed it, and it ends with the test."""
    stage.worker()
    stage.enqueue("hold", release=str(stage.folder / "go"))
    round_of_one = "rowlock.round_v1(array(select id from rowlock.queue), array[1])"
    ((run_id, attempt),) = stage.sql(f"select id::text, attempt from {round_of_one} where id is not null")
    queues = RedisQueues(stage.redis_url)
    queues.push(QUEUE, [f"{run_id}-{attempt}"], hard_seconds=60)
    queues.close()
    stage.wait_note("begin")
    yield f"{run_id}-{attempt}"
    (stage.folder / "go").touch()
    assert stage.wait_state(run_id, "succeeded")["attempt"] == 1  # nobody who looked changed it


def test_the_dashboard_lists_our_queue_and_its_waiting_run(redis_url: str) -> None:
    queues = RedisQueues(redis_url)
    run = "01a206bb-b407-71d6-b3a6-17c46decc4ed-1"
    assert queues.push("default/orders", [run], hard_seconds=60) == 1
    queues.close()
    client = rq_dashboard_of(redis_url)
    listed = client.get("/0/data/queues.json").get_json()
    assert [(queue["name"], queue["count"]) for queue in listed["queues"]] == [("default.orders", 1)]
    waiting = client.get("/0/data/jobs/default.orders/queued/8/asc/1.json").get_json()
    assert [job["id"] for job in waiting["jobs"]] == [run]


@pytest.mark.parametrize(
    ("serializer", "settings"),
    [
        pytest.param(DefaultSerializer, {}, id="as it comes"),
        pytest.param(DefaultSerializer, {"RQ_DASHBOARD_SHOW_FULL_ARGS": True}, id="with full arguments"),
        pytest.param(JSONSerializer, {}, id="with --json"),
    ],
)
def test_every_page_of_rq_dashboard_opens_while_a_run_is_at_work(
    stage: Stage,
    in_flight: str,
    monkeypatch: pytest.MonkeyPatch,
    serializer: type,
    settings: dict[str, Any],
) -> None:
    started = f"jobs/{RQ_QUEUE}/started/8/asc/1"
    monkeypatch.setattr(rq_dashboard.web.config, "serializer", serializer)
    client = rq_dashboard_of(stage.redis_url, **settings)
    pages = ["view/queues", "view/workers", "view/jobs", f"view/job/{in_flight}", f"view/{started}"]
    pages += ["data/queues.json", "data/workers.json", f"data/job/{in_flight}.json", f"data/{started}.json"]
    statuses = {page: client.get(f"/0/{page}", follow_redirects=True).status_code for page in pages}
    assert statuses == dict.fromkeys(pages, 200)
    (worker,) = client.get("/0/data/workers.json").get_json()["workers"]
    assert (worker["state"], worker["queues"]) == ("busy", [RQ_QUEUE])
    assert worker["current_job"]["job_id"] == in_flight
    assert worker["current_job"]["call_string"] == "rowlock_jobs.worker.rq_compat.run()"
    described = client.get(f"/0/data/job/{in_flight}.json").get_json()["description"]
    assert described == ("rowlock_jobs.worker.rq_compat.run()" if settings else in_flight)


def test_every_page_of_django_rq_opens_while_a_run_is_at_work(stage: Stage, in_flight: str) -> None:
    worker = stage.redis.smembers("rq:workers").pop().decode()
    pages = {
        "": RQ_QUEUE,
        "queues/0/": "",
        "queues/0/details/": "",
        "queues/0/started/": in_flight,
        f"queues/0/{in_flight}/": "rowlock_jobs.worker.rq_compat.run",
        "workers/0/": worker,
        f"workers/0/{worker}/": in_flight,
        "stats.json": RQ_QUEUE,
        "metrics": 'rq_jobs{queue="demo.jobs",status="started"} 1.0',
    }
    command = [sys.executable, "-m", "tests.services.django_rq_site", stage.redis_url, RQ_QUEUE, *pages]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    answers = json.loads(told.stdout)
    assert {page: answers[page][0] for page in pages} == dict.fromkeys(pages, 200)
    assert [page for page, text in pages.items() if text not in answers[page][1]] == []
