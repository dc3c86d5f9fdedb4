"""What we keep of a kube job of ours."""

from dataclasses import dataclass
from datetime import datetime

from rowlock_operator.api.labels import ATTEMPT_LABEL, QUEUE_LABEL, RUN_LABEL
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.observed.owners import Owner, controller_of
from rowlock_operator.observed.reading import condition, instant, label


@dataclass(frozen=True, kw_only=True, slots=True)
class KubeJobSeen:
    """One kube job: one attempt of one run."""

    name: str
    namespace: str
    uid: str
    work_queue: str
    run_id: str
    attempt: int
    created_at: datetime
    started_at: datetime | None = (
        None  # since when it may have pods: not while it is suspended; again with each resumption
    )
    counted_from: datetime | None = (
        None  # since when its limits count, by our own clock (dispatch/sightings.py); None = nobody looked
    )
    controller: Owner | None = None
    suspended: bool = False  # by somebody else: Rowlock suspends none
    resuming: bool = False  # not suspended any more, and not started again yet
    pods_failed: int = 0
    complete: bool = False
    failed_reason: str | None = None
    failed_message: str = ""
    failing_reason: str | None = None  # what it will have failed for once its pods have ended
    deleting: bool = False
    suspended_at: datetime | None = (
        None  # since when it is suspended, where it is: its pods were asked to end then
    )
    has_ttl: bool = False  # Kubernetes deletes it some time after its end

    @property
    def ended(self) -> bool:
        """Kubernetes will start no pod of it any more."""
        return self.complete or self.failed_reason is not None

    @property
    def held(self) -> bool:
        """Somebody else decides when it starts."""
        return (self.suspended or self.resuming) and not self.ended

    @property
    def begins_at(self) -> datetime:
        """From when on it should start."""
        return self.started_at or self.created_at


def observe_kube_job(manifest: Manifest) -> KubeJobSeen | None:
    """A batch/v1 Job as the API server sends it; None where it carries no run of ours."""
    metadata = manifest["metadata"]
    work_queue, run_id, attempt = (label(manifest, name) for name in (QUEUE_LABEL, RUN_LABEL, ATTEMPT_LABEL))
    created_at = instant(metadata.get("creationTimestamp"))
    if not (work_queue and run_id and attempt and attempt.isdecimal() and created_at):
        return None
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    # FailureTarget comes before Failed, while pods still end: the attempt is over only with Failed.
    failed, failing = condition(manifest, "Failed"), condition(manifest, "FailureTarget")
    suspend, suspended = spec.get("suspend") is True, condition(manifest, "Suspended") or {}
    return KubeJobSeen(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        work_queue=work_queue,
        run_id=run_id,
        attempt=int(attempt),
        created_at=created_at,
        controller=controller_of(manifest),
        started_at=instant(status.get("startTime")),
        suspended=suspend,
        resuming=bool(suspended) and not suspend,
        pods_failed=status.get("failed") or 0,
        complete=condition(manifest, "Complete") is not None,
        failed_reason=None if failed is None else failed.get("reason", "Failed"),
        failed_message="" if failed is None else failed.get("message", ""),
        failing_reason=None if failing is None else failing.get("reason", ""),
        deleting=bool(metadata.get("deletionTimestamp")),
        suspended_at=instant(suspended.get("lastTransitionTime")),
        has_ttl="ttlSecondsAfterFinished" in spec,
    )
