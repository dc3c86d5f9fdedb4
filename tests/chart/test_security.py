"""Every pod is restricted, no credential is text in a pod, and the operator may do what it needs and nothing
else.
"""

import json
from typing import Any

import pytest

from rowlock_operator.api.kinds import KINDS
from tests.chart.rendering import (
    POD_KINDS,
    case_names,
    containers,
    pick,
    pod_template,
    pods,
    render,
    render_case,
    secret_values,
)

EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"


@pytest.mark.parametrize("case", case_names())
def test_every_container_is_restricted(case: str) -> None:
    seen = 0
    for name, container in containers(render_case(case)):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["runAsNonRoot"] is True, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["limits"]["memory"], name
        seen += 1
    assert seen >= 2


@pytest.mark.parametrize("case", case_names())
def test_every_pod_is_restricted(case: str) -> None:
    for name, spec in pods(render_case(case)):
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] >= 999, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert not [v for v in spec["volumes"] if "hostPath" in v], name


@pytest.mark.parametrize("case", case_names())
def test_no_emptydir_keeps_a_node_or_fills_its_disk(case: str) -> None:
    """But for the rows of the embedded PostgreSQL without persistence: its node must not go."""
    documents = render_case(case)
    for document in (d for d in documents if d["kind"] in POD_KINDS):
        template, name = pod_template(document), document["metadata"]["name"]
        local = {v["name"]: v["emptyDir"] for v in template["spec"]["volumes"] if "emptyDir" in v}
        assert all("sizeLimit" in given for given in local.values()), name
        on_disk = {volume for volume, given in local.items() if given.get("medium") != "Memory"}
        lasting = {"data"} if name == "rowlock-postgresql" else set()
        named = template["metadata"].get("annotations", {}).get(EVICTABLE, "")
        assert set(filter(None, named.split(","))) == on_disk - lasting, name


@pytest.mark.parametrize("case", case_names())
def test_every_container_says_what_it_needs_of_the_disk(case: str) -> None:
    for name, container in containers(render_case(case)):
        assert container["resources"]["requests"].keys() >= {"cpu", "memory", "ephemeral-storage"}, name
        assert container["resources"]["limits"].keys() >= {"cpu", "memory"}, name


def test_only_the_operator_and_the_renewal_of_definitions_get_a_token() -> None:
    with_token = [
        name for name, spec in pods(render_case("default")) if spec.get("automountServiceAccountToken", True)
    ]
    assert sorted(with_token) == ["Deployment/rowlock-operator", "Job/rowlock-crds-upgrade"]


def credentials_in_pods(documents: list[dict[str, Any]], values: dict[str, str]) -> list[str]:
    """Pods whose text holds a value of a Secret."""
    return [
        name
        for name, spec in pods(documents)
        for value in values.values()
        if value.strip() and value.strip() in json.dumps(spec)
    ]


@pytest.mark.parametrize("case", ["default", "cluster-scope", "monitoring"])
def test_no_credential_is_text_in_a_pod(case: str) -> None:
    documents = render_case(case)
    values = secret_values(documents)
    assert {"rowlock-database/url", "rowlock-database/workerUrl", "rowlock-redis/url"} <= values.keys()
    assert credentials_in_pods(documents, values) == []


def test_a_credential_that_is_text_in_a_pod_would_be_seen() -> None:
    """Negative twin: the same look at a pod that does hold the URL."""
    documents = render_case("default")
    url = secret_values(documents)["rowlock-database/url"]
    leaking = {
        "kind": "Pod",
        "metadata": {"name": "leaking"},
        "spec": {"containers": [{"name": "c", "args": ["--database", url]}]},
    }
    assert credentials_in_pods([leaking], {"url": url}) == ["Pod/leaking"]


def test_passwords_are_long_and_all_different() -> None:
    values = secret_values(render_case("default"))
    passwords = [value for name, value in values.items() if name.lower().endswith("password")]
    assert len(passwords) == len(set(passwords)) == 5
    assert {len(password) for password in passwords} == {32}


def test_each_url_holds_the_password_of_its_own_role() -> None:
    values = {
        name.split("/")[1]: value
        for name, value in secret_values(render_case("default")).items()
        if name.startswith("rowlock-database/")
    }
    address = "rowlock-postgresql.demo.svc:5432/rowlock"
    assert values["url"] == f"postgresql://rowlock_operator:{values['operatorPassword']}@{address}"
    assert values["workerUrl"] == f"postgresql://rowlock_worker_login:{values['workerPassword']}@{address}"
    assert values["appUrl"] == f"postgresql://app:{values['appPassword']}@{address}"


def test_each_pod_mounts_only_the_keys_it_needs() -> None:
    mounted = {
        (name, volume["secret"]["secretName"]): [item["key"] for item in volume["secret"]["items"]]
        for name, spec in pods(render_case("default"))
        for volume in spec["volumes"]
        if "secret" in volume
    }
    assert mounted == {
        ("Deployment/rowlock-operator", "rowlock-database"): ["url"],
        ("Deployment/rowlock-operator", "rowlock-redis"): ["url"],
        ("Deployment/rowlock-redis", "rowlock-redis"): ["redis.conf"],
        ("Job/rowlock-migration-1", "rowlock-database"): ["url"],
        ("Pod/rowlock-test", "rowlock-database"): ["workerUrl"],
        ("Pod/rowlock-test", "rowlock-redis"): ["url"],
    }


def granted(documents: list[dict[str, Any]], kind: str, name: str) -> dict[tuple[str, str], set[str]]:
    """(group, resource) -> verbs."""
    verbs: dict[tuple[str, str], set[str]] = {}
    for rule in pick(documents, kind, name)["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                verbs.setdefault((group, resource), set()).update(rule["verbs"])
    return verbs


READ, MAKE = {"get", "list", "watch"}, {"create", "patch", "delete"}
OPERATOR = {
    **{("rowlock.dev", kind.plural): READ for kind in KINDS},
    **{("rowlock.dev", f"{kind.plural}/status"): {"get", "patch"} for kind in KINDS},
    ("rowlock.dev", "workqueues/scale"): {"get", "patch"},
    ("rowlock.dev", "workqueues/finalizers"): {"update"},
    ("rowlock.dev", "rowsources/finalizers"): {"update"},
    ("apps", "deployments"): READ | MAKE,
    ("apps", "deployments/scale"): {"get", "patch"},
    ("batch", "jobs"): READ | MAKE,
    ("", "pods"): READ | {"patch", "delete"},
    ("", "secrets"): {"get"},
    ("coordination.k8s.io", "leases"): {"create", "get", "update"},
    ("autoscaling", "horizontalpodautoscalers"): {"list"},
    ("keda.sh", "scaledobjects"): {"list"},
    ("", "configmaps"): {"get"},
    ("", "events"): {"create", "patch", "list"},
    ("events.k8s.io", "events"): {"create", "patch"},
}


def test_operator_may_do_exactly_this_and_the_scope_changes_nothing_of_it() -> None:
    assert granted(render_case("default"), "Role", "rowlock-operator") == OPERATOR
    assert granted(render_case("cluster-scope"), "ClusterRole", "demo-rowlock-operator") == OPERATOR


def test_every_kind_is_watched_by_the_operator_and_open_to_the_users_of_a_namespace() -> None:
    documents = render_case("default")
    operator = granted(documents, "Role", "rowlock-operator")
    viewer = granted(documents, "ClusterRole", "demo-rowlock-viewer")
    editor = granted(documents, "ClusterRole", "demo-rowlock-editor")
    definitions = pick(documents, "ClusterRole", "demo-rowlock-crds-upgrade")["rules"][0]["resourceNames"]
    assert definitions == [kind.definition for kind in KINDS]
    for kind in KINDS:
        object_, status = (kind.group, kind.plural), (kind.group, f"{kind.plural}/status")
        scale, finalizers = (kind.group, f"{kind.plural}/scale"), (kind.group, f"{kind.plural}/finalizers")
        assert (operator[object_], operator[status]) == (READ, {"get", "patch"})
        assert (viewer[object_], viewer[status]) == (READ, READ)
        assert (editor[object_], editor[status]) == (
            READ | MAKE | {"update", "deletecollection"},
            {"get"},
        )
        assert {scale in operator, scale in viewer, scale in editor} == {kind.scale is not None}
        assert (finalizers in operator) is kind.owns_children
        for need in kind.needs:
            for resource in need.resources:
                assert operator[need.group, resource] >= set(need.verbs)


def test_operator_changes_only_the_lease_of_who_serves_a_namespace() -> None:
    for case, kind, name in (
        ("default", "Role", "rowlock-operator"),
        ("cluster-scope", "ClusterRole", "demo-rowlock-operator"),
    ):
        rules = [
            rule for rule in pick(render_case(case), kind, name)["rules"] if rule["resources"] == ["leases"]
        ]
        assert [rule["verbs"] for rule in rules if "resourceNames" not in rule] == [["create"]]
        assert [rule["verbs"] for rule in rules if rule.get("resourceNames") == ["rowlock-watched-by"]] == [
            ["get", "update"]
        ]


def test_whatever_it_watches_the_operator_may_do_this_in_its_own_namespace() -> None:
    for case in ("default", "cluster-scope", "monitoring"):
        rights = granted(render_case(case), "Role", "rowlock-operator-leader")
        assert rights[("", "pods")] == {"list", "delete"}, case
        assert rights.keys() == {("", "pods"), ("coordination.k8s.io", "leases")}, case


def test_operator_reads_named_secrets_only() -> None:
    rules = pick(render_case("existing-secrets"), "Role", "rowlock-operator")["rules"]
    reading = [rule for rule in rules if rule["resources"] == ["secrets"] and "get" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in reading] == [
        ["production-database", "production-redis", "orders-database"]
    ]


def test_operator_makes_secrets_only_where_asked() -> None:
    assert granted(render_case("existing-secrets"), "Role", "rowlock-operator")[("", "secrets")] == {
        "get",
        "create",
        "delete",
    }


@pytest.mark.parametrize("case", case_names())
def test_no_rule_holds_a_wildcard(case: str) -> None:
    for document in render_case(case):
        for rule in document.get("rules", []) if document["kind"] in ("Role", "ClusterRole") else []:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], document["metadata"][
                "name"
            ]


def test_embedded_databases_let_in_our_pods_only() -> None:
    documents = render_case("default")
    for component in ("postgresql", "redis"):
        policy = pick(documents, "NetworkPolicy", f"rowlock-{component}")["spec"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert "egress" not in policy, "a database never calls"
        (rule,) = policy["ingress"]
        assert rule["ports"] == [{"port": component, "protocol": "TCP"}]
        assert all(peer["podSelector"]["matchLabels"] for peer in rule["from"])


def test_workers_are_let_in_from_the_namespaces_the_operator_watches() -> None:
    def namespaces(*arguments: str) -> Any:
        policy = pick(render(*arguments), "NetworkPolicy", "rowlock-postgresql")["spec"]
        return [
            peer["namespaceSelector"] for peer in policy["ingress"][0]["from"] if "namespaceSelector" in peer
        ]

    def in_names(*names: str) -> Any:
        return [
            {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(names)}
                ]
            }
        ]

    assert namespaces() == in_names("demo")
    assert namespaces("--set", "watchNamespaces={demo,shop}") == in_names("demo", "shop")
    assert namespaces("--set", "rbac.scope=cluster") == [{}]
