"""CoreDNS as an ordinary Deployment. Pure: the objects, each with the path it is applied to."""

from typing import Any

from tools.cluster.configs import COREDNS_IMAGE

Manifest = dict[str, Any]
NAME = {"name": "coredns", "namespace": "kube-system"}
LABELS = {"k8s-app": "kube-dns"}

DEPLOYMENT_PATH = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"


def corefile(*, forwards: bool) -> str:
    """CoreDNS' configuration; the braces of `kubernetes` must stand on lines of their own."""
    outside = "  forward . /etc/resolv.conf\n" if forwards else ""
    return (
        ".:53 {\n  errors\n  health\n  ready\n"
        "  kubernetes cluster.local in-addr.arpa ip6.arpa {\n    pods insecure\n  }\n"
        f"{outside}  cache 30\n}}\n"
    )


def dns_manifests(*, dns_address: str, forwards: bool) -> list[tuple[str, Manifest]]:
    """(API path, object) for everything that DNS needs, in the order to apply."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    core = "/api/v1/namespaces/kube-system"
    return [
        (f"{core}/serviceaccounts/coredns", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": NAME}),
        (f"{rbac}/clusterroles/system:coredns", _cluster_role()),
        (f"{rbac}/clusterrolebindings/system:coredns", _cluster_role_binding()),
        (
            f"{core}/configmaps/coredns",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": NAME,
                "data": {"Corefile": corefile(forwards=forwards)},
            },
        ),
        (DEPLOYMENT_PATH, _deployment()),
        (f"{core}/services/kube-dns", _service(dns_address)),
    ]


def _cluster_role() -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    }


def _cluster_role_binding() -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", **NAME}],
    }


def _deployment() -> Manifest:
    container = {
        "name": "coredns",
        "image": COREDNS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**NAME, "labels": LABELS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "serviceAccountName": "coredns",
                    "priorityClassName": "system-cluster-critical",
                    "dnsPolicy": "Default",
                    "containers": [container],
                    "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
                },
            },
        },
    }


def _service(dns_address: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": LABELS},
        "spec": {
            "clusterIP": dns_address,
            "selector": LABELS,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ],
        },
    }
