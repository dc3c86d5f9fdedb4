"""The configuration files of a host cluster's daemons, as text. Pure: same cluster, same bytes."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from tools.cluster.cgroups import cgroup_name
from tools.cluster.network import Network
from tools.cluster.places import ClusterPlace

PAUSE_IMAGE = "rowlock.dev/pause:1"
COREDNS_IMAGE = "rowlock.dev/coredns:1"

# Plugins that would create folders on the machine or ask for kernel parts nobody here uses.
DISABLED_CONTAINERD_PLUGINS = (
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
)


def node_name(cluster: str) -> str:
    """The name under which the machine joins its own cluster."""
    return f"rowlock-{cluster}"


def kubeconfig(*, network: Network, user: str, pki: Path) -> str:
    """A kubeconfig with everything inside; JSON, which is YAML too."""

    def inside(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    context = f"rowlock-{network.cluster}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [
            {
                "name": context,
                "cluster": {"server": network.api_server, "certificate-authority-data": inside("ca.crt")},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": inside(f"{user}.crt"),
                    "client-key-data": inside(f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
    }
    return json.dumps(config, indent=1)


def containerd_toml(place: ClusterPlace, *, runc: str, plugins: Path) -> str:
    """containerd: its runtime state lies in the private /run, what should survive a restart in the cluster's
    folder.
    """
    return f"""version = 3
root = "{place.folder}/containerd"
state = "/run/containerd"
disabled_plugins = {json.dumps(DISABLED_CONTAINERD_PLUGINS)}

[grpc]
  address = "{place.containerd_socket}"

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE_IMAGE}"

[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE runc may not lower oom_score_adj, and every sandbox would fail with
  # "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{plugins}"]
  conf_dir = "{place.conf}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
  BinaryName = "{runc}"
"""


def buildkit_toml(place: ClusterPlace) -> str:
    """BuildKit as containerd's client: a built image is at once in the kubelet's store."""
    return f"""root = "{place.folder}/buildkit"
[grpc]
  address = ["unix://{place.buildkit_socket}"]
[worker.oci]
  enabled = false
[worker.containerd]
  enabled = true
  address = "{place.containerd_socket}"
  namespace = "k8s.io"
  networkMode = "host"
  snapshotter = "overlayfs"
  defaultCgroupParent = "/{cgroup_name(place.name)}/builds"
"""


def cni_conflist(network: Network, *, mtu: int) -> str:
    """Pod network: one routed link per pod. Unlike a bridge it needs no br_netfilter for Services to work."""
    config = {
        "cniVersion": "1.0.0",
        "name": "rowlock",
        "plugins": [
            {
                "type": "ptp",
                "mtu": mtu,
                "ipMasq": False,  # the machine's own rule does it for all pods at once
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-addresses",  # private and gone with the pods that hold the addresses
                    "ranges": [[{"subnet": network.pod_cidr}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "backend": "nftables"},
        ],
    }
    return json.dumps(config, indent=1)


def kubelet_config(place: ClusterPlace, network: Network) -> str:
    """The kubelet: never evicts or collects images for lack of disk, since no registry could bring them
    back.
    """
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{place.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_name(place.name)}",
        "clusterDNS": [network.dns_address],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{place.containerd_socket}",
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
            "imagefs.inodesFree": "1%",
        },
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzBindAddress": network.node_address,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": False,
        "maxPods": 250,
        "podLogsDir": f"{place.folder}/pod-logs",
        "resolvConf": f"{place.conf}/resolv.conf",
        "serializeImagePulls": False,
        "tlsCertFile": f"{place.pki}/node.crt",
        "tlsPrivateKeyFile": f"{place.pki}/node.key",
        "volumePluginDir": f"{place.folder}/kubelet/volume-plugins",
    }
    return json.dumps(config, indent=1)


def proxy_config(place: ClusterPlace, network: Network) -> str:
    """kube-proxy in nftables mode; connection-tracking limits stay the machine's."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": f"{place.conf}/proxy.kubeconfig"},
        "clusterCIDR": network.pod_cidr,
        "hostnameOverride": node_name(place.name),
        "healthzBindAddress": f"{network.node_address}:10256",
        "metricsBindAddress": f"{network.node_address}:10249",
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return json.dumps(config, indent=1)


def resolv_conf(machine: str) -> str:
    """The machine's name servers without those that only the machine itself reaches (127.0.0.53 and the
    like).
    """
    kept = []
    for line in machine.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1 and not words[1].startswith(("127.", "::1")):
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


def write_private(files: Mapping[Path, str]) -> None:
    """Write each file that is not so already, readable by its owner alone.

    A file that is right stays untouched: kube-proxy watches its own and ends itself when it is written.
    """
    for file, text in files.items():
        if file.exists() and file.read_text() == text:
            continue
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        file.write_text(text)
