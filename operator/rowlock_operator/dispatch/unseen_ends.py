"""A pod that went before anybody saw its end: whether it was asked to end.

A kube job counts a program that obeyed a SIGTERM with exit code 0 as complete, and one that obeyed with
another as failed. Where its pod is gone (drained while no operator looked), the kubelet's Event is the only
word that is left: it writes `Killing` before it ends a container that runs, and never for one that ended by
itself (killContainer). Events are kept for an hour, and may be lost.
"""

from contextlib import aclosing

from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import EVENTS
from rowlock_operator.decide.outcome import Failed
from rowlock_operator.observed.kube_jobs import KubeJobSeen

_KILLED = "involvedObject.kind=Pod,reason=Killing"


async def interrupted(kube: KubeClient, kube_job: KubeJobSeen) -> Failed | None:
    """The failure where a pod of this kube job was killed; None where nothing says so. Raises RowlockError
    where the Events cannot be read.
    """
    async with aclosing(kube.list_pages(EVENTS, kube_job.namespace, field_selector=_KILLED)) as pages:
        async for page in pages:
            for event in page.items:
                pod = str((event.get("involvedObject") or {}).get("name", ""))
                if pod.rpartition("-")[0] == kube_job.name:  # the job controller adds five characters
                    message = (
                        f"pod {pod} was asked to end while it ran, and is gone: its kubelet says Killing, so"
                        " its exit code says nothing"
                    )
                    return Failed(failure_class="infra", reason="PodDeleted", message=message)
    return None
