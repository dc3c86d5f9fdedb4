"""The monitoring processes of one database: the functions of schema `monitoring`, which the domain's
migration makes.
"""

import json
from typing import Any

from rowlock_ledger.statements import load_statements
from rowlock_operator.api import reasons
from rowlock_operator.observed.monitoring import ProcessRow
from rowlock_operator.rows.pool import Pool

_SQL = load_statements("rowlock_operator.rows", "sql/monitoring.sql")


class MonitoringRows:
    """Values in, values out; every call is one transaction. Raises RetryLater and GiveUp as the pool does."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._installed = False

    def check_installed(self) -> None:
        """Raises GiveUp (DomainMissing) where the tables of monitoring are not there."""
        if not self._installed:
            self._installed = bool(self._value("looking for the tables of monitoring", "installed"))
        if not self._installed:
            raise reasons.DOMAIN_MISSING.error(database=self._pool.name)

    def apply(self, document: dict[str, Any]) -> None:
        """The process, its logins, prompts and model as the document says; secrets in it are encrypted."""
        self._value("writing a monitoring process", "apply", document=json.dumps(document))

    def start(self, process_id: str, *, per_owner: int) -> str | None:
        """Asks for a start; the reason where it is refused."""
        refused: str | None = self._value(
            "starting a monitoring process", "start", id=process_id, per_owner=per_owner
        )
        return refused

    def stop(self, process_id: str, *, status: str, reason: str) -> bool:
        """Ends it at once; false where it had ended."""
        return bool(
            self._value("stopping a monitoring process", "stop", id=process_id, status=status, reason=reason)
        )

    def forget(self, process_id: str) -> None:
        """Its object is gone: stopped, its records stay."""
        self._value("ending a deleted monitoring process", "forget", id=process_id)

    def expire(self) -> list[str]:
        """Ends the processes whose duration is over; their ids."""
        return [
            identity
            for (identity,) in self._pool.rows("ending monitoring processes that are over", _SQL["expire"])
        ]

    def alive(self) -> list[tuple[str, str]]:
        """(id, namespace) of the processes that run."""
        return [
            (identity, namespace)
            for identity, namespace in self._pool.rows("listing monitoring processes", _SQL["alive"])
        ]

    def status(self, ids: list[str]) -> dict[str, ProcessRow]:
        """What is known of each; one that was never written is missing."""
        if not ids:
            return {}
        rows = self._pool.records("looking at monitoring processes", _SQL["status"], {"ids": ids})
        return {row["id"]: ProcessRow(**row | {"needs_reauth": tuple(row["needs_reauth"])}) for row in rows}

    def _value(self, what: str, name: str, **parameters: Any) -> Any:
        return self._pool.rows(what, _SQL[name], parameters or None)[0][0]
