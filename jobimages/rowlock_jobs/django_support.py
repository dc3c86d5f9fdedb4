"""Django in a worker: set up before the tasks are imported, and its connections kept as between two requests
of a web process.
"""

import os
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rowlock_jobs import hooks
from rowlock_jobs.errors import SettingsError
from rowlock_jobs.task import Run


def set_up() -> None:
    """django.setup(), where DJANGO_SETTINGS_MODULE is set and Django is installed. Raises SettingsError."""
    settings = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not settings or find_spec("django") is None:
        return
    try:
        import_module("django").setup()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise SettingsError(
            f"DJANGO_SETTINGS_MODULE is {settings!r}, but django.setup() failed: {type(error).__name__}:"
            f" {error}; correct the settings, or unset the variable where the tasks need no Django"
        ) from error


def keep_connections() -> None:
    """Registers the hooks, where the tasks brought a Django that is set up; closes what it opened at
    import.
    """
    if "django.db" not in sys.modules or not import_module("django.conf").settings.configured:
        return
    db: Any = import_module("django.db")
    for alias in db.connections:
        # One `select 1` before the first query of a run: a connection that a restart of the database ended is
        # replaced, not met.
        db.connections.settings[alias]["CONN_HEALTH_CHECKS"] = True
    db.connections.close_all()
    hooks.before_run(_begin)
    hooks.after_run(_end)


def _begin(_run: Run) -> None:
    db: Any = sys.modules["django.db"]
    db.reset_queries()
    db.close_old_connections()


def _end(_run: Run) -> None:
    db: Any = sys.modules["django.db"]
    db.close_old_connections()
    for connection in db.connections.all(initialized_only=True):
        if connection.in_atomic_block:
            # Its task left a transaction open: nobody may write into it, and Django reopens none in that
            # state.
            with suppress(db.Error):
                connection.close()
            del db.connections[connection.alias]
