"""The Tiltfile with the real helm and a real API server: no pod runs, but every object is accepted and every
password kept.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.services.kube import KubeControlPlane
from tests.unit.tilt.recording import ROOT, Document, Machine, Recording, run_tiltfile, stream
from tools.cluster.programs import ensure_programs

pytestmark = pytest.mark.integration


def load(cluster: KubeControlPlane, *, without: str = "") -> Recording:
    """One load in the context of this control plane; `without` leaves one word of the Tiltfile's helm command
    out.
    """

    def run_helm(*words: str) -> str:
        command = [str(ensure_programs(["helm"])["helm"]), *words]
        environment = {"KUBECONFIG": str(cluster.kubeconfig), "HOME": str(cluster.folder)}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def helm(call: Mapping[str, Any]) -> str:
        # As Tilt does it: definitions left out where asked, tests always.
        values = [word for file in call["values"] for word in ("--values", file)]
        return run_helm(
            "template",
            call["name"],
            call["paths"],
            "--namespace",
            call["namespace"],
            *values,
            "--skip-crds",
            "--skip-tests",
        )

    def local(words: list[str]) -> str:
        if words[0] == "helm":
            return run_helm(*(word for word in words[1:] if word != without))
        return f"{cluster.kubeconfig}\n" if words[3] == "kubeconfig" else "helm\t/programs/helm/helm\n"

    return run_tiltfile(Machine("rowlock-tests", helm, local, {"KUBECONFIG": str(cluster.kubeconfig)}))


def of_kind(recording: Recording, *kinds: str) -> list[Document]:
    return [document for document in recording.documents if document["kind"] in kinds]


def passwords(recording: Recording) -> dict[str, Mapping[str, str]]:
    return {secret["metadata"]["name"]: secret["data"] for secret in of_kind(recording, "Secret")}


@pytest.fixture(scope="module")
def empty_cluster() -> Iterator[KubeControlPlane]:
    """As a developer's is at first: neither our definitions nor the namespace."""
    plane = KubeControlPlane()
    try:
        yield plane.start()
    finally:
        plane.stop()


def test_passwords_in_use_survive_every_further_load(empty_cluster: KubeControlPlane) -> None:
    first = load(empty_cluster)
    assert set(passwords(first)) == {"rowlock-database", "rowlock-redis"}
    for document in of_kind(first, "Namespace", "Secret"):
        applied = empty_cluster.kubectl("apply", "-f", "-", given=document)
        assert applied.returncode == 0, applied.stderr
    assert passwords(load(empty_cluster)) == passwords(first)
    # The negative twin: a rendering that may not look at the cluster brings others.
    assert passwords(load(empty_cluster, without="--dry-run=server")) != passwords(first)


def test_every_object_of_the_real_rendering_belongs_to_exactly_one_resource(
    empty_cluster: KubeControlPlane,
) -> None:
    recording = load(empty_cluster)
    names = [f"{d['metadata']['name']}:{d['kind']}" for d in recording.documents]
    selected = [selector for r in recording.resources().values() for selector in r.get("objects", [])]
    by_tilt = [
        f"{d['metadata']['name']}:{d['kind']}"
        for d in of_kind(recording, "Deployment", "StatefulSet", "Job", "Service")
    ]
    assert sorted(selected + by_tilt) == sorted(names)
    assert not [
        d for d in recording.documents if any("hook" in key for key in d["metadata"].get("annotations", {}))
    ]


def test_all_objects_of_a_first_load_are_accepted_in_the_order_of_the_resources(
    empty_cluster: KubeControlPlane,
) -> None:
    recording = load(empty_cluster)
    definitions = of_kind(recording, "Namespace", "CustomResourceDefinition")
    others = [document for document in recording.documents if document not in definitions]
    for group in (definitions, others):
        applied = empty_cluster.kubectl("apply", "--server-side", "-f", "-", given=stream(group))
        assert applied.returncode == 0, applied.stderr
        if group is definitions:
            waited = empty_cluster.kubectl(
                "wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"
            )
            assert waited.returncode == 0, waited.stderr


def ready(cluster: KubeControlPlane, *names: str) -> subprocess.CompletedProcess[str]:
    """The Tiltfile's last question, asked once."""
    command = [
        sys.executable,
        "-m",
        "tools.tilt.ready",
        "--context",
        "rowlock-tests",
        "--namespace",
        "rowlock",
        "--deadline-seconds",
        "0",
    ]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    return subprocess.run(
        [*command, *names], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_ready_is_what_the_operator_wrote_into_the_status(empty_cluster: KubeControlPlane) -> None:
    """After the test above: the objects are there, and no operator is."""
    name = "rowsources/documents"
    before = ready(empty_cluster, name, "rowsources/invoices")
    assert before.returncode == 1
    assert f"the operator has not looked at {name} yet" in before.stderr
    assert "rowsources/invoices is not there yet" in before.stderr
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "Rows are read.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = json.dumps({"status": {"observedGeneration": 1, "conditions": [condition]}})
    patched = empty_cluster.kubectl(
        "patch",
        "rowsource",
        "documents",
        "-n",
        "rowlock",
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    )
    assert patched.returncode == 0, patched.stderr
    after = ready(empty_cluster, name)
    assert (after.returncode, after.stderr.strip()) == (0, f"{name}: Ready: Rows are read.")
