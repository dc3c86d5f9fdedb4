"""Tells how a cluster is: provider, node, each daemon, addresses, images."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.cluster import processes
from tools.cluster.api import Api, is_well
from tools.cluster.components import components
from tools.cluster.configs import node_name
from tools.cluster.containerd import ImageStore
from tools.cluster.errors import ClusterError
from tools.cluster.host import HOLDER, dns_is_available, node_is_ready
from tools.cluster.network import load_network
from tools.cluster.places import ClusterPlace
from tools.cluster.programs import GROUPS, HOST_GROUPS, built_folder, programs_of


@dataclass(frozen=True)
class ComponentStatus:
    """One daemon: its pid while it lives, and whether its health address answers."""

    name: str
    pid: int | None
    healthy: bool


@dataclass(frozen=True)
class Status:
    """What `status` prints; `healthy` is the exit code."""

    name: str
    provider: str
    healthy: bool
    kubeconfig: str = ""
    context: str = ""
    node: str = ""
    node_ready: bool = False
    dns_available: bool = False
    api_server: str = ""
    # Where a pod reaches the machine itself.
    machine_address: str = ""
    pod_cidr: str = ""
    service_cidr: str = ""
    components: list[ComponentStatus] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    programs: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    def as_text(self) -> str:
        if self.provider == "none":
            return f"cluster {self.name} is not up"
        lines = [
            f"cluster {self.name} ({self.provider}): {'healthy' if self.healthy else 'NOT healthy'}",
            f"  kubeconfig {self.kubeconfig}  context {self.context}",
        ]
        if self.node:
            lines.append(
                f"  node {self.node} {'Ready' if self.node_ready else 'not Ready'}  API {self.api_server}"
            )
            lines.append(
                f"  pods {self.pod_cidr}  services {self.service_cidr}  this machine {self.machine_address}"
            )
        lines += [
            f"  {'ok ' if part.healthy else 'BAD'} {part.name:24}"
            f" {f'pid {part.pid}' if part.pid else 'not running'}"
            for part in self.components
        ]
        return "\n".join([*lines, *(f"  image {image}" for image in self.images)])


def host_status(place: ClusterPlace) -> Status:
    """How a host cluster is right now; starts and changes nothing."""
    network = load_network(place)
    if network is None or not place.kubeconfig.exists():
        return Status(place.name, "none", healthy=False)
    programs = known_programs()
    daemons = components(place, network, programs)
    parts = [ComponentStatus(HOLDER, _living_pid(place, HOLDER), _living_pid(place, HOLDER) is not None)]
    for daemon in daemons.values():
        pid = _living_pid(place, daemon.name)
        parts.append(ComponentStatus(daemon.name, pid, pid is not None and is_well(daemon.health)))
    api, node = Api(network.api_server, place.pki), node_name(place.name)
    ready, dns = node_is_ready(api, node), dns_is_available(api)
    return Status(
        name=place.name,
        provider="host",
        healthy=ready and dns and all(part.healthy for part in parts),
        kubeconfig=str(place.kubeconfig),
        context=f"rowlock-{place.name}",
        node=node,
        node_ready=ready,
        dns_available=dns,
        api_server=network.api_server,
        machine_address=network.host_address,
        pod_cidr=network.pod_cidr,
        service_cidr=network.service_cidr,
        components=parts,
        images=_images(place, programs),
        programs={name: str(path) for name, path in programs.items()},
    )


def known_programs() -> dict[str, Path]:
    """Where every program of the host provider lies, built or not."""
    found: dict[str, Path] = {}
    for name in HOST_GROUPS:
        group = GROUPS[name]
        found |= {program: built_folder(group) / program for program in programs_of(group)}
    return found


def _living_pid(place: ClusterPlace, name: str) -> int | None:
    identity = processes.load(place.pids / name)
    return identity.pid if identity and processes.is_alive(identity) else None


def _images(place: ClusterPlace, programs: dict[str, Path]) -> list[str]:
    try:
        names = ImageStore(place, programs["ctr"]).names()
    except ClusterError:
        return []  # containerd is down, which its own line says
    return sorted(name for name in names if "@" not in name and not name.startswith("sha256:"))
