"""Metrics, log lines and probes as their readers get them."""

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Iterator

import aiohttp
import pytest

from rowlock_logs.lines import JsonFormatter, TextFormatter
from rowlock_operator.telemetry.logs import configure
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.telemetry.probes import ProbeServer
from rowlock_operator.telemetry.queue_gauges import AT_REST, QueueFigures, QueueGauges

NAMES = {
    "rowlock_row_to_start_seconds": ("queue",),
    "rowlock_row_to_kube_job_seconds": ("queue",),
    "rowlock_kube_job_to_running_seconds": ("queue",),
    "rowlock_queue_depth": ("queue", "state"),
    "rowlock_oldest_waiting_seconds": ("queue",),
    "rowlock_launches": ("result",),
    "rowlock_throttled": ("queue",),
    "rowlock_duplicate_prevented": ("queue",),
    "rowlock_runs_finished": ("queue", "state"),
    "rowlock_dead_letter": ("queue",),
    "rowlock_outcomes_left_alone": ("queue",),
    "rowlock_watch_last_event_age_seconds": ("kind",),
    "rowlock_watch_repairs": ("kind",),
    "rowlock_reconcile_seconds": ("kind",),
    "rowlock_reconcile_errors": ("kind",),
    "rowlock_reconcile_keys_waiting": (),
    "rowlock_kube_requests": ("verb", "resource", "status"),
    "rowlock_kube_request_seconds": ("verb",),
    "rowlock_duty_failing": ("duty",),
    "rowlock_duty_errors": ("duty",),
    "rowlock_database_up": (),
    "rowlock_db_pool_in_use": (),
    "rowlock_marks_without_run": (),
    "rowlock_leader": (),
}


def test_metrics_have_these_names_and_labels_and_none_that_could_hold_a_row_or_an_account() -> None:
    metrics = Metrics()
    found = {each._name: each._labelnames for each in vars(metrics).values() if hasattr(each, "_labelnames")}
    found |= {each.name: each._labelnames for each in QueueGauges(tuple).collect()}
    assert found == NAMES


def test_metrics_are_read_as_text_and_a_queue_that_is_gone_leaves_nothing() -> None:
    metrics = Metrics()
    figures = [
        QueueFigures("shop/orders", {"waiting": 3, "running": 1}, 9.0),
        QueueFigures("shop/other", AT_REST),
    ]
    metrics.read_queues(lambda: figures)
    metrics.runs_finished.labels("shop/orders", "succeeded").inc()
    metrics.row_to_start_seconds.labels("shop/orders").observe(0.1)
    metrics.observe_api_request("patch", "deployments", "200", 0.01)
    assert b'rowlock_queue_depth{queue="shop/orders",state="waiting"} 3.0' in metrics.render()
    assert b'rowlock_oldest_waiting_seconds{queue="shop/orders"} 9.0' in metrics.render()
    assert b'rowlock_runs_finished_total{queue="shop/orders",state="succeeded"} 1.0' in metrics.render()
    assert (
        b'rowlock_kube_requests_total{resource="deployments",status="200",verb="patch"} 1.0'
        in metrics.render()
    )
    del figures[0]
    metrics.forget_queue("shop/orders")
    assert b"shop/orders" not in metrics.render()
    assert b'rowlock_queue_depth{queue="shop/other",state="waiting"} 0.0' in metrics.render()


def test_two_instances_do_not_share_a_registry() -> None:
    one, two = Metrics(), Metrics()
    one.leader.set(1)
    assert b"rowlock_leader 0.0" in two.render()


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_log_line_is_one_json_object_with_event_and_key_values(logs: io.StringIO) -> None:
    configure("json", stream=logs)
    logging.getLogger("rowlock.x").info(
        "row_claimed", extra={"queue": "shop/orders", "runs": 3, "level_of": "ä\nb"}
    )
    logging.getLogger("rowlock.x").debug("not_seen")
    (line,) = logs.getvalue().splitlines()
    parsed = json.loads(line)
    assert parsed.pop("time").endswith("+00:00")
    assert parsed.pop("pid") == os.getpid()
    assert parsed == {
        "level": "info",
        "logger": "rowlock.x",
        "event": "row_claimed",
        "queue": "shop/orders",
        "runs": 3,
        "level_of": "ä\nb",
    }


def test_an_exception_is_in_the_line_and_text_is_for_a_terminal() -> None:
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        record = logging.LogRecord("rowlock.x", logging.ERROR, "f", 1, "loop_failed", (), sys.exc_info())
    record.kind = "workqueues"
    assert "RuntimeError: broken" in json.loads(JsonFormatter().format(record))["exception"]
    text = TextFormatter().format(record)
    assert " error   rowlock.x loop_failed kind=workqueues\n" in text


def test_probes_answer_by_their_functions_and_say_why(caplog: pytest.LogCaptureFixture) -> None:
    moving = {"ok": True}

    def watch() -> tuple[bool, str]:
        return moving["ok"], "moves" if moving["ok"] else "silent for 200 s"

    def broken() -> tuple[bool, str]:
        raise KeyError("x")

    async def scenario() -> None:
        server = ProbeServer(
            metrics=Metrics(),
            live={"watch": watch},
            ready={"watch": watch, "database": broken},
            port=0,
            host="127.0.0.1",
        )
        async with server, aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:

            async def ask(path: str) -> tuple[int, str]:
                async with session.get(path) as reply:
                    return reply.status, await reply.text()

            assert await ask("/livez") == (200, "[+] watch: moves\n")
            assert await ask("/readyz") == (
                503,
                "[+] watch: moves\n[-] database: the probe itself failed: 'x'\n",
            )
            moving["ok"] = False
            for _ in range(3):
                assert await ask("/livez") == (503, "[-] watch: silent for 200 s\n")
            status, text = await ask("/metrics")
            assert status == 200
            assert "rowlock_leader 0.0" in text
            assert (await ask("/nothing"))[0] == 404

    asyncio.run(scenario())
    assert [record.__dict__["probe"] for record in caplog.records if record.message == "probe_failed"] == [
        "database",
        "watch",
    ]
