"""What the second act of the demo counts with, and what it brings into the cluster."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rowlock_operator.api.monitoring_process import DISCLOSURE, MonitoringProcess
from tools.demo.monitoring import CIRCLE, CLASSES, LOGINS, MINUTE, PROMPTS, expected
from tools.demo.monitoring_checks import PREFIX, discloses, doubled
from tools.demo.standins import Posted

MANIFESTS = Path(__file__).parents[3] / "tools/demo/manifests"


def documents(name: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all((MANIFESTS / name).read_text()) if document]


def test_the_comments_of_a_process_are_articles_times_the_logins_that_see_them_times_prompts() -> None:
    articles = {1: 12, 2: 13, 3: 13}
    assert expected(CIRCLE, articles) == (2 + 2 + 2) * 2
    assert expected(MINUTE, articles) == 2 + 2


@pytest.mark.parametrize("name", [CIRCLE, MINUTE])
def test_the_processes_are_the_ones_that_the_figures_are_about(name: str) -> None:
    (manifest,) = documents(f"{name}.yaml")
    process = MonitoringProcess.parse(
        {**manifest, "metadata": {**manifest["metadata"], "uid": "u", "generation": 1}}
    )
    assert tuple(login.name for login in process.spec.logins) == LOGINS[name]
    assert len(process.spec.prompts) == PROMPTS[name]
    assert process.spec.comment.prefix == PREFIX == DISCLOSURE
    assert process.spec.generate_only is (name == CIRCLE)


def test_the_site_knows_the_accounts_whose_secrets_there_are() -> None:
    secrets = {
        d["metadata"]["name"]: d["stringData"] for d in documents("standins.yaml") if d["kind"] == "Secret"
    }
    known = {login["name"]: login for login in json.loads(secrets["demo-site"]["site.json"])["logins"]}
    assert {name: tuple(login["classes"]) for name, login in known.items()} == CLASSES
    for name, login in known.items():
        assert secrets[f"demo-login-{name}"] == {"username": name, "password": login["password"]}


def test_a_comment_discloses_only_where_a_reader_sees_the_prefix_first() -> None:
    assert discloses(f"<p>{PREFIX} Schön!</p>")
    assert not discloses(f"<p>Schön! {PREFIX}</p>")


def test_the_same_words_of_an_account_under_an_article_are_a_double() -> None:
    once = Posted(1.0, "1", "ada", "7", "Schön!")
    assert (
        doubled([once, Posted(2.0, "2", "ben", "7", "Schön!"), Posted(3.0, "3", "ada", "8", "Schön!")]) == 0
    )
    assert doubled([once, Posted(2.0, "2", "ada", "7", "Schön!")]) == 1
