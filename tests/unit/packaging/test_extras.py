"""Each extra brings what its program imports, and no program imports what its extra does not bring.

The environment of the tests has everything; a finder refuses what an extra would not have installed.
"""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.services.worker import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
FOLDERS = ("ledger", "operator", "jobimages")

# Extra -> the packages all of whose modules it must be able to import, and those below them that are not
# its own.
IMPORTED = {
    "operator": (("rowlock_ledger", "rowlock_operator", "rowlock_cli"), ()),
    "cli": (("rowlock_cli",), ()),
    "worker": (("rowlock_jobs",), ("rowlock_jobs.work.documents", "rowlock_jobs.work.monitoring")),
    "documents": (("rowlock_jobs.work.documents",), ()),
    "monitoring": (("rowlock_jobs.work.monitoring", "rowlock_web", "rowlock_llm"), ()),
    "jobs": (("rowlock_ledger", "rowlock_jobs", "rowlock_web", "rowlock_llm"), ()),
}

PROGRAM = """
import importlib, pkgutil, sys
absent, packages, others, words = {absent!r}, {packages!r}, {others!r}, {words!r}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
for package in packages:
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, f"{{package}}.", onerror=lambda name: None):
        if not module.name.endswith("__main__") and not module.name.startswith(others):
            importlib.import_module(module.name)
if words:
    import rowlock_jobs.__main__
    sys.exit(rowlock_jobs.__main__.main(words))
"""


def brought(requirements: list[str]) -> set[str]:
    """Names of all distributions that these requirements install here, with what they need themselves."""
    found: set[str] = set()
    open_ = [Requirement(each) for each in requirements]
    while open_:
        wanted = open_.pop()
        name = canonicalize_name(wanted.name)
        extras = sorted(wanted.extras) or [""]
        if name in found and not wanted.extras:
            continue
        found.add(name)
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # for another platform or Python
            continue
        open_ += [
            need
            for need in map(Requirement, needs)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return found


def absent_without(extra: str) -> set[str]:
    """Top-level modules of this environment that are not there where only `extra` is installed."""
    there = brought(PROJECT["dependencies"] + EXTRAS[extra])
    return {
        module
        for module, owners in packages_distributions().items()
        if module != "tests" and not {canonicalize_name(owner) for owner in owners} & (there | {"rowlock"})
    }


def run(extra: str, *, absent: set[str], words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    packages, others = IMPORTED[extra]
    program = PROGRAM.format(absent=absent, packages=packages, others=others, words=list(words))
    environment = {
        "PATH": "",
        "PYTHONPATH": ":".join([*(str(ROOT / folder) for folder in FOLDERS), str(ROOT)]),
        "ROWLOCK_IMPORTS": "tests.services.journal_tasks",
    }
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )


@pytest.mark.parametrize("extra", IMPORTED)
def test_an_extra_brings_what_its_modules_import(extra: str) -> None:
    done = run(extra, absent=absent_without(extra))
    assert done.returncode == 0, done.stderr


def test_a_package_that_no_extra_brings_would_be_seen() -> None:
    done = run("operator", absent=absent_without("operator") | {"aiohttp"})
    assert (done.returncode, "aiohttp" in done.stderr) == (1, True)


def test_a_worker_needs_nothing_but_the_extra_worker() -> None:
    absent = absent_without("worker")
    assert absent >= {"openai", "httpx2", "pypdfium2", "cryptography", "pydantic", "kopf", "kubernetes"}
    done = run("worker", absent=absent, words=("tasks",))
    assert (done.returncode, "count\t" in done.stdout) == (0, True), done.stderr


def test_the_extra_worker_brings_redis_and_rq_alone_and_the_shipped_tasks_are_extras_of_their_own() -> None:
    worker, documents, monitoring, jobs = (
        set(EXTRAS[name]) for name in ("worker", "documents", "monitoring", "jobs")
    )
    assert {Requirement(each).name for each in worker} == {"redis", "rq"}
    assert documents & monitoring == worker
    assert jobs == documents | monitoring


def test_every_extra_of_a_program_is_tried() -> None:
    assert IMPORTED.keys() == EXTRAS.keys() - {"dev", "interop"}


def test_no_program_brings_what_only_the_command_line_on_a_laptop_needs() -> None:
    assert all(
        "kubernetes" not in brought(PROJECT["dependencies"] + EXTRAS[extra])
        for extra in IMPORTED.keys() - {"cli"}
    )


def test_a_replica_that_waits_for_the_lease_holds_no_parser_of_sql() -> None:
    program = (
        "import sys; sys.modules['kubernetes'] = None; import rowlock_operator.wiring;"
        " print([each for each in ('sqlglot', 'cryptography.fernet') if each in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
