"""What the real Tilt refuses although every call is well formed; each rule with the place in tilt-dev/tilt
(0.36, internal/tiltfile) that has it.

At the call:
  local() outside of a cluster that is known to be for development or was allowed before   tiltfile_state.go
  potentiallyK8sUnsafeBuiltin
  which is judged by the name of the kubeconfig's cluster, not by that of its context      k8scontext.go
  IsAllowed, clusterid product.go
  the same object in two k8s_yaml(), or nothing in one                                     k8s/state.go
  Append, k8s.go k8sYaml
  a second build of one image, a Dockerfile that is not there, a glob in `only`            build_index.go
  addImage, docker.go
  a resource of no name, or a new one without objects; names with / or %, labels with /    k8s.go k8sResource,
  value/name.go, value/label.go
  a pod_readiness of another word, two local_resource() of one name or one without cmd     k8s/readiness.go,
  local_resource.go
At the end:
  a workload nobody has, an object that is not there, meant twice or taken already         tiltfile_state.go
  assembleK8s
  a name that another resource has, a dependency on itself or in a circle                  k8s.go
  checkResourceConflict, sanitizeDependencies
  anything for a cluster that is not allowed                                               tiltfile_state.go
  loadManifests
Told only, and therefore easily missed: a build that no object uses, a dependency on nobody.
assertAllImagesMatched, sanitizeDependencies
"""

import graphlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Document = dict[str, Any]
_DEVELOPMENT = (
    "minikube",
    "docker-desktop",
    "docker-for-desktop-cluster",
    "microk8s",
    "api-crc-testing",
    "krucible-",
    "k3d-",
    "kind-",
    "rancher-desktop",
    "colima",
)
_READINESS = ("", "ignore", "wait", "succeeded")


class TiltRefuses(Exception):
    """The Tiltfile ends here."""


def refuse(wrong: object, why: str) -> None:
    if wrong:
        raise TiltRefuses(why)


def is_allowed(cluster: str, context: str, contexts: Sequence[str]) -> bool:
    """Whether Tilt takes the cluster for one of development; no cluster at all (Docker Compose) is."""
    return (
        not cluster
        or cluster in ("kind", "orbstack")
        or cluster.startswith(_DEVELOPMENT)
        or context in contexts
    )


def check_call(
    name: str, call: Mapping[str, Any], *, calls: Sequence[tuple[str, Mapping[str, Any]]], root: Path
) -> None:
    """What is refused at once; `calls` are those before this one."""
    before = [earlier for other, earlier in calls if other == name]
    if name in ("docker_build", "custom_build"):
        builds = [earlier for other, earlier in calls if other in ("docker_build", "custom_build")]
        refuse(
            call["ref"] in [earlier["ref"] for earlier in builds],
            f"Image for ref {call['ref']!r} has already been defined",
        )
    if name == "docker_build":
        refuse(not (root / call["dockerfile"]).is_file(), f"error reading dockerfile {call['dockerfile']}")
        refuse([path for path in call["only"] if "*" in path], "'only' does not support '*' file globs")
    if name == "custom_build":
        refuse(not call["command"], "Argument 2 (command) can't be empty")
        refuse(
            call["tag"] and call["outputs_image_ref_to"], "Cannot specify both tag= and outputs_image_ref_to="
        )
    if name == "default_registry":
        refuse(before, "default registry already defined")
    if name == "helm":
        refuse(not (root / call["paths"]).is_dir(), f"Could not read Helm chart directory {call['paths']!r}")
    if name == "k8s_resource":
        refuse(not call["workload"] and not call["new_name"], "Resource name missing")
        refuse(
            not call["workload"] and not call["objects"],
            "k8s_resource doesn't specify a workload or any objects",
        )
        refuse(
            call["pod_readiness"] not in _READINESS, f"pod_readiness: Invalid value {call['pod_readiness']}"
        )
        for label in [pair for pod in call["extra_pod_selectors"] for pair in pod.items()]:
            refuse(not all(isinstance(word, str) for word in label), "pod labels must be strings")
    if name == "local_resource":
        refuse(
            call["name"] in [earlier["name"] for earlier in before],
            f"local_resource named {call['name']!r} already exists",
        )
        refuse(not call["cmd"] and not call["serve_cmd"], "local_resource must have a cmd and/or a serve_cmd")
    for word in [call[key] for key in ("workload", "new_name") if key in call] + (
        [call["name"]] if name == "local_resource" else []
    ):
        refuse(word in (".", "..") or re.search("[/%]", word), f"invalid value {word!r}")
    for label in call.get("labels") or []:
        fits = (
            isinstance(label, str)
            and len(label) <= 63
            and re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", label)
        )
        refuse(not fits, f"Invalid label {label!r}")


def check_objects(objects: list[Document], known: list[Document], *, allow_duplicates: bool) -> None:
    """One k8s_yaml() after those that gave `known`."""
    refuse(not objects, "k8s_yaml: Empty YAML passed to k8s_yaml")
    seen = {_address(document) for document in known}
    for document in objects:
        refuse(
            _address(document) in seen and not allow_duplicates,
            f"Duplicate YAML: {document['kind']} {document['metadata']['name']}",
        )
        seen.add(_address(document))


def check_end(calls: Sequence[tuple[str, Mapping[str, Any]]], objects: list[Document]) -> list[str]:
    """Tilt's assembly of what was asked; returns what it merely warns of."""
    resources = {call["name"]: [*call["resource_deps"]] for name, call in calls if name == "local_resource"}
    local = set(resources)
    workloads = [document for document in objects if _containers(document)]
    services = [
        d for d in objects if d["kind"] == "Service" and any(_selects(d, workload) for workload in workloads)
    ]
    free = [d for d in objects if d not in workloads and d not in services]
    names = [document["metadata"]["name"] for document in workloads]
    for document in workloads:
        name = document["metadata"]["name"]
        name = name if names.count(name) == 1 else f"{name}:{document['kind'].lower()}"
        refuse(name in resources, f"resource named {name!r} already exists")
        resources[name] = []
    for call in [call for name, call in calls if name == "k8s_resource"]:
        workload, new_name = call["workload"] or call["new_name"], call["new_name"]
        if not call["workload"]:
            refuse(new_name in resources, f"k8s_resource named {new_name!r} already exists")
            resources[new_name] = []
        refuse(
            workload not in resources or workload in local,
            f"k8s_resource specified unknown resource {workload!r}",
        )
        deps = resources.pop(workload) + [*call["resource_deps"]]
        refuse(
            new_name and new_name != workload and new_name in resources,
            f"k8s_resource specified to rename to {new_name!r}: exists",
        )
        resources[new_name or workload] = deps
        for fragment in call["objects"]:
            meant = [document for document in objects if fragment.lower() in _fragments(document)]
            refuse(not meant, f"No object identified by the fragment {fragment!r} could be found")
            refuse(len(meant) > 1, f"{fragment!r} is not a unique fragment")
            refuse(
                meant[0] not in free,
                f"No object identified by the fragment {fragment!r} could be found in remaining YAML",
            )
            free.remove(meant[0])
    return [*_lonely_dependencies(resources), *_unused_builds(calls, workloads)]


def _lonely_dependencies(resources: Mapping[str, list[str]]) -> Iterator[str]:
    for name, deps in resources.items():
        refuse(name in deps, f"resource {name} specified a dependency on itself")
        yield from (
            f"resource {name} specified a dependency on unknown resource {other}"
            for other in deps
            if other not in resources
        )
    try:
        graphlib.TopologicalSorter(
            {name: [d for d in deps if d in resources] for name, deps in resources.items()}
        ).prepare()
    except graphlib.CycleError as error:
        raise TiltRefuses(f"cycle detected in resource dependency graph: {error.args[1]}") from error


def _unused_builds(
    calls: Sequence[tuple[str, Mapping[str, Any]]], workloads: list[Document]
) -> Iterator[str]:
    containers = [container for document in workloads for container in _containers(document)]
    images = {container["image"] for container in containers}
    values = {variable.get("value", "") for container in containers for variable in container.get("env", [])}
    for call in [call for name, call in calls if name in ("docker_build", "custom_build")]:
        asked = images | (values if call["match_in_env_vars"] else set())
        if call["ref"] not in {re.sub(r"(:[\w.-]+)?(@sha256:\w+)?$", "", image) for image in asked}:
            yield f"Image not used in any Kubernetes config: {call['ref']}"


def _containers(document: Document) -> list[Document]:
    spec = document.get("spec") or {}
    for step in ("jobTemplate", "spec", "template", "spec"):
        spec = spec.get(step) or spec
    built_in = "." not in document.get("apiVersion", "") or document["apiVersion"].partition("/")[0] in (
        "apps",
        "batch",
    )
    built_in = built_in or document["apiVersion"].endswith(".k8s.io/v1")
    return (
        [*spec.get("initContainers", []), *spec.get("containers", [])]
        if built_in and document["kind"] != "CustomResourceDefinition"
        else []
    )


def _selects(service: Document, workload: Document) -> bool:
    labels = ((workload["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    selector = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= labels.items()


def _address(document: Document) -> tuple[str, ...]:
    metadata = document["metadata"]
    return (
        document["apiVersion"].rpartition("/")[0],
        document["kind"],
        metadata.get("namespace", ""),
        metadata["name"],
    )


def _fragments(document: Document) -> set[str]:
    group = document["apiVersion"].rpartition("/")[0] or "core"
    parts = [
        document["metadata"]["name"],
        document["kind"],
        document["metadata"].get("namespace") or "default",
        group,
    ]
    escaped = [part.replace(":", "\\:") for part in parts]
    return {":".join(escaped[: n + 1]).lower() for n in range(4)}
