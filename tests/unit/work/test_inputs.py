"""Choosing real files for tests."""

from pathlib import Path

import pytest

from tools.inputs.archive import InputsMissing, unpacked
from tools.inputs.pdfs import spread


def test_chosen_files_are_spread_over_all_sizes_with_both_ends() -> None:
    files = [(size, Path(f"{size:03d}.pdf")) for size in reversed(range(269))]
    chosen = spread(files, 120)
    sizes = [int(path.stem) for path in chosen]
    assert (len(set(sizes)), sizes[0], sizes[-1]) == (120, 0, 268)
    assert sizes == sorted(sizes)
    assert chosen == spread(list(reversed(files)), 120), "the order in which files are found does not matter"


def test_all_files_are_taken_where_there_are_fewer() -> None:
    files = [(2, Path("b.pdf")), (1, Path("a.pdf"))]
    assert spread(files, 5) == [Path("a.pdf"), Path("b.pdf")]
    assert spread(files, 1) == [Path("a.pdf")]


def test_without_debians_programs_the_remedy_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWLOCK_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputsMissing, match="apt-get is not here"):
        unpacked()
    assert list(tmp_path.iterdir()) == []


def test_files_that_were_unpacked_before_are_taken_without_any_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWLOCK_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "inputs" / "some-package").mkdir(parents=True)
    assert unpacked("some-package") == tmp_path / "inputs" / "some-package"
