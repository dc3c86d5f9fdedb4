"""Admission policies of a test's own: what the API server refuses, in one namespace and while a block
lasts.
"""

import contextlib
from collections.abc import Iterator, Sequence

from tests.services.kube import KubeControlPlane
from tests.services.manifests import Manifest
from tests.services.process import wait_until

_GROUP = "/apis/admissionregistration.k8s.io/v1"
_POLICIES, _BINDINGS = f"{_GROUP}/validatingadmissionpolicies", f"{_GROUP}/validatingadmissionpolicybindings"
JOB: Manifest = {
    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x:1"}]}}
}


@contextlib.contextmanager
def refusing(
    plane: KubeControlPlane,
    namespace: str,
    *,
    resource: str,
    allowed_if: str,
    message: str,
    operations: Sequence[str] = ("CREATE",),
) -> Iterator[None]:
    """Jobs or Secrets (`resource`) for which the CEL expression `allowed_if` is false are refused with
    `message`. In force at its beginning.
    """
    group = "batch" if resource == "jobs" else ""
    name = f"{namespace}-{resource}"
    about = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rules = [
        {"apiGroups": [group], "apiVersions": ["v1"], "operations": list(operations), "resources": [resource]}
    ]
    # A probe of ours is refused, whatever the expression says of others: so it is seen when the policy is in
    # force.
    probe = "has(object.metadata.labels) && 'probe' in object.metadata.labels"
    denied = probe.replace("object", "oldObject") if "DELETE" in operations else probe
    match = {
        "resourceRules": rules,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }
    policy = {
        "matchConstraints": match,
        "validations": [{"expression": f"!({denied}) && ({allowed_if})", "message": message}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    path = f"/api{'s/batch' if group else ''}/v1/namespaces/{namespace}/{resource}"
    labeled = {"name": "probe", "labels": {"probe": ""}}
    given: Manifest = (
        {"apiVersion": "batch/v1", "kind": "Job", "spec": JOB}
        if group
        else {"apiVersion": "v1", "kind": "Secret"}
    )
    given = {**given, "metadata": labeled}
    if "DELETE" in operations:
        assert plane.request("POST", path, given)[0] == 201
    assert (
        plane.request("POST", _POLICIES, {**about, "kind": "ValidatingAdmissionPolicy", "spec": policy})[0]
        == 201
    )
    assert (
        plane.request(
            "POST", _BINDINGS, {**about, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding}
        )[0]
        == 201
    )

    def in_force() -> bool:
        if "DELETE" in operations:
            return plane.request("DELETE", f"{path}/probe?dryRun=All")[0] >= 400
        return plane.request("POST", f"{path}?dryRun=All", given)[0] >= 400

    try:
        wait_until(in_force, f"the policy on {resource} is in force", 30)
        yield
    finally:
        for each in (_BINDINGS, _POLICIES):
            plane.request("DELETE", f"{each}/{name}")
