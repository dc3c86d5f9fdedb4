"""Takes a child over that an earlier WorkQueue of the same name has left behind, so that it is deleted with
the present one."""

import logging

from rowlock_operator.api import reasons
from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.api.labels import queue_of
from rowlock_operator.api.manifest import Kind, Manifest
from rowlock_operator.api.meta import Meta
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.decide.ownership import Whose, is_namesake, whose
from rowlock_operator.desired.owners import owner_reference
from rowlock_operator.errors import Conflict, NotFound, RetryLater
from rowlock_operator.observed.owners import controller_of, owner_of

log = logging.getLogger("rowlock.cluster")


async def adopt(kube: KubeClient, kind: Kind, name: str, queue: Meta) -> Manifest:
    """The child, owned by `queue` from now on. Decided anew from what the API server says, since the caches
    may be late. Raises GiveUp (ChildRefused) where it is somebody else's, RetryLater where something changed
    meanwhile."""
    where = f"{kind.kind} {queue.namespace}/{name}"
    try:
        present = await kube.get(WORK_QUEUES, queue.namespace, queue.name)
        child = await kube.get(kind, queue.namespace, name)
        if present["metadata"]["uid"] != queue.uid:
            raise RetryLater(f"{where}: its WorkQueue was made anew meanwhile; looked at again", 0.5)
        if owner_of_child(child, queue) is Whose.OURS:
            return child
        metadata = child["metadata"]
        kept = [
            reference
            for reference in metadata.get("ownerReferences") or ()
            if reference.get("uid") != queue.uid
            and not is_namesake(owner_of(reference), work_queue=queue.name, uid=queue.uid)
        ]
        # The version is a precondition: between this read and the write somebody else may have taken it.
        patch = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        owned = {**patch, "ownerReferences": [*kept, owner_reference(queue)]}
        child = await kube.merge_patch(kind, queue.namespace, name, {"metadata": owned})
    except (Conflict, NotFound):
        raise RetryLater(f"{where} changed meanwhile; looked at again", 0.5) from None
    log.info("child_taken_over", extra={"child": where, "work_queue": queue.key})
    return child


def owner_of_child(child: Manifest, queue: Meta) -> Whose:
    """Whose a child is that was just read; raises GiveUp (ChildRefused) where it is somebody else's."""
    controller = controller_of(child)
    answer = whose(work_queue=queue.name, uid=queue.uid, labelled=queue_of(child), controller=controller)
    if answer is Whose.OTHERS:
        fact = (
            "it does not carry our labels"
            if queue_of(child) != queue.name
            else f"it is managed by {controller}"
        )
        why = (
            f"somebody else has made a {child['kind']} of this name ({fact}): delete it, or make the"
            " WorkQueue anew under another name"
        )
        raise reasons.CHILD_REFUSED.error(kind=child["kind"], name=child["metadata"]["name"], why=why)
    return answer
