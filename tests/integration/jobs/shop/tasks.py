"""Tasks that use the ORM as any view of the application would."""

import os
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from rowlock_jobs.orm import django_transaction
from rowlock_jobs.task import Permanent, Run, task
from tests.integration.jobs.shop.models import Invoice

_left: list[Any] = []


@task("bill")
def bill(run: Run) -> int:
    Invoice.objects.create(number=run.args["number"])
    return os.getpid()


@task("bill_together")
def bill_together(run: Run) -> str:
    """Writes by the ORM and by run.transaction(), and ends in one of several ways."""
    with django_transaction(run):
        Invoice.objects.create(number=1)
        transaction.on_commit(lambda: _note(run, f"committed {Invoice.objects.filter(number=1).count()}"))
    with run.transaction() as cursor:
        cursor.execute("insert into invoice(number) values (2)")
    if not run.args.get("alone"):
        run.enqueue("look", {})
    match run.args["end"]:
        case "forks":
            if (pid := os.fork()) == 0:
                return "of the fork"
            os.waitpid(pid, 0)
        case "raises":
            raise Permanent("after its writes")
        case "commits":
            transaction.commit()
        case "a block fails":
            try:
                with django_transaction(run):
                    Invoice.objects.create(number=3)
                    raise ValueError("undone alone")
            except ValueError:
                pass
        case "a hook raises":
            transaction.on_commit(lambda: 1 / 0)
        case "a block is open":
            _left.append(django_transaction(run))
            _left[-1].__enter__()
            Invoice.objects.create(number=5)
        case "stale":
            _note(run, "wrote")
            while not Path(run.args["release"]).exists():
                pass
    return "returned"


@task("leave_open")
def leave_open(run: Run) -> None:
    transaction.atomic().__enter__()
    Invoice.objects.create(number=4)


@task("look")
def look(run: Run) -> dict[str, Any]:
    return {"pid": os.getpid(), "atomic": connection.in_atomic_block, "invoices": Invoice.objects.count()}


@task("lose")
def lose(run: Run) -> None:
    """Its connection ends in the middle of its work, the first time."""
    if run.attempt == 1:
        with connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")
    Invoice.objects.create(number=run.attempt)


def _note(run: Run, text: str) -> None:
    with open(run.args["journal"], "a") as journal:
        journal.write(text + "\n")
