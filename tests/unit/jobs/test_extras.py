"""What a worker of somebody's own tasks has to have installed."""

import subprocess
import sys
import tomllib

from tests.services.worker import ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Everything of the extras `jobs` and `operator` that the extra `worker` does not bring.
WITHOUT = (
    "openai",
    "httpx2",
    "w3lib",
    "webencodings",
    "pypdfium2",
    "selectolax",
    "feedparser",
    "cryptography",
    "pydantic",
    "kopf",
    "rowlock_operator",
)
PROGRAM = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {WITHOUT!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import rowlock_jobs.__main__, rowlock_jobs.wiring, rowlock_jobs.worker.stock
import rowlock_jobs.work.tick, rowlock_jobs.work.migrate
sys.exit(rowlock_jobs.__main__.main(["tasks"]))
"""


def test_a_worker_needs_nothing_but_the_extra_worker() -> None:
    environment = {
        "PATH": "",
        "PYTHONPATH": f"{ROOT}/ledger:{ROOT}/jobimages:{ROOT}",
        "ROWLOCK_IMPORTS": "tests.services.journal_tasks",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    assert (done.returncode, "count\t" in done.stdout) == (0, True), done.stderr


def test_the_extra_worker_brings_rq_alone_and_the_shipped_tasks_are_extras_of_their_own() -> None:
    worker, documents, monitoring, jobs = (
        set(EXTRAS[name]) for name in ("worker", "documents", "monitoring", "jobs")
    )
    assert [each.partition(">")[0] for each in worker] == ["rq"]
    assert documents & monitoring == worker
    assert jobs == documents | monitoring
