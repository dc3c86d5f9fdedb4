"""Which measures there are, in the order of running: quick ones first, those that start a cluster last."""

import importlib
import importlib.util

from tests.bench.frame import Measure

_MODULES = (
    *(
        "claiming",
        "row_to_start",
        "behind_limits",
        "dispatch_rate",
        "end_to_end",
        "clean_session",
        "redis_memory",
    ),
    *("kube_jobs", "pods", "scale"),
)


def measures(only: list[str] | None = None) -> list[Measure]:
    """The measures with these names, or all. Raises SystemExit for a name that is none."""
    found = [_load(module) for module in _MODULES if importlib.util.find_spec(f"tests.bench.{module}")]
    names = [measure.NAME for measure in found]
    for name in only or []:
        if name not in names:
            raise SystemExit(f"no measure is called {name}; there are: {', '.join(names)}")
    return [measure for measure in found if not only or measure.NAME in only]


def _load(module: str) -> Measure:
    loaded: Measure = importlib.import_module(f"tests.bench.{module}")  # type: ignore[assignment]
    return loaded
