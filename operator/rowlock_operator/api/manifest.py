"""A Kubernetes object as the API gives and takes it, the kind it is of, and the key that names it. Needs
nothing but the standard library.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

Manifest = dict[str, Any]
"""A Kubernetes object: plain JSON values."""


class ObjectKey(NamedTuple):
    """One object of one kind; `kind` is the plural resource name, so that keys of several kinds share a
    queue.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Kind:
    """A resource of the API: where it lives and how error sentences call it."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The resource as a Role's rule and `kubectl` write it: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """URL path; `namespace` None means all namespaces (lists and watches only)."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return "/".join(part for part in (f"{root}{scope}/{self.plural}", name, subresource) if part)

    def key(self, manifest: Manifest) -> ObjectKey:
        """The key of an object of this kind."""
        metadata = manifest["metadata"]
        return ObjectKey(self.plural, metadata.get("namespace", ""), metadata["name"])
