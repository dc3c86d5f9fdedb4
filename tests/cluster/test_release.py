"""The release itself: `helm test`, what its pods may do, what `helm uninstall` leaves, and the chart's next
version.
"""

import json
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.applications import exit_queue
from tests.cluster.release import OPERATOR, Object, Release
from tests.services.process import wait_until
from tests.services.real_cluster import ROOT, definitions_alone, run_module

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
CRDS = ("workqueues.rowlock.dev", "rowsources.rowlock.dev", "monitoringprocesses.rowlock.dev")


def test_helm_test_passes(release: Release) -> None:
    said = release.helm("test", "rowlock", "--logs")
    assert "Phase:          Succeeded" in said
    assert said.count("ok:") == 3


def test_every_pod_is_unprivileged_with_a_read_only_root(release: Release, two_workers: str) -> None:
    pods = {**release.pods(OPERATOR), **release.workers(two_workers), **release.workers("documents")}
    pods |= release.pods("app.kubernetes.io/component in (postgresql, redis)")
    assert len(pods) >= 7
    assert {name: wrong for name, pod in pods.items() if (wrong := privileges(pod))} == {}


def privileges(pod: Object) -> list[str]:
    """What a restricted pod with a read-only root would not have."""
    found = []
    of_pod = pod["spec"].get("securityContext", {})
    for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", []):
        context = {**of_pod, **container.get("securityContext", {})}
        expected = {
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        found += [
            f"{container['name']}: {key} is {context.get(key)}"
            for key, value in expected.items()
            if context.get(key) != value
        ]
    return found


def test_a_worker_pod_can_neither_write_its_root_nor_speak_to_the_api(
    release: Release, two_workers: str
) -> None:
    """As its own processes meet it, not as its manifest says."""
    name, pod = next(iter(release.ready_workers(two_workers).items()))
    assert [v for v in pod["spec"]["volumes"] if "projected" in v] == []
    tried = (
        "id -u; touch /x 2>/dev/null && echo written; ls /var/run/secrets/kubernetes.io 2>/dev/null && echo"
        " token; touch /tmp/x && echo tmp"
    )
    assert release.kubectl("exec", name, "--", "sh", "-c", tried).split() == ["65532", "tmp"]


def test_pip_in_an_image_built_on_the_workers_installs_where_workers_look(
    release: Release, cluster: str, tmp_path: Path
) -> None:
    wheel = tmp_path / "greeting-1.0-py3-none-any.whl"
    files = {
        "greeting.py": "WORDS = 'installed'\n",
        "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
        "greeting-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = "".join(f"{name},,\n" for name in [*files, "greeting-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in (files | {"greeting-1.0.dist-info/RECORD": record}).items():
            archive.writestr(name, text)
    (tmp_path / "Dockerfile").write_text(
        f"FROM rowlock-worker:0.1.0\nUSER root\nCOPY {wheel.name} /tmp/\nRUN pip install --no-index"
        f' /tmp/{wheel.name}\nUSER 65532:65532\nRUN ["/opt/rowlock/bin/python", "-c", "import greeting,'
        ' rowlock_jobs"]\n'
    )
    built = run_module(
        "tools.cluster",
        "build",
        "--name",
        cluster,
        "-t",
        "rowlock-child:1",
        str(tmp_path),
        timeout_seconds=120,
    )
    assert built.returncode == 0, built.stdout + built.stderr


@pytest.fixture
def second_release(cluster_kubeconfig: Path, release: Release) -> Iterator[Release]:
    """Another release, in a namespace of its own."""
    second = Release(cluster_kubeconfig, namespace=f"faults-{uuid.uuid4().hex[:6]}")
    release.kubectl("create", "namespace", second.namespace)
    yield second
    second.helm("uninstall", "rowlock", "--ignore-not-found")
    second.close()
    release.delete("namespace", second.namespace, wait=False)


def definitions(release: Release) -> dict[str, str]:
    """Our CRDs: name -> uid."""
    listed = json.loads(release.kubectl("get", "crds", *CRDS, "-o", "json"))["items"]
    return {crd["metadata"]["name"]: crd["metadata"]["uid"] for crd in listed}


def test_helm_uninstall_keeps_the_definitions_and_every_users_objects(
    release: Release, second_release: Release
) -> None:
    before = definitions(release)
    assert set(before) == set(CRDS)
    second_release.helm(
        "install",
        "rowlock",
        "charts/rowlock",
        "--set",
        "operator.replicas=1",
        "--set",
        "domain.documents.scaling.min=0",
    )
    second_release.apply(exit_queue("kept"))
    wait_until(
        lambda: (second_release.find("workqueues", "kept") or {}).get("status"),
        "the second operator looks at its namespace",
        60,
    )
    second_release.helm("uninstall", "rowlock")
    wait_until(lambda: not second_release.pods(OPERATOR), "the second operator goes", 60)
    assert definitions(release) == before
    assert second_release.find("workqueues", "kept") is not None, (
        "a user's own WorkQueue is not the chart's to delete"
    )
    assert second_release.find("workqueues", "documents") is None, "the chart's own WorkQueue goes with it"
    assert release.find("workqueues", "documents") is not None, "the other release's WorkQueue stays"


def test_another_version_of_the_chart_installs_over_definitions_that_an_older_one_left(
    release: Release, second_release: Release, cluster: str, tmp_path: Path
) -> None:
    chart = shutil.copytree(ROOT / "charts/rowlock", tmp_path / "rowlock")
    crd = chart / "crds/rowlock.dev_workqueues.yaml"
    crd.write_text(crd.read_text().replace("name: Mode\n", "name: Manner\n"))
    # Nothing but the definitions and what brings them.
    bare = [
        f"--set={setting}"
        for setting in ("operator.replicas=0", "embedded.enabled=false", "domain.documents.enabled=false")
    ]
    bare += ["--set=database.existingSecret=none", "--set=redis.existingSecret=none"]
    with definitions_alone(cluster):
        before = definitions(release)
        try:
            second_release.helm("install", "rowlock", str(chart), *bare)
            assert first_column(release) == "Manner"
            second_release.helm("upgrade", "rowlock", "charts/rowlock", *bare)
            assert first_column(release) == "Mode"
            assert definitions(release) == before
        finally:
            if first_column(release) != "Mode":
                given = release.helm("show", "crds", "charts/rowlock")
                release.kubectl(
                    "apply",
                    "--server-side",
                    "--force-conflicts",
                    "--field-manager=helm",
                    "-f",
                    "-",
                    given=given,
                )


def first_column(release: Release) -> str:
    return release.kubectl(
        "get", "crd", CRDS[0], "-o", "jsonpath={.spec.versions[0].additionalPrinterColumns[0].name}"
    )
