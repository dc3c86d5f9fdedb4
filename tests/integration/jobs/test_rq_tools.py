"""docs/rq.md tells the truth: RQ's own tools are used on a running installation, each line of its table is
what is seen.

One dispatcher, one worker and one Redis for all lines; each line makes runs of its own.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from rq import Queue
from rq.cli import main as rq
from rq.command import send_kill_horse_command, send_shutdown_command, send_stop_job_command
from rq.exceptions import NoSuchJobError
from rq.job import Job, requeue_job

from rowlock_jobs.fence.values import parse_rq_id
from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.sweeper import SweeperSettings
from tests.integration.jobs.stage import QUEUE, ROOT, RQ_QUEUE, Stage, WorkerProcess
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import dispatching
from tests.unit.docs.pages import page

pytestmark = pytest.mark.integration

TABLE = page("docs/rq.md").table("## What each command does")
# However slow a stock worker is here, only a claim that `age` made old is looked for in Redis.
SETTINGS = DispatchSettings(sweeper=SweeperSettings(every_seconds=0.2, stale_seconds=100))
Tried = Callable[["Installation"], str]
TRIED: dict[str, Tried] = {}


def tries(cell: str) -> Callable[[Tried], Tried]:
    """What follows makes a run, does what this first cell of a line says, and returns RQ's id of it."""

    def note(tried: Tried) -> Tried:
        TRIED[cell] = tried
        return tried

    return note


class Installation(Stage):
    """A stage whose runs are dispatched by the operator's own dispatcher."""

    released = 0  # how often

    @property
    def running(self) -> WorkerProcess:
        """The worker that lives."""
        return next(worker for worker in self.workers if worker.poll() is None)

    @property
    def name(self) -> str:
        return str(self.running.events("worker_started")[0]["worker"])

    @property
    def queue(self) -> Queue:
        return Queue(RQ_QUEUE, connection=self.redis)

    def rq(self, *arguments: str) -> str:
        """What the command line of RQ printed."""
        told = CliRunner().invoke(rq, self._on_our_redis(arguments), catch_exceptions=False)
        assert told.exit_code == 0, told.output
        return str(told.output)

    def rq_process(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """The same as a process of its own, in the environment of a worker."""
        command = [str(Path(sys.executable).with_name("rq")), *self._on_our_redis(arguments)]
        with (self.folder / "rq.log").open("ab") as log:
            return subprocess.Popen(command, env=self.environment(), cwd=ROOT, stdout=log, stderr=log)

    def _on_our_redis(self, arguments: tuple[str, ...]) -> list[str]:
        return [arguments[0], "-u", self.redis_url, *arguments[1:]]

    def at_work(self) -> str:
        """A run that works until `release`."""
        begun = len(self.notes("begin"))
        (run_id,) = self.enqueue("hold", release=str(self.folder / f"go-{self.released}"))
        self.wait_note("begin", begun + 1)
        return f"{run_id}-1"

    def release(self) -> None:
        (self.folder / f"go-{self.released}").touch()
        self.released += 1

    def enqueued(self, task: str, **args: str) -> str:
        (run_id,) = self.enqueue(task, **args)
        return f"{run_id}-1"

    def waiting(self) -> str:
        """A run that waits in Redis, because the only worker is busy."""
        self.at_work()
        rq_id = self.enqueued("echo")
        self.wait_listed(rq_id)
        return rq_id

    def wait_listed(self, rq_id: str) -> None:
        key = self.queue.key
        wait_until(lambda: rq_id.encode() in self.redis.lrange(key, 0, -1), f"{rq_id} waits in Redis")

    def age(self, rq_id: str) -> None:
        """As if it had been claimed some minutes ago."""
        self.sql(
            "update rowlock.active set claimed_at = claimed_at - interval '200 s' where id = %s", rq_id[:36]
        )

    def wait_listed_again(self, rq_id: str) -> None:
        """What Redis lost is pushed again once its claim is some seconds old."""
        self.age(rq_id)
        self.wait_listed(rq_id)

    def wait_listening(self) -> None:
        channel = f"rq:pubsub:{self.name}"
        wait_until(lambda: dict(self.redis.pubsub_numsub(channel))[channel.encode()], "the worker listens")

    def wait_said(self, rq_id: str, by_rq: str) -> None:
        wait_until(lambda: self.said_by_rq(rq_id) == by_rq, f"RQ says {by_rq} of {rq_id}")

    def wait_refused(self, rq_id: str, sentence: str) -> None:
        def refused() -> bool:
            result = Job.fetch(rq_id, connection=self.redis).latest_result()
            return bool(result and sentence in result.exc_string)

        wait_until(refused, f"RQ says of {rq_id}: {sentence}")

    def said_by_rq(self, rq_id: str) -> str:
        try:
            return f"`{Job.fetch(rq_id, connection=self.redis).get_status().value}`"
        except NoSuchJobError:
            return "nothing"

    def said_by_ledger(self, rq_id: str) -> str:
        ref = parse_rq_id(rq_id)
        rows = self.sql("select state, attempt from rowlock.run where id = %s", ref.id) if ref else []
        if not rows:
            return "nothing"
        ((state, attempt),) = rows
        return f"`{state}`" + (f", attempt {attempt}" if attempt > 1 else "")


@pytest.fixture(scope="module")
def installation(
    postgres: PostgresServer,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    redis_server.flush()
    database = postgres.new_database()
    made = Installation(database, redis_server.url, tmp_path_factory.mktemp("rq"))
    try:
        made.worker()
        (retry,) = made.sql("select retry from rowlock.queue where name = %s", QUEUE)[0]
        with dispatching(database, redis_server.url, settings=SETTINGS) as bench:
            entry = QueueEntry(0, QUEUE, False, False, 600)
            bench.dispatcher.register_queue(entry, retry=retry, succeeded_seconds=86400, dead_seconds=86400)
            yield made
    finally:
        made.close()


@pytest.fixture
def stage(installation: Installation) -> Iterator[Installation]:
    """With a worker, and everything that still runs brought to its end afterwards."""
    if all(worker.poll() is not None for worker in installation.workers):
        installation.worker()
    yield installation
    installation.redis.delete("rq:suspended")
    installation.release()
    installation.released += 1
    active = "select count(*) from rowlock.active"
    wait_until(lambda: installation.sql(active) == [(0,)], "every run has ended")


@pytest.mark.parametrize("line", [pytest.param(cells, id=cells[0]) for cells in TABLE])
def test_a_line_of_the_page_says_what_is_seen(stage: Installation, line: list[str]) -> None:
    rq_id = TRIED[line[0]](stage)

    def said() -> list[str]:
        return [stage.said_by_rq(rq_id), stage.said_by_ledger(rq_id)]

    with suppress(AssertionError):
        wait_until(lambda: said() == line[1:3], "as the page says")
    assert said() == line[1:3]


def test_every_command_that_is_tried_is_on_the_page() -> None:
    assert list(TRIED) == [cells[0] for cells in TABLE]
    written = " ".join(TRIED)
    assert [name for name in rq.commands if not re.search(rf"`rq {name}\b", written)] == []


@tries("`rq info` while a run is at work")
def info(stage: Installation) -> str:
    rq_id = stage.at_work()
    told = stage.rq("info", "-R")
    assert [text for text in (RQ_QUEUE, "1 executing", f"{stage.name} ", "busy") if text not in told] == []
    return rq_id


@tries("`rq suspend` while a run waits")
def suspend(stage: Installation) -> str:
    rq_id = stage.waiting()
    stage.rq("suspend")
    stage.release()
    wait_until(lambda: stage.redis.hget(f"rq:worker:{stage.name}", "state") != b"busy", "it works on nothing")
    return rq_id


@tries("`rq resume`")
def resume(stage: Installation) -> str:
    stage.rq("suspend")
    rq_id = stage.enqueued("echo")
    stage.rq("resume")
    return rq_id


@tries("`rq requeue` of a run that is dead")
def requeue_dead(stage: Installation) -> str:
    rq_id = stage.enqueued("raises", error="Permanent")
    stage.wait_said(rq_id, "`failed`")
    stage.rq("requeue", "--queue", RQ_QUEUE, rq_id)
    stage.wait_refused(rq_id, "Refused: the run is dead in the ledger; `rowlock requeue")
    return rq_id


@tries("`requeue_job` (*Requeue* of both dashboards) of a run that its task refused for good")
def requeue_by_hand(stage: Installation) -> str:
    rq_id = stage.enqueued("raises", error="InputError")
    stage.wait_said(rq_id, "`failed`")
    requeue_job(rq_id, connection=stage.redis)
    stage.wait_refused(rq_id, "Refused: the run is dead in the ledger; `rowlock requeue")
    return rq_id


@tries("`rq requeue` of a run that `rowlock requeue` has run again since")
def requeue_after_ours(stage: Installation) -> str:
    rq_id = stage.enqueued("raises", error="Permanent")
    stage.wait_said(rq_id, "`failed`")
    stage.sql("select rowlock.requeue_v1(array[%s::uuid])", rq_id[:36])
    stage.wait_said(f"{rq_id[:36]}-2", "`failed`")
    stage.rq("requeue", "--queue", RQ_QUEUE, rq_id)
    stage.wait_refused(rq_id, "Refused: the run is dead in the ledger")
    return rq_id


@tries("`rq requeue` of a run that was purged")
def requeue_purged(stage: Installation) -> str:
    rq_id = stage.enqueued("raises", error="Permanent")
    stage.wait_said(rq_id, "`failed`")
    stage.sql("delete from rowlock.done where id = %s", rq_id[:36])
    stage.rq("requeue", "--queue", RQ_QUEUE, rq_id)
    stage.wait_refused(rq_id, "Refused: the ledger knows no run")
    return rq_id


@tries("`rq requeue --all` with a run that was stopped")
def requeue_all(stage: Installation) -> str:
    rq_id = stop_job(stage)
    stage.wait_said(rq_id, "`stopped`")
    stage.rq("requeue", "--queue", RQ_QUEUE, "--all")
    stage.wait_refused(rq_id, "Refused: the run is canceled in the ledger; `rowlock requeue")
    return rq_id


@tries("`rq requeue` of an attempt that failed, the next one at work")
def requeue_old_attempt(stage: Installation) -> str:
    rq_id = kill_horse(stage)
    stage.wait_said(rq_id, "`failed`")
    stage.rq("requeue", "--queue", RQ_QUEUE, rq_id)
    stage.release()
    stage.wait_refused(rq_id, "Refused: attempt 1 is over")
    return rq_id


@tries("`rq empty` while a run waits")
def empty(stage: Installation) -> str:
    rq_id = stage.waiting()
    assert "1 jobs removed" in stage.rq("empty", RQ_QUEUE)
    assert stage.said_by_rq(rq_id) == "nothing"
    stage.wait_listed_again(rq_id)
    return rq_id


@tries("`rq enqueue` of somebody's function into a queue of Rowlock")
def enqueue(stage: Installation) -> str:
    stage.rq("enqueue", "--queue", RQ_QUEUE, "--job-id", "somebodys", "time.sleep", "%1")
    stage.wait_refused("somebodys", "NotARunId")
    return "somebodys"


@tries("`rq cron` with such a function")
def cron(stage: Installation) -> str:
    (stage.folder / "periodic.py").write_text(
        f"import time\nfrom rq import cron\ncron.register(time.sleep, {RQ_QUEUE!r}, interval=600)\n"
    )
    process = stage.rq_process("cron", str(stage.folder / "periodic.py"))
    registry = stage.queue.failed_job_registry
    before = set(registry.get_job_ids())
    try:
        wait_until(lambda: set(registry.get_job_ids()) - before, "it was enqueued, taken and refused", 30)
    finally:
        process.terminate()
        process.wait(20)
    (rq_id,) = set(registry.get_job_ids()) - before
    stage.wait_refused(rq_id, "NotARunId")
    return rq_id


@tries("`rq worker` (RQ's own) beside ours")
def worker(stage: Installation) -> str:
    rq_id = stage.waiting()
    assert stage.rq_process("worker", "--burst", RQ_QUEUE).wait(60) == 0
    return rq_id


@tries("`rq worker --serializer json` beside ours")
def worker_json(stage: Installation) -> str:
    rq_id = stage.waiting()
    options = ["--burst", "--max-jobs", "1", "--serializer", "json"]
    assert stage.rq_process("worker", *options, RQ_QUEUE).wait(60) == 0
    assert "DeserializationError" in (stage.folder / "rq.log").read_text()
    stage.wait_listed_again(rq_id)
    return rq_id


@tries("`rq worker-pool` beside ours")
def worker_pool(stage: Installation) -> str:
    rq_id = stage.waiting()
    assert stage.rq_process("worker-pool", "--burst", "-n", "1", RQ_QUEUE).wait(60) == 0
    return rq_id


@tries("`send_stop_job_command` (*Stop* of django-rq)")
def stop_job(stage: Installation) -> str:
    rq_id = stage.at_work()
    stage.wait_listening()
    send_stop_job_command(stage.redis, rq_id)
    return rq_id


@tries("`send_kill_horse_command`")
def kill_horse(stage: Installation) -> str:
    rq_id = stage.at_work()
    begun = len(stage.notes("begin"))
    stage.wait_listening()
    send_kill_horse_command(stage.redis, stage.name)
    stage.wait_note("begin", begun + 1)
    return rq_id


@tries("`Job.cancel()` of a run that waits")
def cancel(stage: Installation) -> str:
    rq_id = stage.waiting()
    Job.fetch(rq_id, connection=stage.redis).cancel()
    stage.wait_listed_again(rq_id)
    return rq_id


@tries("`Job.delete()` (*Delete* of both dashboards) of a run that waits")
def delete(stage: Installation) -> str:
    rq_id = stage.waiting()
    Job.fetch(rq_id, connection=stage.redis).delete()
    stage.wait_listed_again(rq_id)
    return rq_id


@tries("`Job.delete()` of a run at work")
def delete_at_work(stage: Installation) -> str:
    rq_id = stage.at_work()
    Job.fetch(rq_id, connection=stage.redis).delete()
    stage.release()
    return rq_id


@tries("`FLUSHALL` while a run waits")
def flush(stage: Installation) -> str:
    rq_id = stage.waiting()
    stage.redis.flushall()
    stage.wait_listed_again(rq_id)
    return rq_id


@tries("`send_shutdown_command` while a run is at work")
def shutdown(stage: Installation) -> str:
    rq_id, running = stage.at_work(), stage.running
    stage.wait_listening()
    send_shutdown_command(stage.redis, stage.name)
    stage.release()
    assert running.wait() == 0
    return rq_id
