"""What the command says when it cannot do what it was asked."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools.cluster.cli import main
from tools.cluster.containerd import ImageStore
from tools.cluster.errors import ClusterError
from tools.cluster.places import ClusterPlace
from tools.cluster.programs import GROUPS, ensure_programs
from tools.cluster.shell import run


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """With a name that leaves room for sockets below it, also on several processes."""
    with tempfile.TemporaryDirectory(prefix="rowlock-") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWLOCK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ROWLOCK_CACHE", str(tmp_path / "cache"))


def test_a_host_cluster_without_root_is_refused_before_anything_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["up", "--provider", "host"]) == 1
    assert "needs root" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_build_without_room_says_how_much_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GROUPS, "etcd", replace(GROUPS["etcd"], needs_disk_gb=10**9))
    with pytest.raises(ClusterError, match=r"needs about 1000000000 GB of free disk.*make room"):
        ensure_programs(["etcd"])


def test_an_unknown_group_of_programs_is_named_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["programs", "minikube"]) == 1
    assert "the groups are etcd, kubernetes" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["kubeconfig"], ["build", "-t", "a:1", "."], ["load", "a.tar"]])
def test_a_verb_that_needs_a_cluster_says_how_to_start_it(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() != 0 and words[0] != "kubeconfig":
        pytest.skip("needs root")
    verb, *rest = words
    assert main([verb, "--name", "none", *rest]) == 1
    assert "up --name none" in capsys.readouterr().err


def test_status_of_no_cluster_is_not_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--name", "none"]) == 1
    assert capsys.readouterr().out == "cluster none is not up\n"


def test_a_file_that_is_no_image_archive_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "image.tar"
    broken.write_text("not a tar")
    with pytest.raises(ClusterError, match="image.tar is no image archive"):
        ImageStore(ClusterPlace("some", tmp_path), Path("ctr")).import_archive(broken)


def test_a_program_that_is_not_there_and_one_that_fails_are_sentences() -> None:
    with pytest.raises(ClusterError, match="not on this machine"):
        run(["no-such-program-here"])
    with pytest.raises(ClusterError, match=r"failed \(exit 3\)\.\nwhy"):
        run(["sh", "-c", "echo why >&2; exit 3"])
