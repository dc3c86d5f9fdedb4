"""How many kube jobs of a queue may be created now."""

from rowlock_operator.api.work_queue import WorkQueueSpec


def launches_allowed(spec: WorkQueueSpec, *, unfinished_kube_jobs: int | None) -> int:
    """0 while suspended, in mode Workers, or where the number of unfinished kube jobs is unknown: a failed list is not an empty one."""
    if spec.is_workers or spec.suspend or unfinished_kube_jobs is None:
        return 0
    return max(0, spec.parallelism - unfinished_kube_jobs)
