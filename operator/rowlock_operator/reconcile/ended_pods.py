"""Clears away pods that their node ended: a ReplicaSet replaces an evicted pod and leaves it, and Kubernetes'
own collector comes with 12,500.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import PODS
from rowlock_operator.decide.ended_pods import pods_to_clear
from rowlock_operator.errors import GiveUp, RowlockError
from rowlock_operator.observed.queues import Trouble

log = logging.getLogger("rowlock.reconcile")


class EndedPods:
    """Counts from when this operator first saw a pod ended, for the clocks of nodes may be wrong; a new
    leader begins anew.
    """

    def __init__(self, kube: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._clock = kube, clock
        self._since: defaultdict[ObjectKey, dict[str, float]] = defaultdict(dict)

    async def clear(self, key: ObjectKey, names: Sequence[str]) -> Trouble | None:
        """Takes in the ended pods of a WorkQueue and deletes those whose time has come; what is in the way of
        that.
        """
        known, now = self._since.pop(key, {}), self._clock()
        if names:
            self._since[key] = {name: known.get(name, now) for name in names}
        in_the_way: Trouble | None = None
        for name in pods_to_clear({name: now - since for name, since in self._since.get(key, {}).items()}):
            try:
                await self._kube.delete(PODS, key.namespace, name)
            except GiveUp as error:
                # the others may go all the same
                in_the_way = Trouble(reason=error.reason, message=str(error))
            except RowlockError as error:
                # the next look repeats it
                log.warning("ended_pod_not_cleared", extra={"pod": name, "why": str(error)})
            else:
                log.info("ended_pod_cleared", extra={"queue": str(key), "pod": name})
        return in_the_way

    def forget(self, key: ObjectKey) -> None:
        """The WorkQueue is gone; its pods go with it."""
        self._since.pop(key, None)
