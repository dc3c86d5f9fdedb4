"""`rowlock-worker tasks` is a look into an image: it needs no database and no queue."""

import subprocess
import sys


def listed(**environment: str) -> str:
    command = [sys.executable, "-m", "rowlock_jobs", "tasks"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_tasks_are_listed_without_any_address() -> None:
    assert listed(ROWLOCK_IMPORTS="rowlock_jobs.work.documents").startswith(
        "process_document\trowlock_jobs.work.documents"
    )


def test_tasks_outside_the_allow_list_are_marked() -> None:
    assert "(not in the allow-list)" in listed(
        ROWLOCK_IMPORTS="rowlock_jobs.work.documents", ROWLOCK_TASKS="another"
    )
