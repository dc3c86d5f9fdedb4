"""What the two images are made of, read from their Dockerfiles and lock files (tests/chart/test_on_cluster.py
builds one).
"""

import json
import re
from pathlib import Path

import pytest

from tests.chart.rendering import ROOT

IMAGES = {"operator": ROOT / "operator/Dockerfile", "worker": ROOT / "jobimages/Dockerfile"}
LOCKS = {"operator": ROOT / "requirements/operator.txt", "worker": ROOT / "requirements/jobs.txt"}


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) of each line, continued lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def locked(image: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", LOCKS[image].read_text(), re.MULTILINE))


@pytest.mark.parametrize("image", IMAGES)
def test_both_stages_come_from_the_same_small_base(image: str) -> None:
    bases = [
        arguments.split(" AS ")[0]
        for instruction, arguments in instructions(IMAGES[image])
        if instruction == "FROM"
    ]
    assert bases == ["python:3.13-slim-trixie"] * 2, (
        "a compiler or a pip cache of the first stage must not reach the second"
    )


@pytest.mark.parametrize("image", IMAGES)
def test_image_runs_as_a_numeric_user_who_is_not_root(image: str) -> None:
    """A name would not do: the kubelet cannot tell that it is not root."""
    last_stage = instructions(IMAGES[image])
    assert [arguments for instruction, arguments in last_stage if instruction == "USER"] == ["65532:65532"]


@pytest.mark.parametrize("image", IMAGES)
def test_dependencies_are_installed_by_hash_only(image: str) -> None:
    """Also what builds our own package: pip would else fetch it into an environment of its own, unchecked."""
    *others, ours = [
        command
        for instruction, arguments in instructions(IMAGES[image])
        if instruction == "RUN"
        for command in arguments.split("&&")
        if "pip install" in command
    ]
    assert len(others) == 2
    assert all("--require-hashes" in command for command in others)
    assert "--no-deps --no-build-isolation ." in ours


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_secret_can_be_handed_to_a_build(image: str) -> None:
    assert {instruction for instruction, _ in instructions(IMAGES[image])}.isdisjoint({"ARG", "ADD"})


def test_neither_image_holds_what_only_the_other_needs() -> None:
    assert locked("operator").isdisjoint({"rq", "pypdfium2", "kubernetes", "requests", "setuptools"})
    assert locked("worker").isdisjoint(
        {"kopf", "aiohttp", "kubernetes", "sqlglot", "prometheus-client", "setuptools"}
    )


def test_pip_of_an_image_built_on_the_workers_is_that_of_the_workers_environment() -> None:
    """Were it gone, the base's would answer, end well, and put the module where no worker looks."""
    lines = instructions(IMAGES["worker"])
    assert not any(
        "uninstall" in arguments or "/bin/pip " in f"{arguments} ".partition("rm ")[2]
        for _, arguments in lines
    )
    settings = next(arguments for instruction, arguments in lines[::-1] if instruction == "ENV")
    assert "VIRTUAL_ENV=/opt/rowlock " in settings
    assert "PATH=/opt/rowlock/bin:$PATH" in settings


def test_entry_points_are_what_the_chart_expects() -> None:
    operator, worker = (dict(instructions(IMAGES[image])) for image in ("operator", "worker"))
    assert json.loads(operator["ENTRYPOINT"]) == ["rowlock-operator"]
    assert (json.loads(worker["ENTRYPOINT"]), json.loads(worker["CMD"])) == (["rowlock-worker"], ["run"])


def test_build_context_holds_only_what_images_are_made_of() -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*", "everything stays out unless it is let in"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copies = [
        words.split()[:-1]
        for path in IMAGES.values()
        for instruction, words in instructions(path)
        if instruction == "COPY"
    ]
    copied = {word for words in copies for word in words}
    for source in copied - {"--from=build", "/opt/rowlock"}:
        assert any(entry == source or entry.startswith(f"{source}/") for entry in let_in), source
    assert all((ROOT / entry).exists() for entry in let_in)
