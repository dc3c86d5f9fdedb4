"""`python -m tests.bench.monitoring [--processes 100]`: many MonitoringProcesses at once against stand-ins
for site and model, until every comment is written.

Each process has 3 logins of its own, 2 prompts and 20 articles: 120 comments. Everything (PostgreSQL, Redis,
dispatcher, workers, stand-ins) shares the machine. What is counted at the end: no comment is missing, none
has failed, each begins with the disclosure, and how often the site and the model were asked.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rowlock_operator.api.monitoring_process import DISCLOSURE
from tests.bench.frame import Bench, cores, servers
from tests.bench.table import PAGE, number
from tests.integration.monitoring.stage import MonitoringStage
from tests.services.process import free_port, port_open, wait_until
from tests.services.worker import ROOT, RunningWorker
from tests.standins.llm import Running as RunningLlm
from tests.standins.website import Login, Site

LOGINS, PROMPTS, ARTICLES = 3, 2, 20
WORKERS = {"monitoring": 1, "comments": 2, "sessions": 1}
_OWNERS_EACH = 10
_BEGIN, _END = (
    "<!-- figures of the monitoring load: begin -->",
    "<!-- figures of the monitoring load: end -->",
)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one load. Times in seconds from the first start, memory in MiB (proportional: shared pages count
    once).
    """

    processes: int
    comments: int
    all_running_seconds: float
    all_found_seconds: float
    all_generated_seconds: float
    per_second: float
    full_logins: int
    site_requests: int
    model_requests: int
    worker_parent_mib: float
    worker_child_mib: float
    workers_mib: float
    database_mib: float


def load(bench: Bench, processes: int, *, deadline_seconds: float) -> Figures:
    """Starts so many processes and waits until all of their comments are generated. AssertionError where one
    is lost.
    """
    logins = [Login(f"u{n:04d}", f"pw-{n:04d}", f"Student {n:04d}") for n in range(processes * LOGINS)]
    with bench.database() as url, _standins(bench.folder, logins) as (site, llm):
        stage = MonitoringStage(url, bench.redis.url, bench.folder, site, llm)
        memory = _Memory(stage.workers)
        try:
            stage.work(*[queue for queue, count in WORKERS.items() for _ in range(count)])
            with memory:
                began = time.monotonic()
                for n in range(processes):
                    stage.start(_wanted(stage, n))
                figures = _follow(bench, stage, processes, began, deadline_seconds)
            _check(stage, processes)
        finally:
            stage.close()
        return Figures(
            **figures,
            processes=processes,
            full_logins=int(stage.sql("select sum(full_logins) from mymoment_logins")[0][0]),
            site_requests=len(_control(site.url, "log")["requests"]),
            model_requests=int(_control(llm.base_url.removesuffix("/v1"), "log")["totals"]["requests"]),
            worker_parent_mib=memory.parent,
            worker_child_mib=memory.child,
            workers_mib=memory.all,
            database_mib=float(stage.sql("select pg_database_size(current_database()) / 1048576.0")[0][0]),
        )


def _wanted(stage: MonitoringStage, number: int) -> dict[str, Any]:
    names = tuple(f"u{number * LOGINS + n:04d}" for n in range(LOGINS))
    changes = {
        "discovery_interval_seconds": 60,
        "discovery_max_interval_seconds": 600,
        "requests_per_second": 500,
    }
    return stage.wanted(
        logins=names,
        prompts=PROMPTS,
        name=f"watch-{number}",
        owner=f"owner-{number // _OWNERS_EACH}",
        article_limit=ARTICLES,
        settings=changes,
    )


def _follow(
    bench: Bench, stage: MonitoringStage, processes: int, began: float, deadline_seconds: float
) -> dict[str, Any]:
    expected = processes * LOGINS * PROMPTS * ARTICLES
    running = found = 0.0
    spoken = began
    while True:
        ((runs, rows, written, failed),) = stage.sql(
            "select (select count(*) from monitoring_processes where status = 'running'), count(*), count(*)"
            " filter (where status = 'generated'), count(*) filter (where status in ('failed', 'unknown'))"
            " from ai_comments"
        )
        now = time.monotonic()
        running = running or (now - began if runs == processes else 0.0)
        found = found or (now - began if rows == expected else 0.0)
        if now - spoken > 15:
            spoken = now
            bench.say(
                f"{now - began:.0f} s: {runs} processes run, {rows} comments found, {written} written,"
                f" {failed} failed"
            )
        if written == expected:
            return {
                "comments": written,
                "all_running_seconds": running,
                "all_found_seconds": found,
                "all_generated_seconds": now - began,
                "per_second": written / (now - began),
            }
        assert not failed, stage.sql(
            "select error_message, count(*) from ai_comments where status = 'failed' group by 1 order by 2"
            " desc limit 5"
        )
        assert now - began < deadline_seconds, (
            f"after {now - began:.0f} s {written} of {expected} comments are written, {rows} found"
        )
        time.sleep(0.2 if expected < 1000 else 1.0)


def _check(stage: MonitoringStage, processes: int) -> None:
    """What a user would count."""
    each = stage.sql(
        "select monitoring_process_id, count(*) from ai_comments where status = 'generated' group by 1"
    )
    assert [count for _, count in each] == [LOGINS * PROMPTS * ARTICLES] * processes, (
        "a process has too few or too many comments"
    )
    undisclosed = "select count(*) from ai_comments where not starts_with(comment_content, %s)"
    assert stage.sql(undisclosed, f"<p>{DISCLOSURE}") == [(0,)], (
        "a comment does not begin with the disclosure"
    )
    assert stage.sql("select count(*) from rowlock.run where state in ('dead', 'unknown')") == [(0,)]


class _Memory:
    """Looks at the workers every second; keeps the largest of what it saw."""

    def __init__(self, workers: list[RunningWorker]) -> None:
        self.parent = self.child = self.all = 0.0
        self._workers, self._end = workers, threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory")

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(1):
            parents = [_mib(worker.pid) for worker in self._workers]
            children = [_mib(pid) for worker in self._workers for pid in worker.children()]
            self.parent = max([self.parent, *parents])
            self.child = max([self.child, *children])
            self.all = max(self.all, sum(parents) + sum(children))


def _mib(pid: int) -> float:
    """Proportional set size; 0 where the process has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


@contextlib.contextmanager
def _standins(folder: Path, logins: list[Login]) -> Iterator[tuple[Site, RunningLlm]]:
    """Site and model as processes of their own, as a stage takes them."""
    config = folder / "site.json"
    config.write_text(
        json.dumps({"articles_per_class": ARTICLES, "logins": [vars(login) for login in logins]})
    )
    site_port, llm_port = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_program(folder, "website", site_port, "--config", str(config)))
        stack.enter_context(_program(folder, "llm", llm_port))
        site = SimpleNamespace(
            url=f"http://127.0.0.1:{site_port}", logins={login.name: login for login in logins}
        )
        llm = SimpleNamespace(base_url=f"http://127.0.0.1:{llm_port}/v1")
        yield cast(Site, site), cast(RunningLlm, llm)


@contextlib.contextmanager
def _program(folder: Path, name: str, port: int, *more: str) -> Iterator[None]:
    command = [sys.executable, "-m", f"tests.standins.{name}", "--port", str(port), *more]
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: port_open(port), f"{name} listens", 20)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _control(address: str, what: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/_control/{what}", timeout=60) as answer:
        return dict(json.load(answer))


def render(figures: Figures) -> str:
    """The table of docs/measurements.md."""
    minutes = figures.all_generated_seconds / 60
    children = sum(WORKERS.values())
    rows = [
        ("processes, each with 3 logins, 2 prompts and 20 articles", number(figures.processes)),
        ("comments generated; lost, failed or doubled: none", f"**{figures.comments:,}**"),
        ("from the first start until all processes run", f"{figures.all_running_seconds:.0f} s"),
        ("until all articles are found, with each login", f"{figures.all_found_seconds:.0f} s"),
        (
            f"until the last comment is generated, {cores()} cores for everything",
            f"**{minutes:.1f} min** ({figures.per_second:.1f} comments/s)",
        ),
        ("full logins, each login once", number(figures.full_logins)),
        ("requests to the site: logins, discoveries, articles", f"{figures.site_requests:,}"),
        ("requests to the model", f"{figures.model_requests:,}"),
        (f"memory of all {children} workers together, at most (PSS)", f"**{figures.workers_mib:.0f} MiB**"),
        (
            "memory of one worker: parent, and child with the task's code, at most",
            f"{figures.worker_parent_mib:.0f} and {figures.worker_child_mib:.0f} MiB",
        ),
        ("size of the database at the end", f"{figures.database_mib:.0f} MiB"),
    ]
    return "\n".join(["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)])


def write(figures: Figures) -> None:
    """Between the markers of the page. Raises ValueError where one is missing."""
    before, begin, rest = PAGE.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} needs the lines {_BEGIN} and {_END}")
    PAGE.write_text(f"{before}{_BEGIN}\n\n{render(figures)}\n\n{_END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.monitoring", description=__doc__)
    parser.add_argument("--processes", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/measurements.md")
    chosen = parser.parse_args()

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    with servers(say) as bench:
        figures = load(bench, chosen.processes, deadline_seconds=3600)
    if chosen.write:
        write(figures)
    print(render(figures))


if __name__ == "__main__":
    main()
