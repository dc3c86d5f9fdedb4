"""Golden files: what a builder makes of an input, committed and compared; `ROWLOCK_GOLDEN=write` (make
golden) rewrites them.
"""

import difflib
import os
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


class _Plain(yaml.SafeDumper):
    """Without anchors: a reviewer reads what a pod will read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def cases(kind: str) -> list[str]:
    """Names of the cases of one kind: folders with a spec.yaml."""
    return sorted(path.parent.name for path in (FOLDER / kind).glob("*/spec.yaml"))


def given(kind: str, case: str) -> dict[str, Any]:
    """The input of a case."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / kind / case / "spec.yaml").read_text())
    return loaded


def assert_golden(kind: str, case: str, made: Any) -> None:
    """`made` is what the file says; the first difference in the failure's diff."""
    path = FOLDER / kind / case / "expected.yaml"
    text = yaml.dump(made, Dumper=_Plain, sort_keys=True, allow_unicode=True, width=140)
    if os.environ.get("ROWLOCK_GOLDEN") == "write":
        path.write_text(text)
    expected = (
        path.read_text()
        if path.is_file()
        else "(no expected.yaml: run `ROWLOCK_GOLDEN=write pytest tests/unit/operator`)"
    )
    difference = "".join(
        difflib.unified_diff(
            expected.splitlines(True), text.splitlines(True), f"{kind}/{case}/expected.yaml", "built now"
        )
    )
    assert difference == "", difference
