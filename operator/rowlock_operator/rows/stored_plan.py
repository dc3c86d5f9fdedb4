"""A source as the ledger keeps it: enough to write its outcomes back when nobody feeds it any more, whatever
became of its RowSource.
"""

from dataclasses import asdict, fields
from typing import Any

from rowlock_operator.rows.source_table import Inspection, SourcePlan

_FED = (
    "pending",
    "order_by",
    "arguments",
    "task",
    "priority",
    "fairness_key",
    "limits",
    "version_column",
    "again_seconds",
)  # only who feeds it needs these


def stored(plan: SourcePlan, inspection: Inspection) -> dict[str, Any]:
    """As JSON; the same for the same table, so that a look that finds nothing new writes nothing."""
    named = {plan.key, plan.status_column, plan.error_column}
    return {
        "plan": {name: value for name, value in asdict(plan).items() if name not in _FED},
        "inspection": {
            "key_type": inspection.key_type,
            "status_type": inspection.status_type,
            "relation": inspection.relation,
            "no_error": inspection.no_error,
            "columns": {name: type_ for name, type_ in inspection.columns.items() if name in named},
        },
    }


def restored(spec: dict[str, Any]) -> tuple[SourcePlan, Inspection] | None:
    """The plan and what was known of the table; None for what an operator before this version registered."""
    if not isinstance(plan := spec.get("plan"), dict) or not isinstance(
        found := spec.get("inspection"), dict
    ):
        return None
    return (
        SourcePlan(**_known(SourcePlan, plan), pending="false", order_by=(), arguments=(), task=""),
        Inspection(**_known(Inspection, found), estimated_rows=0.0, sorts=False, advice=None),
    )


def _known(of: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Without what a newer operator wrote beside it."""
    names = {each.name for each in fields(of)}
    return {name: value for name, value in values.items() if name in names}
