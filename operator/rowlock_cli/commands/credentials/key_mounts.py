"""Which pods have the encryption keys mounted, and whether what they see is what the Secret holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rowlock_cli.errors import Failed

KEYS_VARIABLE = "ROWLOCK_ENCRYPTION_KEYS_FILE"
KEY = "keys"


@dataclass(frozen=True, order=True)
class Mount:
    """A file with the keys in a running container."""

    pod: str
    container: str
    path: str


def secret_of(operator: Any, namespace: str) -> str:
    """The Secret that an operator's pod has its keys from. Failed where it has none. Pure."""
    for container in operator.spec.containers:
        path = next((str(one.value) for one in container.env or [] if one.name == KEYS_VARIABLE), "")
        for mount in container.volume_mounts or []:
            if path.startswith(mount.mount_path.rstrip("/") + "/"):
                for volume in operator.spec.volumes or []:
                    if volume.name == mount.name and volume.secret:
                        return str(volume.secret.secret_name)
    raise Failed(
        f"the operator of the namespace {namespace} has no encryption keys mounted: install the chart with"
        " domain.monitoring.enabled=true, which makes them"
    )


def mounts_of(pods: Sequence[Any], secret: str) -> list[Mount]:
    """The key files of all containers that run. A pod that has yet to start reads the Secret as it will be
    then. Pure.
    """
    found = []
    for pod in pods:
        running = {one.name for one in pod.status.container_statuses or [] if one.state and one.state.running}
        files = {
            volume.name: name
            for volume in pod.spec.volumes or []
            if volume.secret and volume.secret.secret_name == secret
            for name in _file_names(volume.secret)
        }
        for container in pod.spec.containers:
            for mount in container.volume_mounts or []:
                if container.name in running and mount.name in files:
                    path = (
                        mount.mount_path
                        if mount.sub_path
                        else f"{mount.mount_path.rstrip('/')}/{files[mount.name]}"
                    )
                    found.append(Mount(pod.metadata.name, container.name, path))
    return sorted(found)


def _file_names(source: Any) -> list[str]:
    return [KEY] if not source.items else [item.path for item in source.items if item.key == KEY]
