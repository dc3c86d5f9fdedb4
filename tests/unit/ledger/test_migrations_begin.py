"""Migrations begin with the first release, and are named by the one that brings them (CONTRIBUTING)."""

import re
import tomllib

from rowlock_jobs.work.migrate import DOMAINS
from rowlock_ledger.install import LEDGER, RELEASE
from tests.unit.docs.pages import ROOT

HEADINGS = re.findall(r"^## (\d+\.\d+\.\d+)(.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
RELEASED = [version for version, rest in HEADINGS if "not released" not in rest]
SCHEMAS = {"the ledger": LEDGER, "the domains": DOMAINS}


def test_there_is_no_migration_before_a_release() -> None:
    migrations = [name for schema in SCHEMAS.values() for name, _ in schema.files("migrations")]
    assert RELEASED or migrations == []


def test_a_migration_is_named_by_a_release_after_the_first_and_its_place() -> None:
    names = [name for schema in SCHEMAS.values() for name, _ in schema.files("migrations")]
    known = {version for version, _ in HEADINGS} - {RELEASED[-1] if RELEASED else ""}
    for name in names:
        told = re.fullmatch(r"(\d+\.\d+\.\d+)_\d\d_[a-z0-9_]+", name)
        assert told, f"{name} is not <release>_<nn>_<what>"
        assert told.group(1) in known, f"{name}: CHANGELOG.md has no such release after the first"


def test_the_release_of_a_build_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == RELEASE
    assert HEADINGS[0][0] == RELEASE
