"""Runs the real helm on the chart and hands back documents."""

import base64
import functools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.programs import ensure_programs

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/rowlock"
CASES = Path(__file__).parent / "golden"

Document = dict[str, Any]
POD_KINDS = ("Deployment", "StatefulSet", "Job", "CronJob", "Pod")


@functools.cache
def helm_program() -> str:
    """Path of helm: from the folder ROWLOCK_PROGRAMS, else from the cache that `python3 -m tools.cluster
    programs` fills.
    """
    folder = os.environ.get("ROWLOCK_PROGRAMS")
    return str(Path(folder) / "helm") if folder else str(ensure_programs(("helm",))["helm"])


def helm(*arguments: str, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """One call of helm; never raises for its exit code."""
    return subprocess.run(
        [helm_program(), *arguments], capture_output=True, text=True, timeout=timeout_seconds, check=False
    )


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    return helm("template", "rowlock", str(CHART), "--namespace", "demo", *arguments)


def render(*arguments: str) -> list[Document]:
    """The documents of a rendering that must succeed, in helm's order."""
    done = template(*arguments)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@functools.cache
def _text_of_case(case: str) -> str:
    done = template("--values", str(CASES / case / "values.yaml"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def render_case(case: str) -> list[Document]:
    """The documents of one folder of tests/chart/golden."""
    return [document for document in yaml.safe_load_all(_text_of_case(case)) if document]


def case_names() -> list[str]:
    return sorted(folder.name for folder in CASES.iterdir() if (folder / "values.yaml").is_file())


def pick(documents: list[Document], kind: str, name: str) -> Document:
    found = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name} is there {len(found)} times"
    return found[0]


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Name and pod spec of everything that becomes a pod."""
    for document in documents:
        if document["kind"] in POD_KINDS:
            yield f"{document['kind']}/{document['metadata']['name']}", pod_template(document)["spec"]


def pod_template(document: Document) -> Document:
    """Metadata and spec of the pod that a document is, or that becomes of it."""
    if document["kind"] == "Pod":
        return document
    spec: Document = (
        document["spec"]["jobTemplate"]["spec"] if document["kind"] == "CronJob" else document["spec"]
    )
    template: Document = spec["template"]
    return template


def containers(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    for name, spec in pods(documents):
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            yield f"{name}/{container['name']}", container


def secret_values(documents: list[Document]) -> dict[str, str]:
    """Every value in every Secret of a rendering, decoded, by <secret>/<key>."""
    return {
        f"{document['metadata']['name']}/{key}": base64.b64decode(value).decode()
        for document in documents
        if document["kind"] == "Secret"
        for key, value in document["data"].items()
    }


def stable_text(documents: list[Document]) -> str:
    """Sorted YAML without what differs from one rendering to the next: passwords."""
    shown = []
    for document in sorted(
        documents, key=lambda d: (d["kind"], d["metadata"].get("namespace", ""), d["metadata"]["name"])
    ):
        if document["kind"] == "Secret":
            decoded = {
                key: re.sub(r"[A-Za-z0-9]{32,}", "PASSWORD", base64.b64decode(v).decode())
                for key, v in document["data"].items()
            }
            document = {**document, "data": decoded}
        shown.append(yaml.safe_dump(document, sort_keys=True, width=140))
    return "---\n".join(shown)
