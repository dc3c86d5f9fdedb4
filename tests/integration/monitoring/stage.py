"""The whole pipeline on loopback: ledger and domain, the chart's queues and sources, real worker processes,
the stand-in site and model.
"""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.fernet import Fernet

from rowlock_jobs.work.migrate import migrate
from rowlock_operator.api.monitoring_process import DISCLOSURE
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.sources import check_source
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.sweeper import SweeperSettings
from rowlock_operator.reconcile.row_source import plan_of
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.integration.monitoring.processes import apply, sql
from tests.integration.work.ledger_attempt import worker_login
from tests.services.monitoring import KEY, pipeline
from tests.services.process import wait_until
from tests.services.worker import RunningWorker, worker_environment
from tests.standins.llm import Running as RunningLlm
from tests.standins.website import Site

NAMESPACE = "default"
RETRY = {
    each: {"limit": 3, "backoff_seconds": 0.3, "max_backoff_seconds": 1.0} for each in ("app", "site")
} | {"infra": {"limit": 100, "backoff_seconds": 0.05, "max_backoff_seconds": 0.1}}
FAST = [
    {
        "name": "per-login",
        "key": "mymoment_login_id",
        "concurrency": 1,
        "rate": {"count": 100, "perSeconds": 1},
    }
]


class MonitoringStage:
    """Everything started here is ended by `close`, by process id."""

    def __init__(
        self,
        url: str,
        redis_url: str,
        folder: Path,
        site: Site,
        llm: RunningLlm,
        posting: list[dict[str, Any]] | None = None,
    ) -> None:
        """`posting`: other limits of the posting source."""
        self.url, self.redis_url, self.folder, self.site, self.llm = url, redis_url, folder, site, llm
        migrate(url)
        self.worker_url = worker_login(url)
        self.keys = folder / "keys"
        self.keys.write_text(KEY + "\n")
        self.workers: list[RunningWorker] = []
        self._tasks: dict[str, list[str]] = {}
        self._imports: dict[str, list[str]] = {}
        queues = RedisQueues(redis_url)
        settings = DispatchSettings(
            sweeper=SweeperSettings(
                every_seconds=0.2, stale_seconds=0.5, relane_seconds=1.0, slow_seconds=2.0
            )
        )
        self.dispatcher = DatabaseDispatcher(
            url, lambda: queues, settings, launch=lambda dispatcher, queue, claims: None
        )
        self.dispatcher.migrate()
        self._register(posting or FAST)
        self.dispatcher.start()

    def _register(self, posting: list[dict[str, Any]]) -> None:
        parsed = {}
        ids = {}
        for manifest in pipeline(posting=posting):
            name = manifest["metadata"]["name"]
            if manifest["kind"] == "WorkQueue":
                parsed[name] = WorkQueue.parse(manifest)
                self._tasks[name] = list(parsed[name].spec.tasks)
                self._imports[name] = list(parsed[name].spec.imports)
                entry = QueueEntry(0, f"{NAMESPACE}/{name}", False, False, 600)
                ids[name] = self.dispatcher.register_queue(
                    entry, retry=RETRY, succeeded_seconds=3600, dead_seconds=86400
                ).queue_id
        for manifest in pipeline(posting=posting):
            if manifest["kind"] == "RowSource":
                source = RowSource.parse(manifest)
                queue = source.spec.work_queue_ref.name
                plan, rules = plan_of(
                    source, check_source(source, parsed[queue], default_database_secret="rowlock-database")
                )
                self.dispatcher.register_source(plan, rules, queue_id=ids[queue], suspended=False)

    # -- workers

    def worker(self, queue: str, **changes: str) -> RunningWorker:
        environment = worker_environment(
            url=self.worker_url,
            redis_url=self.redis_url,
            queue=f"{NAMESPACE}/{queue}",
            folder=self.folder,
            tasks=",".join(self._tasks[queue]),
        ) | {
            "ROWLOCK_IMPORTS": ",".join(self._imports[queue]),
            "ROWLOCK_ENCRYPTION_KEYS_FILE": str(self.keys),
            "ROWLOCK_ALLOW_PRIVATE_ADDRESSES": "true",
            "ROWLOCK_ALIVE_FILE": str(self.folder / f"alive-{len(self.workers)}"),
            **{name.upper(): value for name, value in changes.items()},
        }
        worker = RunningWorker(environment, self.folder / f"worker-{len(self.workers)}.log")
        self.workers.append(worker)
        return worker

    def imports(self, queue: str) -> list[str]:
        """Modules that the queue's workers import."""
        return self._imports[queue]

    def work(self, *queues: str) -> "MonitoringStage":
        """A worker for each queue (by default those of the pipeline), once all of them listen."""
        for worker in [self.worker(queue) for queue in queues or ("monitoring", "comments", "sessions")]:
            worker.wait_ready()
        return self

    # -- processes

    def encrypt(self, text: str) -> str:
        return Fernet(KEY).encrypt(text.encode()).decode()

    def wanted(self, logins: tuple[str, ...] = ("ada",), prompts: int = 1, **changes: Any) -> dict[str, Any]:
        """What the operator writes of a MonitoringProcess, with fast settings."""
        settings = {
            "requests_per_second": 50,
            "discovery_interval_seconds": 5,
            "discovery_max_interval_seconds": 60,
            "comment_prefix": DISCLOSURE,
        }
        return {
            "id": str(uuid4()),
            "namespace": NAMESPACE,
            "name": "watch",
            "owner": "ada",
            "site_driver": "mymoment",
            "base_url": self.site.url,
            "generate_only": True,
            "hide_comments": False,
            "sort_option": "newest",
            "article_limit": 3,
            "max_duration_minutes": 60,
            "settings": settings | changes.pop("settings", {}),
            "logins": [self.login(name) for name in logins],
            "prompts": [
                {
                    "id": str(uuid4()),
                    "name": f"p{n}",
                    "system_prompt": f"You are kind {n}.",
                    "template": f"Prompt {n}: {{article_title}} {{article_content}}",
                }
                for n in range(prompts)
            ],
            "llm": {
                "id": str(uuid4()),
                "provider": "compatible",
                "model": "small",
                "base_url": self.llm.base_url,
                "api_key_encrypted": self.encrypt("key-of-the-model"),
                "settings": {"timeout_seconds": 10},
            },
        } | changes

    def login(self, name: str, password: str | None = None) -> dict[str, Any]:
        """One account; the same name is the same login."""
        known = self.site.logins[name]
        return {
            "id": str(uuid4().__class__(int=int.from_bytes(name.encode().ljust(16, b"-")[:16], "big"))),
            "name": name,
            "username_encrypted": self.encrypt(name),
            "password_encrypted": self.encrypt(password or known.password),
            "credentials_hash": hashlib.sha256((password or known.password).encode()).hexdigest(),
        }

    def start(self, wanted: dict[str, Any]) -> str:
        """Applies and starts it, as the operator does; returns its id."""
        identity = apply(self.url, wanted)
        assert self.sql("select monitoring.start_v1(%s)", identity) == [(None,)]
        return identity

    # -- looking

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return sql(self.url, statement, *parameters)

    def count(self, status: str = "", process: str = "") -> int:
        """Comment rows, of one status."""
        where = "(%s = '' or status = %s) and (%s = '' or monitoring_process_id::text = %s)"
        return int(
            self.sql(f"select count(*) from ai_comments where {where}", status, status, process, process)[0][
                0
            ]
        )

    def wait_count(self, status: str, count: int, deadline_seconds: float = 40) -> None:
        try:
            wait_until(
                lambda: self.count(status) >= count, f"{count} comments are {status}", deadline_seconds
            )
        except AssertionError as error:
            seen = self.sql(
                "select status, approval, count(*), max(error_message) from ai_comments group by 1, 2"
            )
            runs = self.sql("select task, state, count(*), max(failure::text) from rowlock.run group by 1, 2")
            raise AssertionError(f"{error}; rows {seen}; runs {runs}") from None

    def approve(self, *ids: str, by: str = "ada") -> int:
        """All that wait, or these."""
        wanted = list(ids) or [
            str(i) for (i,) in self.sql("select id from ai_comments where status = 'generated'")
        ]
        return len(self.sql("select monitoring.decide_v1(%s::uuid[], 'approved', %s)", wanted, by))

    def run_task(self, queue: str, task: str, **args: Any) -> str:
        """A task by its known name, as a user enqueues it; returns the run's id."""
        return str(
            self.sql("select rowlock.enqueue_v1(%s, %s, %s)", f"{NAMESPACE}/{queue}", task, json.dumps(args))[
                0
            ][0]
        )

    def outcome(self, run: str, deadline_seconds: float = 30) -> tuple[str, Any, Any]:
        """(state, result, failure) once it has ended."""
        ended = "select state, result, failure from rowlock.done where id = %s"
        wait_until(lambda: bool(self.sql(ended, run)), f"run {run} has ended", deadline_seconds)
        state, result, failure = self.sql(ended, run)[0]
        return str(state), result, failure

    def posted(self) -> list[dict[str, Any]]:
        """Comments in the site's own log."""
        return list(self.site.comment_log)

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.dispatcher.stop()


def secret_words() -> dict[str, str]:
    """What must be found nowhere: name -> words, plain and as they may be encoded."""
    words = {"password": "pw-ada", "key": "key-of-the-model", "encryption": KEY}
    return words | {
        f"{name} in base64": base64.b64encode(word.encode()).decode() for name, word in words.items()
    }


def process_id() -> int:
    return os.getpid()
