"""Who owns an object, as its metadata says."""

from dataclasses import dataclass

from rowlock_operator.api.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner reference; `group` is its API group, without the version."""

    group: str
    kind: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def controller_of(manifest: Manifest) -> Owner | None:
    """The owner that manages the object; Kubernetes allows one."""
    for reference in manifest["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return owner_of(reference)
    return None


def owner_of(reference: Manifest) -> Owner:
    """An entry of `metadata.ownerReferences`."""
    group, _, _ = str(reference.get("apiVersion", "")).rpartition("/")
    return Owner(
        group, str(reference.get("kind", "")), str(reference.get("name", "")), str(reference.get("uid", ""))
    )
