"""docs/tutorial.md, literally: its files are saved and its commands run in one shell, block by block."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.release import Release
from tests.services.real_cluster import ROOT
from tests.unit.docs.pages import page
from tests.unit.docs.tutorial import FOLDER, Step, steps

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
STEPS = steps(page("docs/tutorial.md"))
# What a reader sees in the answers, by a word of the block.
SEEN = {
    "'17.0 18.4 sunny'": ["summarized", "failed", "could not convert string to float: 'sunny'", "12.27"],
    "rowlock why row": ["NotANumber", "correct body and requeue", "rowlock requeue"],
    "rowlock requeue": ["1 of 1 dead runs", "succeeded"],
    "rowlock why queue weather": ["per-station", "Freiburg  | summarized |     2"],
    "archive.yaml\nkubectl wait": ["archived report 1: -4.1 -3.8 -2.9"],
}


@pytest.fixture
def shell(cluster: str, cluster_kubeconfig: Path, release: Release, tmp_path: Path) -> Iterator["Shell"]:
    """A terminal; what the tutorial makes is gone afterwards, also where it did not come to its end."""
    _clean(release)  # what an interrupted run left would be counted
    yield Shell(cluster, cluster_kubeconfig, tmp_path)
    _clean(release)


def _clean(release: Release) -> None:
    release.kubectl(
        "delete",
        "rowsource/archive",
        "rowsource/reports",
        "workqueue/archive",
        "workqueue/weather",
        "--ignore-not-found",
    )
    release.sql("drop table if exists reports, summaries")
    for queue, source in (("weather", "reports"), ("archive", "archive")):
        if json.loads(release.rowlock("runs", "--source", source, "--limit", "1", "-o", "json")):
            release.rowlock("delete-runs", "--queue", queue, "--state", "succeeded,dead", "--yes")


class Shell:
    """A reader at a terminal: what one block defines and exports, the next one knows."""

    def __init__(self, cluster: str, kubeconfig: Path, folder: Path) -> None:
        self._cluster, self._folder = cluster, folder
        # `kubectl config set-context` must not change the namespace for other tests.
        own = folder / "kubeconfig"
        own.write_bytes(kubeconfig.read_bytes())
        self._process = subprocess.Popen(
            ["bash", "-e", "-o", "pipefail"], cwd=ROOT, env={**os.environ, "OWN": str(own)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def do(self, step: Step) -> str:
        """What the block printed; a command that fails ends the shell, and fails here."""
        folder = self._folder / "weather"
        folder.mkdir(exist_ok=True)
        if step.name:
            (folder / step.name).write_text(step.text)
            return ""
        text = step.text.replace(FOLDER, str(folder)).replace(
            "tools.cluster build", f"tools.cluster build --name {self._cluster}"
        )
        text = text.replace("$(.venv/bin/python -m tools.cluster kubeconfig)", "$OWN")
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{text}\necho END-OF-BLOCK\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line == "END-OF-BLOCK\n":
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"a command of this block failed:\n{step.text}\n{''.join(lines)}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.mark.timeout(600)
def test_the_tutorial_does_what_it_says(shell: Shell) -> None:
    seen: set[str] = set()
    try:
        for step in STEPS:
            said = shell.do(step)
            for word, expected in SEEN.items():
                if word in step.text and not step.name:
                    seen.add(word)
                    assert [text for text in expected if text not in said] == [], f"{step.text}\n{said}"
    finally:
        shell.close()
    assert seen == set(SEEN)
