"""The daemons of a host cluster: how each is called, and where it says that it is well. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.configs import node_name
from tools.cluster.network import Network
from tools.cluster.places import ClusterPlace


@dataclass(frozen=True)
class Component:
    """One daemon."""

    name: str
    argv: tuple[str, ...]
    # An address that answers 200, or a UNIX socket that accepts, when the daemon is well.
    health: str
    # BuildKit alone fetches from registries, and so uses the machine's own network.
    in_cluster_network: bool = True


def components(place: ClusterPlace, network: Network, programs: Mapping[str, Path]) -> dict[str, Component]:
    """Every daemon by name, in starting order."""
    node, pki, conf = network.node_address, place.pki, place.conf
    etcd_address = "http://127.0.0.1:2379"

    def kubeconfigs(who: str) -> tuple[str, ...]:
        file = f"{conf}/{who}.kubeconfig"
        return (
            f"--kubeconfig={file}",
            f"--authentication-kubeconfig={file}",
            f"--authorization-kubeconfig={file}",
            f"--bind-address={node}",
            "--leader-elect=false",
        )

    listed = (
        Component(
            "containerd",
            (str(programs["containerd"]), "--config", f"{conf}/containerd.toml"),
            f"unix://{place.containerd_socket}",
        ),
        Component(
            "etcd",
            (
                str(programs["etcd"]),
                f"--data-dir={place.folder}/etcd",
                f"--listen-client-urls={etcd_address}",
                f"--advertise-client-urls={etcd_address}",
                "--listen-peer-urls=http://127.0.0.1:2380",
                f"--listen-metrics-urls=http://{node}:2381",
                "--unsafe-no-fsync",
            ),
            f"http://{node}:2381/health",
        ),
        Component(
            "kube-apiserver",
            (
                str(programs["kube-apiserver"]),
                f"--etcd-servers={etcd_address}",
                f"--advertise-address={node}",
                f"--bind-address={node}",
                "--secure-port=6443",
                f"--tls-cert-file={pki}/apiserver.crt",
                f"--tls-private-key-file={pki}/apiserver.key",
                f"--client-ca-file={pki}/ca.crt",
                f"--service-account-key-file={pki}/service-accounts.pub",
                f"--service-account-signing-key-file={pki}/service-accounts.key",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-cluster-ip-range={network.service_cidr}",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                f"--kubelet-client-certificate={pki}/kubelet-client.crt",
                f"--kubelet-client-key={pki}/kubelet-client.key",
                # The node's name resolves nowhere; logs and exec must go to its address.
                "--kubelet-preferred-address-types=InternalIP",
                # Without these seven there are no aggregated APIs, hence no external metrics.
                f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                f"--proxy-client-cert-file={pki}/front-proxy.crt",
                f"--proxy-client-key-file={pki}/front-proxy.key",
                "--enable-aggregator-routing=true",
                "--allow-privileged=true",
            ),
            f"{network.api_server}/readyz",
        ),
        Component(
            "kube-controller-manager",
            (
                str(programs["kube-controller-manager"]),
                *kubeconfigs("controller-manager"),
                "--controllers=*",
                "--use-service-account-credentials=true",
                f"--root-ca-file={pki}/ca.crt",
                f"--service-account-private-key-file={pki}/service-accounts.key",
                f"--cluster-signing-cert-file={pki}/ca.crt",
                f"--cluster-signing-key-file={pki}/ca.key",
                "--allocate-node-cidrs=true",
                f"--cluster-cidr={network.pod_cidr}",
                "--node-cidr-mask-size=22",
                # Five seconds by default, and the new node stays tainted until the first look.
                "--node-monitor-period=1s",
                f"--service-cluster-ip-range={network.service_cidr}",
                # Fifteen seconds by default: tests of scaling would mostly wait.
                "--horizontal-pod-autoscaler-sync-period=2s",
            ),
            f"https://{node}:10257/healthz",
        ),
        Component(
            "kube-scheduler",
            (str(programs["kube-scheduler"]), *kubeconfigs("scheduler")),
            f"https://{node}:10259/healthz",
        ),
        Component(
            "kubelet",
            (
                str(programs["kubelet"]),
                f"--config={conf}/kubelet.json",
                f"--kubeconfig={conf}/node.kubeconfig",
                f"--hostname-override={node_name(place.name)}",
                f"--node-ip={node}",
                f"--root-dir={place.folder}/kubelet",
            ),
            f"http://{node}:10248/healthz",
        ),
        Component(
            "kube-proxy",
            (str(programs["kube-proxy"]), f"--config={conf}/proxy.json"),
            f"http://{node}:10256/livez",
        ),
        Component(
            "buildkitd",
            (str(programs["buildkitd"]), "--config", f"{conf}/buildkit.toml"),
            f"unix://{place.buildkit_socket}",
            in_cluster_network=False,
        ),
    )
    return {component.name: component for component in listed}
