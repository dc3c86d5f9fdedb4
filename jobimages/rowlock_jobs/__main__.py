"""`rowlock-worker`: run (default), once, alive, ready, tasks, migrate, tick."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from rowlock_jobs import logs
from rowlock_jobs.errors import RowlockError, SettingsError
from rowlock_jobs.settings import alive_file, find_database, load_settings, names, require_rq_keys
from rowlock_jobs.worker.alive import ALIVE_FOR_SECONDS, WORKING, read_alive

COMMANDS = {
    "run": "take runs of the WorkQueue until SIGTERM",
    "once": "run the one attempt that ROWLOCK_RUN_ID and ROWLOCK_ATTEMPT name",
    "alive": f"exit 0 while the worker's loops turned within {ALIVE_FOR_SECONDS:.0f} s (liveness)",
    "ready": (
        "exit 0 while they can take work: alive, and waiting neither for Redis nor for PostgreSQL (readiness)"
    ),
    "tasks": "list the tasks that the modules of ROWLOCK_IMPORTS register",
    "tick": "write the tick of a schedule as a run (ROWLOCK_TICK, ROWLOCK_TICK_SCHEDULE, ROWLOCK_TICK_TASK)",
    "migrate": "create or update the domain tables (needs a login that may)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 not, 2 wrong usage or settings."""
    listing = "\n".join(f"  {name:8} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="rowlock-worker",
        epilog=f"commands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="run", metavar="command")
    command = parser.parse_args(arguments).command
    if command in ("alive", "ready"):  # the probes: no imports of tasks, no connection
        state = read_alive(alive_file(os.environ))
        print(f"no loop turned within {ALIVE_FOR_SECONDS:.0f} s" if state is None else state)
        return 0 if state == WORKING or (command == "alive" and state is not None) else 1
    logs.configure_logging(os.environ.get("ROWLOCK_LOG_FORMAT") or "json")
    try:
        return _run(command)
    except SettingsError as error:
        logs.emit(logs.SETTINGS_REFUSED, logging.ERROR, command=command, error=str(error))
        return 2
    except RowlockError as error:
        logs.emit(logs.COMMAND_FAILED, logging.ERROR, command=command, error=str(error))
        return 1


def _run(command: str) -> int:
    if command == "migrate":
        from rowlock_jobs.work.migrate import migrate

        for line in migrate(find_database(os.environ, "migrate needs a database")):
            print(line)
        return 0
    if command == "tick":
        from rowlock_jobs.work.tick import tick

        print(tick(os.environ))
        return 0
    if command == "run":
        require_rq_keys(os.environ)
    from rowlock_jobs import wiring

    if command == "tasks":  # a look into the image: needs no database
        print(
            "\n".join(
                wiring.list_tasks(names(os.environ, "ROWLOCK_IMPORTS"), names(os.environ, "ROWLOCK_TASKS"))
            )
        )
        return 0
    settings = load_settings(os.environ)
    if command == "once":
        return wiring.run_one(settings)
    return wiring.run_workers(settings)


if __name__ == "__main__":
    sys.exit(main())
