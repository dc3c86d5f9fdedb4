"""The network of one host cluster: a network namespace of its own, joined to the machine by one pair of
links.

    machine                         the cluster's namespace
    rowlock<i> 10.213.<i>.1  <--->  uplink 10.213.<i>.2      the node, the API server
                                    10.214.<4i>.0/22         pods, one routed link each (CNI ptp)
                                    10.215.<4i>.0/22         Services (kube-proxy, nftables)

Ports, links and nftables rules of several clusters never meet. The machine has routes to pods and Services of
every cluster, so a test on the machine reaches both directly, and a pod reaches the machine at 10.213.<i>.1.
"""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.cluster.places import ClusterPlace, state_folder
from tools.cluster.shell import locked, run, succeeds

INDEXES = range(64)

# Kernel settings inside the namespace (below net.ipv4). A Service without endpoints is refused by an ICMP
# message; the kernel would hold all but the first back, since redirects use up the same allowance, and
# clients would wait minutes.
SETTINGS = {
    "ip_forward": 1,
    "icmp_ratelimit": 0,
    "conf/all/send_redirects": 0,
    "conf/uplink/send_redirects": 0,
}


@dataclass(frozen=True)
class Network:
    """Every address of the cluster with this index."""

    cluster: str
    index: int

    @property
    def host_link(self) -> str:
        return f"rowlock{self.index}"

    @property
    def host_address(self) -> str:
        return f"10.213.{self.index}.1"

    @property
    def node_address(self) -> str:
        return f"10.213.{self.index}.2"

    @property
    def link_cidr(self) -> str:
        return f"10.213.{self.index}.0/24"

    @property
    def pod_cidr(self) -> str:
        return f"10.214.{4 * self.index}.0/22"

    @property
    def service_cidr(self) -> str:
        return f"10.215.{4 * self.index}.0/22"

    @property
    def api_service_address(self) -> str:
        return f"10.215.{4 * self.index}.1"

    @property
    def dns_address(self) -> str:
        return f"10.215.{4 * self.index}.10"

    @property
    def api_server(self) -> str:
        return f"https://{self.node_address}:6443"

    @property
    def nft_table(self) -> str:
        return f"rowlock-{self.cluster}"

    @property
    def cidrs(self) -> tuple[str, str, str]:
        return self.link_cidr, self.pod_cidr, self.service_cidr


def free_index(*, taken: set[int], routes: list[str], cluster: str) -> int:
    """The first index no cluster has and whose addresses no route of the machine covers (a VPN, say).

    Raises ClusterError when all are gone.
    """
    routed = [ipaddress.ip_network(route) for route in routes if route != "default" and ":" not in route]
    for index in INDEXES:
        ours = [ipaddress.ip_network(cidr) for cidr in Network(cluster, index).cidrs]
        if index not in taken and not any(cidr.overlaps(route) for cidr in ours for route in routed):
            return index
    raise ClusterError("Every address range for clusters is in use: end a cluster with `down` and try again.")


def masquerade_rules(network: Network) -> str:
    """nftables text: what leaves the machine from node or pods leaves under the machine's own address."""
    return (
        f"table ip {network.nft_table}\ndelete table ip {network.nft_table}\n"
        f"table ip {network.nft_table} {{\n"
        "  chain postrouting {\n    type nat hook postrouting priority srcnat;\n"
        f'    ip saddr {{ {network.link_cidr}, {network.pod_cidr} }} oifname != "rowlock*" masquerade\n '
        " }\n}\n"
    )


def assign_network(place: ClusterPlace) -> Network:
    """The cluster's network, chosen once and then kept in its folder."""
    with locked(state_folder() / "clusters" / ".network.lock"):
        kept = load_network(place)
        if kept:
            return kept
        taken = {
            int(json.loads(file.read_text())["index"])
            for file in state_folder().glob("clusters/*/network.json")
        }
        routes = [str(route["dst"]) for route in json.loads(run(["ip", "-j", "-4", "route"]) or "[]")]
        network = Network(place.name, free_index(taken=taken, routes=routes, cluster=place.name))
        place.network_file.write_text(json.dumps({"index": network.index}))
        return network


def load_network(place: ClusterPlace) -> Network | None:
    """The network assigned to this cluster; None where none was."""
    if not place.network_file.exists():
        return None
    return Network(place.name, int(json.loads(place.network_file.read_text())["index"]))


def outward_mtu() -> int:
    """Bytes a packet to the outside may have: the default route's, so that pods send nothing the machine
    cannot pass.
    """
    for route in json.loads(run(["ip", "-j", "-4", "route", "show", "default"]) or "[]"):
        return int(Path(f"/sys/class/net/{route['dev']}/mtu").read_text())
    return 1500


def connect(network: Network, *, holder_pid: int) -> None:
    """Join the namespace of `holder_pid` to the machine: links, routes both ways, NAT outwards.
    Repeatable.
    """
    _allow_forwarding()
    inside = ["nsenter", "--target", str(holder_pid), "--net", "--"]
    link, mtu = network.host_link, str(outward_mtu())
    if not succeeds([*inside, "ip", "link", "show", "uplink"]):
        if succeeds(["ip", "link", "show", link]):
            run(["ip", "link", "del", link])  # left by a namespace that is gone
        pair = ["ip", "link", "add", link, "mtu", mtu, "type", "veth", "peer", "name", "uplink", "mtu", mtu]
        run([*pair, "netns", str(holder_pid)])
    run(["ip", "addr", "replace", f"{network.host_address}/24", "dev", link])
    run(["ip", "link", "set", link, "up"])
    run([*inside, "ip", "addr", "replace", f"{network.node_address}/24", "dev", "uplink"])
    run([*inside, "ip", "link", "set", "lo", "up"])
    run([*inside, "ip", "link", "set", "uplink", "up"])
    run([*inside, "ip", "route", "replace", "default", "via", network.host_address])
    run(
        [
            *inside,
            "sh",
            "-ec",
            "".join(f"echo {value} > /proc/sys/net/ipv4/{name};" for name, value in SETTINGS.items()),
        ]
    )
    for cidr in (network.pod_cidr, network.service_cidr):
        run(["ip", "route", "replace", cidr, "via", network.node_address])
    run(["nft", "-f", "-"], stdin=masquerade_rules(network))


def disconnect(network: Network) -> None:
    """Take back what `connect` did on the machine; the namespace's side went with its last process.
    Repeatable.
    """
    if succeeds(["ip", "link", "show", network.host_link]):
        # The kernel may be deleting the pair already, its other end being gone: then our deletion fails, and
        # fine.
        succeeds(["ip", "link", "del", network.host_link])
    if succeeds(["nft", "list", "table", "ip", network.nft_table]):
        run(["nft", "delete", "table", "ip", network.nft_table])


FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def _remembered_forwarding() -> Path:
    return state_folder() / "ip_forward.before"


def _allow_forwarding() -> None:
    before = FORWARDING.read_text().strip()
    if before == "0":
        _remembered_forwarding().write_text(before)
        FORWARDING.write_text("1")


def restore_forwarding() -> None:
    """Put the machine's ip_forward back; for the moment when the last cluster has gone."""
    if _remembered_forwarding().exists():
        FORWARDING.write_text(_remembered_forwarding().read_text())
        _remembered_forwarding().unlink()
