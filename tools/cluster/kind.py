"""The kind provider: where Docker works, kind brings the cluster. Command lines are pure, so they can be
tested anywhere.
"""

from collections.abc import Callable
from pathlib import Path

from tools.cluster.places import ClusterPlace
from tools.cluster.shell import run, succeeds

NODE_READY_WAIT = "180s"

Command = list[str]


def kind_name(cluster: str) -> str:
    """The name that kind and Docker know the cluster by; its kube context is this with `kind-` in front."""
    return f"rowlock-{cluster}"


def create_command(kind: str, place: ClusterPlace) -> Command:
    words = [kind, "create", "cluster", "--name", kind_name(place.name)]
    return [*words, "--kubeconfig", str(place.kubeconfig), "--wait", NODE_READY_WAIT]


def delete_command(kind: str, place: ClusterPlace) -> Command:
    return [kind, "delete", "cluster", "--name", kind_name(place.name), "--kubeconfig", str(place.kubeconfig)]


def export_command(kind: str, place: ClusterPlace) -> Command:
    return [
        kind,
        "export",
        "kubeconfig",
        "--name",
        kind_name(place.name),
        "--kubeconfig",
        str(place.kubeconfig),
    ]


def load_command(kind: str, place: ClusterPlace, image: str) -> Command:
    """`image` is a name that local Docker knows, or the path of a tar."""
    what = "image-archive" if Path(image).is_file() else "docker-image"
    return [kind, "load", what, image, "--name", kind_name(place.name)]


def docker_works() -> bool:
    """Whether a Docker daemon answers here."""
    return succeeds(["docker", "info"])


def up(kind: str, place: ClusterPlace, ask: Callable[[Command], str] = run) -> None:
    """Create the cluster, or only write its kubeconfig again where it exists."""
    place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    exists = kind_name(place.name) in ask([kind, "get", "clusters"]).split()
    ask(export_command(kind, place) if exists else create_command(kind, place))
    place.kubeconfig.chmod(0o600)
