"""Hands each key to the controller of its kind, unless another release serves it."""

import logging
import random
from collections.abc import Mapping

from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.errors import RowlockError
from rowlock_operator.reconcile.controller import Controller
from rowlock_operator.reconcile.key_queue import KeyQueue
from rowlock_operator.reconcile.objects import PrimaryCache
from rowlock_operator.reconcile.served_namespaces import ServedNamespaces
from rowlock_operator.telemetry.metrics import Metrics

log = logging.getLogger("rowlock.reconcile")
# Looks that only the clock asks for, a second in all: with few objects each comes at its own pace, with
# thousands they share this.
RESTING_LOOKS, BUSY_LOOKS = 10.0, 200.0
RESTING_SECONDS = 60.0


class ControllerLoop:
    """`controllers` by plural."""

    def __init__(
        self,
        keys: KeyQueue[ObjectKey],
        controllers: Mapping[str, Controller],
        *,
        served: ServedNamespaces,
        objects: PrimaryCache,
        metrics: Metrics,
    ) -> None:
        self._keys, self._controllers, self._served = keys, controllers, served
        self._objects, self._metrics = objects, metrics

    async def run(self) -> None:
        """Looks at every key of the queue until cancelled."""
        await self._keys.run(self._reconcile, on_error=self._failed, on_done=self._done)

    async def _reconcile(self, key: ObjectKey) -> float | None:
        controller = self._controllers[key.kind]
        if await self._served.by_other(key):
            await controller.let_go(key)
            return self._paced(RESTING_SECONDS)
        seconds = await controller.reconcile(key)
        return None if seconds is None else self._paced(seconds)

    def _paced(self, seconds: float) -> float:
        """When to look again, where all objects together may ask for so many looks a second; spread, so that
        they do not come together.
        """
        resting = seconds >= RESTING_SECONDS
        least = len(self._objects) / (RESTING_LOOKS if resting else BUSY_LOOKS)
        return max(seconds, least) * (random.uniform(0.8, 1.2) if resting else 1.0)

    def _failed(self, key: ObjectKey, error: Exception) -> None:
        self._metrics.reconcile_errors.labels(key.kind).inc()
        expected = isinstance(error, RowlockError)
        log.warning(
            "look_failed", extra={"key": str(key), "why": str(error)}, exc_info=None if expected else error
        )

    def _done(self, key: ObjectKey, seconds: float) -> None:
        self._metrics.reconcile_seconds.labels(key.kind).observe(seconds)
