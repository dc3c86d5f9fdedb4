"""What the pages name is there: files, headings, make targets, commands, paths."""

import re

import click
import pytest
import yaml

from rowlock_cli.main import rowlock
from rowlock_jobs.__main__ import COMMANDS
from tests.unit.docs.pages import ROOT, Page, page, pages

ALL = pages()
CODE_FOLDERS = ("ledger", "operator", "jobimages", "charts", "tests", "tools", "docs", "crds", "requirements")


def each(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, [pytest.param(found, id=found.name) for found in ALL])


def anchor(heading: str) -> str:
    """The name GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(target: Page) -> set[str]:
    return {anchor(line) for line in re.findall(r"^#+ (.*)$", target.prose, re.MULTILINE)}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_pages_a_newcomer_reads_are_among_those_tested() -> None:
    wanted = {
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/glossary.md",
        "docs/tasks.md",
        "docs/settings.md",
    }
    assert wanted <= {found.name for found in ALL}


@each("found")
def test_every_relative_link_leads_somewhere(found: Page) -> None:
    lost = []
    for link in found.links:
        file, _, heading = link.partition("#")
        target = (ROOT / found.name).parent / file if file else ROOT / found.name
        if not target.exists() or (
            heading and heading not in anchors(page(str(target.resolve().relative_to(ROOT))))
        ):
            lost.append(link)
    assert lost == []


def test_a_link_to_nothing_is_found() -> None:
    assert not (ROOT / Page("x.md", "see [it](docs/nothing.md)").links[0]).exists()


@each("found")
def test_every_make_target_named_exists(found: Page) -> None:
    named = {target for command in found.commands for target in re.findall(r"^make ([a-z-]+)", command)}
    assert named - make_targets() == set()


def test_the_two_commands_and_the_way_back_are_in_the_readme() -> None:
    commands = page("README.md").commands
    assert {"make demo", "make test", "make demo-down"} <= set(commands)


@each("found")
def test_every_rowlock_command_named_exists_with_its_options(found: Page) -> None:
    wrong = []
    for command in found.commands:
        for words in re.findall(r"(?:^|-- |bin/|kubectl )rowlock ([a-z][^`]*)", command):
            name, *rest = re.split(r" [|>&]", words)[0].split()
            known = rowlock.get_command(click.Context(rowlock), name)
            while isinstance(known, click.Group) and rest:
                known, rest = known.get_command(click.Context(known), rest[0]), rest[1:]
            options = {option for parameter in known.params for option in parameter.opts} if known else set()
            wrong += (
                [f"rowlock {words}"]
                if known is None or not {word for word in rest if word.startswith("-")} <= options
                else []
            )
    assert wrong == []


@each("found")
def test_every_worker_command_named_exists(found: Page) -> None:
    named = {name for command in found.commands for name in re.findall(r"^rowlock-worker ([a-z]+)", command)}
    assert named <= set(COMMANDS)


@each("found")
def test_every_path_named_exists(found: Page) -> None:
    """Paths within sentences, from the root or from a package; those with a placeholder are left out."""
    packages = (
        "",
        "ledger/",
        "operator/rowlock_operator/",
        "operator/",
        "jobimages/",
        "jobimages/rowlock_jobs/",
    )
    paths = [
        span
        for span in found.spans
        if re.fullmatch(rf"({'|'.join(CODE_FOLDERS)}|rowlock_\w+|api|rows|worker|work)/[\w./-]+", span)
    ]
    assert [path for path in paths if not any((ROOT / package / path).exists() for package in packages)] == []


def test_every_value_set_in_an_example_of_helm_is_one_of_the_chart() -> None:
    values = yaml.safe_load((ROOT / "charts/rowlock/values.yaml").read_text())
    named = [path for text in page("README.md").blocks("sh") for path in re.findall(r"--set ([\w.]+)=", text)]
    assert named
    for path in named:
        found = values
        for part in path.split("."):
            assert part in found, path
            found = found[part]


@pytest.mark.parametrize(
    "found", [pytest.param(found, id=found.name) for found in ALL if found.name.startswith("docs/decisions/")]
)
def test_every_decision_gives_a_number_and_what_would_change_our_mind(found: Page) -> None:
    assert re.findall(r"^## (.*)$", found.text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Evidence",
        "Rejected",
        "What would change our mind",
    ]
    assert re.search(r"\d", found.text.split("## Evidence")[1].split("## Rejected")[0])
    assert len(found.text.splitlines()) < 70, "one page"


@each("found")
def test_no_page_knows_the_machine_it_was_written_on(found: Page) -> None:
    assert re.findall(r"(?<![\w.~$])/(?:work|root|home)/\S*", found.text) == []
