"""The stand-in as a cluster runs it: one file, without any package, controlled over HTTP."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rowlock_web.capabilities.articles import ArticleFilter
from rowlock_web.capabilities.logins import Credentials
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.sites.mymoment.driver import MyMoment
from tests.integration.web.stage import disclosed
from tests.services.process import free_port, port_open, wait_until
from tests.standins import website as stand_in
from tests.standins.website import Config, Login

pytestmark = pytest.mark.integration

CONFIG = {
    "seed": 3,
    "articles_per_class": 2,
    "logins": [{"name": "dora", "password": "pw-dora", "student": "Dora Graf", "classes": [38]}],
}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[str]:
    """Started with -I -S: no package outside the standard library can be imported."""
    port = free_port()
    command = [
        sys.executable,
        "-I",
        "-S",
        stand_in.__file__,
        "--port",
        str(port),
        "--config",
        json.dumps(CONFIG),
        "--log",
        str(tmp_path / "log"),
    ]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: port_open(port), "the stand-in listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def control(url: str, what: str, value: Any = None) -> Any:
    """Reads, or writes where a value is given."""
    with httpx2.Client(base_url=url, trust_env=False) as client:
        answer = (
            client.get(f"/_control/{what}") if value is None else client.post(f"/_control/{what}", json=value)
        )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_it_runs_alone_and_tells_what_happened_over_http_and_in_a_file(
    program: str, fetch: Callable[..., Fetcher], tmp_path: Path
) -> None:
    driver = MyMoment(fetch(program))
    driver.login(Credentials("dora", "pw-dora"))
    assert len(driver.discover(ArticleFilter())) == 2
    ids = control(program, "articles", {"title": "Neu", "classroom": 38})["ids"]
    assert len(control(program, "articles", {"count": 3})["ids"]) == 3
    assert len(driver.discover(ArticleFilter(tab="38"))) == 6
    driver.comment(str(ids[0]), disclosed("Schön!"), hidden=False)
    control(program, "faults", {"errors": {"times": 1}})
    with pytest.raises(Exception, match="answers 500"):
        driver.article(str(ids[0]))
    log = control(program, "log")
    assert [(c["login"], c["author"], c["article"], c["text"]) for c in log["comments"]] == [
        ("dora", "Dora Graf", ids[0], disclosed("Schön!").text)
    ]
    assert [entry["status"] for entry in log["requests"]] == [200, 302, 200, 200, 200, 200, 302, 200, 500]
    assert control(program, f"log?since={log['next']}")["requests"] == []
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["path"] for line in lines if line["kind"] == "request"] == [
        entry["path"] for entry in log["requests"]
    ]
    assert [line["text"] for line in lines if line["kind"] == "comment"] == [disclosed("Schön!").text]
    assert "pw-dora" not in (tmp_path / "log").read_text() + json.dumps(log)


def test_a_fault_that_does_not_exist_is_refused_by_name(program: str) -> None:
    with httpx2.Client(trust_env=False) as client:
        answer = client.post(f"{program}/_control/faults", json={"earthquake": True})
    assert answer.status_code == 400
    assert "earthquake" in answer.text


def test_the_same_seed_writes_the_same_articles() -> None:
    def titles(seed: int) -> list[str]:
        return [article.title for article in stand_in.Site(Config(seed=seed)).articles.values()]

    assert titles(5) == titles(5)
    assert titles(5) != titles(6)


def test_many_logins_are_configured_as_json() -> None:
    config = Config.from_json(
        '{"logins": [{"name": "x", "password": "y", "student": "Z", "classes": [1, 2]}],'
        ' "session_seconds": 9}'
    )
    assert config.logins == (Login("x", "y", "Z", (1, 2)),)
    assert config.session_seconds == 9


@pytest.mark.parametrize(
    ("cookies", "form", "referer"),
    [
        ({}, "{token}", True),
        ({"csrftoken": "a" * 32}, "{token}", True),
        (None, "", True),
        (None, "{token}", False),
    ],
    ids=["no cookie", "another cookie", "no token", "no referer"],
)
def test_a_form_without_its_csrf_token_cookie_and_referer_is_forbidden(
    cookies: dict | None, form: str, referer: bool, site: stand_in.Site
) -> None:
    url = f"{site.url}/accounts/login/"
    with httpx2.Client(trust_env=False) as client:
        token = client.get(url).text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        if cookies is not None:
            client.cookies = httpx2.Cookies(cookies)
        fields = {"csrfmiddlewaretoken": form.format(token=token), "username": "ada", "password": "pw-ada"}
        answer = client.post(url, data=fields, headers={"Referer": url} if referer else {})
    assert answer.status_code == 403
    assert site.sessions == {}
