"""The Kubernetes API with the user's own rights: objects that a person changes, and files that pods have
mounted.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rowlock_cli.errors import Failed

GROUP, VERSION = "rowlock.dev", "v1alpha1"


class Cluster:
    """Calls raise what the client raises; `connected` translates it."""

    def __init__(self, api_client: Any, namespace: str) -> None:
        from kubernetes import client

        self.namespace = namespace
        self.core = client.CoreV1Api(api_client)
        self._custom = client.CustomObjectsApi(api_client)

    def process(self, namespace: str, name: str) -> dict[str, Any]:
        """The MonitoringProcess as it is. Failed where there is none."""
        from kubernetes import client

        try:
            found: dict[str, Any] = self._custom.get_namespaced_custom_object(
                GROUP, VERSION, namespace, "monitoringprocesses", name
            )
        except client.ApiException as error:
            if error.status == 404:
                raise Failed(self._no_process(namespace, name)) from error
            raise
        return found

    def change_process(self, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Sets these fields of its spec; the object as it is then."""
        found: dict[str, Any] = self._custom.patch_namespaced_custom_object(
            GROUP,
            VERSION,
            namespace,
            "monitoringprocesses",
            name,
            {"spec": spec},
            field_manager="rowlock-cli",
        )
        return found

    def pods(self, labels: str = "") -> list[Any]:
        """The pods of the namespace."""
        found: list[Any] = self.core.list_namespaced_pod(self.namespace, label_selector=labels or None).items
        return found

    def secret(self, name: str) -> Any:
        """Failed where there is none."""
        from kubernetes import client

        try:
            return self.core.read_namespaced_secret(name, self.namespace)
        except client.ApiException as error:
            if error.status == 404:
                raise Failed(
                    f"there is no Secret {self.namespace}/{name}; `helm upgrade` makes it, with a first key"
                ) from error
            raise

    def write_secret(self, seen: Any, *, data: dict[str, str], annotations: dict[str, str | None]) -> Any:
        """Changes the Secret that was seen. Failed where somebody else has changed it since, or where nobody
        may.
        """
        from kubernetes import client

        name = seen.metadata.name
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        metadata = {"resourceVersion": seen.metadata.resource_version, "annotations": annotations}
        try:
            return self.core.patch_namespaced_secret(
                name, self.namespace, {"metadata": metadata, "data": encoded}, field_manager="rowlock-cli"
            )
        except client.ApiException as error:
            if error.status == 409:
                raise Failed(
                    f"somebody else changed the Secret {self.namespace}/{name} this moment; run this again"
                ) from error
            if error.status == 422:
                raise Failed(
                    f"the Secret {self.namespace}/{name} cannot be changed (is it immutable?): make a new one"
                ) from error
            raise

    def sha256_in_pod(self, pod: str, container: str, path: str) -> str:
        """The digest of a file in a container, and nothing else of it; empty where it cannot be read
        (now).
        """
        from kubernetes import client

        from rowlock_cli.kube.operator_pod import exec_in_pod

        answer, ignored = bytearray(), bytearray()
        try:
            code = exec_in_pod(
                self.core, pod, self.namespace, container, ["sha256sum", path], answer.extend, ignored.extend
            )
        except Failed:
            return ""
        except client.ApiException as error:
            if error.status in (401, 403):
                raise
            return ""  # the pod has gone, or is going
        return "" if code else answer.decode(errors="replace").partition(" ")[0].lstrip("\\")

    def _no_process(self, namespace: str, name: str) -> str:
        from kubernetes import client

        try:
            items = self._custom.list_namespaced_custom_object(
                GROUP, VERSION, namespace, "monitoringprocesses"
            )["items"]
        except client.ApiException:
            items = []  # no right to list, or no such kind: what is known is said anyway
        known = ", ".join(sorted(item["metadata"]["name"] for item in items)) or "none"
        return (
            f"there is no MonitoringProcess {name} in the namespace {namespace}; there: {known}. Say another"
            " namespace with -n"
        )


@contextmanager
def connected(*, namespace: str | None, context: str | None, needs: str) -> Iterator[Cluster]:
    """The cluster of the kubeconfig. `needs` is what the user must be allowed to, for the sentence of a
    refusal. Failed, with the remedy.
    """
    # Imported here: most commands run inside the operator's pod, where the client is neither needed nor
    # cheap.
    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
    except ImportError as error:
        raise Failed(
            "no Kubernetes client is installed here. This command works with your own rights in Kubernetes:"
            " run it where your kubeconfig is, with the extra `cli` installed"
        ) from error
    from urllib3.exceptions import HTTPError

    from rowlock_cli.kube.operator_pod import current_namespace, kubeconfig

    try:
        api_client = config.new_client_from_config(kubeconfig(), context=context)
        yield Cluster(api_client, namespace or current_namespace(config, context))
    except ConfigException as error:
        raise Failed(
            f"no cluster is reachable: {error}. This command works with your own rights in Kubernetes: run it"
            " where your kubeconfig is"
        ) from error
    except client.ApiException as error:
        said = error.reason or str(error).splitlines()[0]
        raise Failed(
            f"the cluster refused ({error.status or 'no status'}: {said}); the command needs to {needs}"
        ) from error
    except (HTTPError, OSError) as error:
        raise Failed(f"the cluster does not answer: {error}") from error
