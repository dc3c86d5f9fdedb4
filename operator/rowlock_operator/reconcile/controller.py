"""What a controller is, and what all controllers of one term share."""

from dataclasses import dataclass
from typing import Protocol

from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.dispatch.launcher import Launcher
from rowlock_operator.reconcile.databases import Databases
from rowlock_operator.reconcile.key_router import KeyRouter
from rowlock_operator.reconcile.objects import PrimaryCache
from rowlock_operator.reconcile.queue_children import QueueChildrenReader
from rowlock_operator.reconcile.reporter import Reporter
from rowlock_operator.reconcile.served_namespaces import ServedNamespaces
from rowlock_operator.settings import Settings
from rowlock_operator.telemetry.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The services of one term of leadership."""

    settings: Settings
    kube: KubeClient
    objects: PrimaryCache
    router: KeyRouter
    databases: Databases
    reporter: Reporter
    served: ServedNamespaces
    children: QueueChildrenReader
    launcher: Launcher
    metrics: Metrics


class Controller(Protocol):
    """Looks after the objects of one kind. Level-based: any call may be repeated, and what is remembered from
    an earlier one only saves work. Two calls for one key never run at once.
    """

    async def reconcile(self, key: ObjectKey) -> float | None:
        """One look at one object, which may be gone: gather, decide, apply, report. Returns after how many
        seconds to look again at the latest; None: when something happens. What it raises is counted, logged,
        and tried again later.
        """

    async def let_go(self, key: ObjectKey) -> None:
        """Another release serves the object: forget it, and write nothing."""

    async def run(self) -> None:
        """What the kind needs beside looks at single objects, until cancelled; most need nothing."""

    def close(self) -> None:
        """The term is over: what is under way is given up."""
