"""Tasks that say characters which a database in another encoding does not have."""

import time
from typing import Any

from rowlock_jobs.task import InputError, Permanent, Run, task


class Ошибка(Exception):
    """Its name is what the ledger gets as the reason."""


@task("says")
def says(run: Run) -> Any:
    return {"said": run.args.get("said"), "more": "€ 世界 🙂" if run.args.get("odd") else "plain"}


@task("fails_oddly")
def fails_oddly(run: Run) -> None:
    errors: dict[str, Exception] = {
        "message": ValueError("cost: 5 € 世界"),
        "class": Ошибка("привет"),
        "reason": InputError("Неверно", "5 €"),
        "permanent": Permanent("🙂"),
    }
    raise errors[run.args["kind"]]


@task("writes_oddly")
def writes_oddly(run: Run) -> str:
    with run.transaction() as cursor:
        cursor.execute("insert into written(run, attempt) values (%s, %s)", (run.id, run.attempt))
    return "5 €"


@task("progresses_oddly")
def progresses_oddly(run: Run) -> str:
    run.progress(done=1, total=2, note="5 €")
    time.sleep(float(run.args["seconds"]))
    return "done"


@task("effect_oddly")
def effect_oddly(run: Run) -> str:
    run.begin_effect("комментарий")
    return "done"


@task("задача")
def named_oddly(run: Run) -> str:
    return "done"
