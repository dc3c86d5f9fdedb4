"""rq-dashboard, as its users open it, shows our workers, queues and runs."""

import pytest
from flask import Flask
from rq_dashboard import blueprint, default_settings
from rq_dashboard.web import setup_rq_connection

from rowlock_operator.transport.redis_queues import RedisQueues

pytestmark = pytest.mark.integration


def test_the_dashboard_lists_our_queue_and_its_waiting_run(redis_url: str) -> None:
    queues = RedisQueues(redis_url)
    run = "01a206bb-b407-71d6-b3a6-17c46decc4ed-1"
    assert queues.push("default/orders", [run], hard_seconds=60) == 1
    queues.close()
    app = Flask(__name__)
    app.config.from_object(default_settings)
    app.config["RQ_DASHBOARD_REDIS_URL"] = redis_url
    app.register_blueprint(blueprint, url_prefix="")
    with app.app_context():
        setup_rq_connection(app)
    client = app.test_client()
    listed = client.get("/0/data/queues.json").get_json()
    assert [(queue["name"], queue["count"]) for queue in listed["queues"]] == [("default.orders", 1)]
    waiting = client.get("/0/data/jobs/default.orders/queued/8/asc/1.json").get_json()
    assert [job["id"] for job in waiting["jobs"]] == [run]
