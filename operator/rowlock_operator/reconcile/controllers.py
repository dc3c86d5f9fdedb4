"""The controller of each kind."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rowlock_operator.api.kinds import MONITORING_PROCESSES, ROW_SOURCES, WORK_QUEUES, UserKind
from rowlock_operator.reconcile.controller import Controller, Shared
from rowlock_operator.reconcile.monitoring_process import MonitoringProcessController
from rowlock_operator.reconcile.row_source import RowSourceController
from rowlock_operator.reconcile.work_queue import WorkQueueController

CONTROLLERS: Mapping[UserKind, Callable[[Shared], Controller]] = MappingProxyType(
    {
        WORK_QUEUES: WorkQueueController,
        ROW_SOURCES: RowSourceController,
        MONITORING_PROCESSES: MonitoringProcessController,
    }
)
"""What makes it, once a term. A test compares with `KINDS`."""
