"""What `tilt up` builds, installs and opens, and where it refuses to; the chart's rendering is the golden
one, so nothing is started.
"""

import functools
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import starlark
import yaml

from rowlock_operator.api.labels import QUEUE_LABEL
from tests.unit.tilt.recording import (
    OWN_KUBECONFIG,
    ROOT,
    Document,
    Machine,
    Recording,
    cluster_tool,
    documents_of,
    run_tiltfile,
    stream,
)
from tests.unit.tilt.rules import TiltRefuses
from tools.cluster.buildkit import buildctl_command, parse_build
from tools.cluster.cli import parser

CHART = ROOT / "charts/rowlock"
VALUES = ROOT / "tools/tilt/values.yaml"
DOCKERFILES = {
    "rowlock-operator": ROOT / "operator/Dockerfile",
    "rowlock-worker": ROOT / "jobimages/Dockerfile",
}
KIND, HOST = "kind-rowlock-dev", "rowlock-dev"
CONTEXTS = pytest.mark.parametrize("context", [KIND, HOST])


@functools.cache
def chart() -> list[Document]:
    """The chart as the golden test has it, less its hooks: the values for development turn those off."""
    golden = documents_of((ROOT / "tests/chart/golden/default/expected.yaml").read_text())
    return [d for d in golden if not any("hook" in key for key in d["metadata"].get("annotations", {}))]


def rendered(_: Mapping[str, Any]) -> str:
    return stream(chart())


def answered(words: list[str]) -> str:
    if words[:3] == [".venv/bin/python", "-m", "tools.cluster"]:
        return cluster_tool(words[3:])
    assert words[:2] == ["helm", "template"], words
    return stream([d | {"data": {"url": "a2VwdA=="}} for d in chart() if d["kind"] == "Secret"])


@functools.cache
def load(context: str) -> Recording:
    return load_on(context)


def load_on(context: str, *, text: str | None = None, **machine: Any) -> Recording:
    environment = {"environment": {"KUBECONFIG": OWN_KUBECONFIG}} | machine
    return run_tiltfile(Machine(context, rendered, answered, **environment), text)


# --- where
# --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "context", ["", "minikube", "gke_shop_europe_production", "production-rowlock-dev", "my-kind-cluster"]
)
def test_other_contexts_are_refused_with_a_sentence_before_anything_is_asked_or_run(context: str) -> None:
    with pytest.raises(
        starlark.StarlarkError,
        match="development clusters only, and the context .* is neither kind-.* nor rowlock-",
    ):
        run_tiltfile(Machine(context, helm=_never, local=_never))


def test_context_with_our_name_is_refused_where_its_kubeconfig_is_not_that_of_our_cluster() -> None:
    with pytest.raises(starlark.StarlarkError, match=f"KUBECONFIG must name {OWN_KUBECONFIG}"):
        load_on(HOST, environment={"KUBECONFIG": "/home/dev/.kube/config"})


@pytest.mark.parametrize(
    "cluster", ["rowlock-dev", "kind-renamed", "shop-production", "arn:aws:eks:eu-west-1:1:cluster/kind-dev"]
)
@CONTEXTS
def test_tilt_lets_it_run_programs_whatever_the_cluster_of_the_context_is_called(
    context: str, cluster: str
) -> None:
    """Tilt takes a cluster for one of development by the name that the kubeconfig gives the cluster, not the
    context.
    """
    assert load_on(context, cluster=cluster).of("local")


@CONTEXTS
def test_tilt_warns_of_nothing(context: str) -> None:
    assert load(context).warnings == []


@CONTEXTS
def test_only_the_present_context_is_allowed(context: str) -> None:
    assert [call["contexts"] for call in load(context).of("allow_k8s_contexts")] == [context]


def test_missing_python_environment_is_told_with_its_remedy() -> None:
    with pytest.raises(starlark.StarlarkError, match="run `make setup` first"):
        load_on(KIND, files=frozenset())


@pytest.mark.parametrize(("context", "programs"), [(KIND, ["kind", "helm"]), (HOST, ["helm"])])
def test_pinned_programs_come_first_in_the_path(context: str, programs: list[str]) -> None:
    path = load(context).environment["PATH"].split(":")
    assert path == [*(f"/programs/{name}" for name in programs), "/usr/bin"]


def test_loading_again_does_not_make_the_path_longer() -> None:
    once = load(KIND).environment
    assert load_on(KIND, environment=once).environment == once


# --- images
# --------------------------------------------------------------------------------------------------------


def test_kind_gets_its_images_from_docker() -> None:
    recording = load(KIND)
    assert {b["ref"]: (b["context"], b["dockerfile"]) for b in recording.of("docker_build")} == {
        "rowlock-operator": (".", "operator/Dockerfile"),
        "rowlock-worker": (".", "jobimages/Dockerfile"),
    }
    assert recording.of("custom_build") == []


def test_host_cluster_gets_its_images_from_buildkit_under_the_name_that_tilt_expects() -> None:
    recording = load(HOST)
    assert recording.of("docker_build") == []
    for build in recording.of("custom_build"):
        assert isinstance(build["command"], str), (
            "a list would be run without a shell, and $EXPECTED_REF stay as it is"
        )
        expected = f"{build['ref']}:tilt-build-1"
        python, minus_m, module, *words = shlex.split(build["command"].replace("$EXPECTED_REF", expected))
        assert (python, minus_m, module) == (".venv/bin/python", "-m", "tools.cluster")
        asked = parser().parse_args(words)
        assert (asked.verb, asked.name, asked.context) == ("build", "dev", ".")
        parsed = parse_build(
            image=asked.tag,
            context=str(ROOT),
            dockerfile=str(ROOT / asked.file),
            contexts=[],
            target="",
            arguments=[],
        )
        assert parsed.dockerfile == DOCKERFILES[build["ref"]]
        command = buildctl_command(Path("buildctl"), Path("socket"), parsed)
        assert f"--output=type=image,name=docker.io/library/{expected},unpack=true" in command
        assert (build["disable_push"], build["skips_local_docker"]) == (True, True)
    assert {build["ref"] for build in recording.of("custom_build")} == set(DOCKERFILES)


@CONTEXTS
def test_image_is_built_anew_exactly_for_what_its_dockerfile_copies(context: str) -> None:
    for build in load(context).of("docker_build", "custom_build"):
        watched = build["only" if context == KIND else "deps"]
        copies = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILES[build["ref"]].read_text(), re.MULTILINE)
        assert sorted(watched) == sorted(copies)
        assert {"**/__pycache__", "**/*.pyc"} <= set(build["ignore"]), "a test run would be a build"


@CONTEXTS
def test_chart_uses_each_built_image_by_name_and_worker_pods_get_theirs_through_the_operator(
    context: str,
) -> None:
    recording = load(context)
    built = {
        build["ref"]: build["match_in_env_vars"] for build in recording.of("docker_build", "custom_build")
    }
    assert built == {"rowlock-operator": False, "rowlock-worker": True}
    operator = next(
        d
        for d in recording.documents
        if d["kind"] == "Deployment" and d["metadata"]["name"] == "rowlock-operator"
    )
    container = operator["spec"]["template"]["spec"]["containers"][0]
    environment = {e["name"]: e.get("value", "") for e in container["env"]}
    assert container["image"].split(":")[0] == "rowlock-operator"
    assert environment["ROWLOCK_WORKER_IMAGE"].split(":")[0] == "rowlock-worker"


@CONTEXTS
def test_nothing_is_named_latest(context: str) -> None:
    recording = load(context)
    images = re.findall(r"image: (\S+)", stream(recording.documents))
    assert len(images) >= 4
    assert all(":" in image and not image.endswith(":latest") for image in images)
    assert "latest" not in (ROOT / "Tiltfile").read_text() + VALUES.read_text()


@CONTEXTS
def test_running_code_is_never_changed_in_place_because_no_pod_could_take_it(context: str) -> None:
    """The reasons the Tiltfile gives for having no live_update; where one of them goes, live_update is worth
    another look.
    """
    recording = load(context)
    assert [build["live_update"] for build in recording.of("docker_build", "custom_build")] == [[], []]
    for dockerfile in DOCKERFILES.values():
        last_stage = dockerfile.read_text().rsplit("\nFROM ", 1)[1]
        assert "COPY --from=build /opt/rowlock /opt/rowlock" in last_stage, "the code lies elsewhere"
        assert "--chown" not in last_stage
        assert "\nUSER 65532:65532\n" in last_stage, "the code is not the program's own to write"
    operator = next(
        d
        for d in recording.documents
        if d["kind"] == "Deployment" and d["metadata"]["name"] == "rowlock-operator"
    )
    container = operator["spec"]["template"]["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert not [m for m in container["volumeMounts"] if m["mountPath"].startswith("/opt")]


# --- objects
# --------------------------------------------------------------------------------------------------------


@CONTEXTS
def test_definitions_and_namespace_come_before_everything_of_the_chart(context: str) -> None:
    recording = load(context)
    kinds = [document["kind"] for document in recording.documents]
    assert kinds[:3] == ["Namespace", "CustomResourceDefinition", "CustomResourceDefinition"]
    assert recording.of("helm")[0]["skip_crds"] is True, "Tilt refuses an object that is given twice"
    resources = recording.resources()
    assert {name for name in resources if "definitions" not in _all_dependencies(resources, name)} == {
        "definitions"
    }


@CONTEXTS
def test_definitions_are_all_that_the_chart_has(context: str) -> None:
    given = {
        call
        for part in load(context).of("k8s_yaml")
        if isinstance(part["yaml"], list)
        for call in part["yaml"]
    }
    assert {ROOT / name for name in given} == set((ROOT / "crds").glob("*.yaml"))
    assert {Path(name).name for name in given} == {file.name for file in (CHART / "crds").glob("*.yaml")}


@CONTEXTS
def test_every_object_belongs_to_exactly_one_resource(context: str) -> None:
    """An object without a resource would be applied at once, before its namespace is there."""
    recording = load(context)
    documents = recording.documents
    names = [f"{d['metadata']['name']}:{d['kind']}" for d in documents]
    assert len(set(names)) == len(names), "a selector would mean two objects"
    selected = [selector for r in recording.resources().values() for selector in r.get("objects", [])]
    workloads = [r["workload"] for r in recording.resources().values() if r.get("workload")]
    by_tilt = [
        n
        for n, d in zip(names, documents, strict=True)
        if d["kind"] in ("Deployment", "StatefulSet", "Job", "Service")
    ]
    assert sorted(selected + by_tilt) == sorted(names)
    assert sorted(workloads) == sorted(n.split(":")[0] for n in by_tilt if not n.endswith(":Service"))


@CONTEXTS
def test_services_go_with_the_workload_they_select(context: str) -> None:
    documents = load(context).documents
    pods = [
        d["spec"]["template"]["metadata"]["labels"]
        for d in documents
        if d["kind"] in ("Deployment", "StatefulSet")
    ]
    for service in (d for d in documents if d["kind"] == "Service"):
        assert len([labels for labels in pods if service["spec"]["selector"].items() <= labels.items()]) == 1


@CONTEXTS
def test_secrets_come_from_the_rendering_that_knows_the_cluster(context: str) -> None:
    """From the other one each load of the Tiltfile would bring passwords that the running PostgreSQL does not
    know.
    """
    recording = load(context)
    secrets = {d["metadata"]["name"]: d["data"] for d in recording.documents if d["kind"] == "Secret"}
    assert secrets == {"rowlock-database": {"url": "a2VwdA=="}, "rowlock-redis": {"url": "a2VwdA=="}}
    (look,) = [call for call in recording.of("local") if "template" in call["command"]]
    assert look["quiet"] is True, "passwords would be in Tilt's log"
    assert {"--dry-run=server", "--is-upgrade"} <= set(look["command"])
    assert look["command"][look["command"].index("--kube-context") + 1] == context


# --- values
# --------------------------------------------------------------------------------------------------------


def test_values_for_development_exist_in_the_chart_and_fit_its_schema() -> None:
    ours, defaults = yaml.safe_load(VALUES.read_text()), yaml.safe_load((CHART / "values.yaml").read_text())
    assert _paths(ours) <= _paths(defaults)
    jsonschema.validate(ours, yaml.safe_load((CHART / "values.schema.json").read_text()))
    (words,) = [call["command"] for call in load(HOST).of("local") if "template" in call["command"]]
    overrides = [words[i + 1].split("=")[0] for i, word in enumerate(words) if word == "--set"]
    assert set(overrides) <= _paths(defaults)


def test_every_values_file_and_chart_path_that_is_named_exists() -> None:
    (call,) = load(KIND).of("helm")
    assert [(ROOT / path).exists() for path in [call["paths"], *call["values"]]] == [True, True]


# --- resources
# --------------------------------------------------------------------------------------------------------


@CONTEXTS
def test_forwarded_ports_are_distinct_and_leave_the_servers_own_free(context: str) -> None:
    forwards = [f for r in load(context).resources().values() for f in r.get("port_forwards", [])]
    local = [f["local_port"] for f in forwards]
    assert sorted(f["container_port"] for f in forwards) == [5432, 6379, 8080]
    assert len(set(local)) == len(local)
    assert set(local).isdisjoint({5432, 6379, 8080, 10350}), "10350 is Tilt's own"


@CONTEXTS
def test_forwarded_ports_are_those_of_the_containers(context: str) -> None:
    recording = load(context)
    open_ports = {
        d["metadata"]["name"]: {
            p["containerPort"]
            for c in d["spec"]["template"]["spec"]["containers"]
            for p in c.get("ports", [])
        }
        for d in recording.documents
        if d["kind"] in ("Deployment", "StatefulSet")
    }
    for resource in recording.resources().values():
        for forward in resource.get("port_forwards", []):
            assert forward["container_port"] in open_ports[resource["workload"]]


@CONTEXTS
def test_every_resource_has_a_group_and_depends_on_resources_that_exist(context: str) -> None:
    resources = load(context).resources()
    assert {label for r in resources.values() for label in r["labels"]} == {"cluster", "stores", "rowlock"}
    assert all(len(r["labels"]) == 1 for r in resources.values())
    assert {d for r in resources.values() for d in r["resource_deps"]} <= set(resources)


@CONTEXTS
def test_ci_ends_because_nothing_serves_for_ever_or_waits_for_a_click(context: str) -> None:
    recording = load(context)
    resources = recording.resources().values()
    assert not any(r.get("serve_cmd") or r["trigger_mode"] or not r["auto_init"] for r in resources)
    jobs = {d["metadata"]["name"]: d["spec"] for d in recording.documents if d["kind"] == "Job"}
    assert set(jobs) == {"rowlock-migration-1"}
    assert all(spec["activeDeadlineSeconds"] <= 300 for spec in jobs.values())


@CONTEXTS
def test_ci_is_green_only_after_our_own_kinds_said_that_work_is_accepted(context: str) -> None:
    recording = load(context)
    resources = recording.resources()
    (ready,) = recording.of("local_resource")
    assert ready["cmd"][:3] == [".venv/bin/python", "-m", "tools.tilt.ready"]
    assert ready["cmd"][-2:] == ["workqueues/documents", "rowsources/documents"]
    assert _all_dependencies(resources, "ready") == set(resources) - {"ready"}


@CONTEXTS
def test_logs_of_worker_pods_are_found_by_the_label_that_the_operator_gives_them(context: str) -> None:
    assert load(context).resources()["documents"]["extra_pod_selectors"] == [{QUEUE_LABEL: "documents"}]


ALLOW = "allow_k8s_contexts(CONTEXT)\n"
LAST = "# Green means more than running pods"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((ALLOW, ""), "Refusing to run 'local'"),
        ((ALLOW, f"local(['true'])\n{ALLOW}"), "Refusing to run 'local'"),
        ((ALLOW, "allow_k8s_contexts(['another'])\n"), "Refusing to run 'local'"),
        (("k8s_yaml(objects)\n", "k8s_yaml(objects)\nk8s_yaml(objects)\n"), "Duplicate YAML"),
        (
            (
                "k8s_yaml(objects)\n",
                "k8s_yaml(objects)\nk8s_yaml(filter_yaml(objects, kind = '^Nothing$')[0])\n",
            ),
            "Empty YAML",
        ),
        (("image('rowlock-worker'", "image('rowlock-operator'"), "has already been defined"),
        (("RELEASE + '-redis'", "RELEASE + '-valkey'"), "unknown resource 'rowlock-valkey'"),
        (("new_name = 'redis'", "new_name = 'postgresql'"), "rename to 'postgresql'"),
        (("new_name = 'redis'", "new_name = 'ready'"), "rename to 'ready'"),
        (("'documents:RowSource'", "'documents:rowsources'"), "No object identified by the fragment"),
        (("'documents:RowSource'", "'documents'"), "not a unique fragment"),
        (("'documents:RowSource'", "NAMESPACE + ':Namespace'"), "in remaining YAML"),
        (("pod_readiness = 'ignore'", "pod_readiness = 'never'"), "pod_readiness"),
        (("labels = ['cluster']", "labels = ['rowlock.dev/cluster']"), "Invalid label"),
        (("new_name = 'definitions'", "new_name = 'all/definitions'"), "invalid value"),
        ((LAST, f"k8s_resource(new_name = 'empty')\n{LAST}"), "any objects"),
        ((LAST, f"local_resource('ready', ['true'])\n{LAST}"), "already exists"),
        ((LAST, f"local_resource('idle', '')\n{LAST}"), "cmd and/or a serve_cmd"),
        (
            (
                "new_name = 'migration', resource_deps = ['postgresql']",
                "new_name = 'migration', resource_deps = ['migration']",
            ),
            "on itself",
        ),
        (
            (
                "new_name = 'migration', resource_deps = ['postgresql']",
                "new_name = 'migration', resource_deps = ['ready']",
            ),
            "cycle detected",
        ),
    ],
)
def test_what_tilt_refuses_for_another_reason_than_a_calls_form_is_noticed(
    change: tuple[str, str], why: str
) -> None:
    """The recording's negative twins: each of these ends the real Tilt."""
    text = (ROOT / "Tiltfile").read_text()
    assert change[0] in text, "the Tiltfile has changed: so must this"
    with pytest.raises((starlark.StarlarkError, TiltRefuses), match=why):
        load_on(HOST, text=text.replace(*change))


def test_a_dockerfile_that_is_not_there_ends_tilt_where_docker_builds() -> None:
    with pytest.raises(starlark.StarlarkError, match="error reading dockerfile"):
        load_on(KIND, text=(ROOT / "Tiltfile").read_text().replace("'/Dockerfile'", "'/Containerfile'"))


def test_a_build_that_nothing_uses_and_a_dependency_on_nobody_are_only_told() -> None:
    text = (ROOT / "Tiltfile").read_text().replace("image('rowlock-worker'", "image('rowlock-worked'")
    text = text.replace(
        "resource_deps = ['operator', 'migration']", "resource_deps = ['operator', 'migrations']"
    )
    warnings = load_on(HOST, text=text).warnings
    assert [line.rsplit(" ", 1)[1] for line in warnings] == ["migrations", "rowlock-worked"]


def test_a_parameter_that_tilt_does_not_have_is_noticed() -> None:
    """The recording's own negative twin."""
    text = (ROOT / "Tiltfile").read_text().replace("skip_crds = True", "skip_definitions = True")
    with pytest.raises(starlark.StarlarkError, match="skip_definitions"):
        load_on(KIND, text=text)


def test_taking_a_blob_for_text_is_noticed() -> None:
    """The recording's other negative twin: in Tilt what local() returns has no methods."""
    text = (ROOT / "Tiltfile").read_text().replace("return str(local(", "return (local(")
    with pytest.raises(starlark.StarlarkError, match="strip"):
        load_on(KIND, text=text)


def _never(_: Any) -> str:
    raise AssertionError("nothing may run before the context is allowed")


def _paths(node: object, prefix: str = "") -> set[str]:
    if not isinstance(node, dict):
        return {prefix}
    return {prefix}.union(
        *(_paths(value, f"{prefix}.{key}" if prefix else key) for key, value in node.items())
    )


def _all_dependencies(resources: dict[str, dict[str, Any]], name: str) -> set[str]:
    direct = set(resources[name]["resource_deps"])
    return direct.union(*(_all_dependencies(resources, dependency) for dependency in direct))
