"""The stand-in as a program, as the demo runs it: one file, plain Python, controlled over HTTP."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.process import Server, free_port, port_open
from tests.standins import llm as stand_in

pytestmark = pytest.mark.integration


class Program:
    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

    def call(self, method: str, path: str, body: object = None, key: str = "key-1") -> tuple[int, object]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, headers={"Authorization": f"Bearer {key}"}
        )
        try:
            with urllib.request.urlopen(
                request, None if body is None else json.dumps(body).encode(), timeout=20
            ) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def chat(self, text: str = "hallo", key: str = "key-1") -> tuple[int, dict]:
        status, body = self.call(
            "POST",
            "/v1/chat/completions",
            {"model": "a", "messages": [{"role": "user", "content": text}]},
            key,
        )
        assert isinstance(body, dict)
        return status, body


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    port, log = free_port(), tmp_path / "requests.jsonl"
    (tmp_path / "keys").write_text("key-1\n")
    # -I -S: nothing but the standard library, as in a ConfigMap of the worker image.
    command = [sys.executable, "-I", "-S", stand_in.__file__, "--port", str(port), "--log", str(log)]
    server = Server([*command, "--keys-file", str(tmp_path / "keys"), "--models", "a,b"], tmp_path / "output")
    server.start(lambda: port_open(port))
    yield Program(port, log)
    server.stop()


def test_it_answers_in_openais_words_and_writes_down_what_was_asked(program: Program) -> None:
    status, body = program.chat()
    assert status == 200
    assert len(body["choices"][0]["message"]["content"]) > 50
    assert program.chat()[1]["choices"] == body["choices"]
    assert program.chat("anderes")[1]["choices"] != body["choices"]
    _, log = program.call("GET", "/_control/log")
    assert isinstance(log, dict)
    assert [entry["status"] for entry in log["requests"]] == [200, 200, 200]
    assert log["totals"]["requests"] == 3
    assert log["requests"][0]["usage"] == body["usage"]
    assert [json.loads(line) for line in program.log.read_text().splitlines()] == log["requests"]


def test_it_knows_its_models_and_keys(program: Program) -> None:
    assert program.call("GET", "/v1/models")[1] == {
        "object": "list",
        "data": [{"id": m, "object": "model"} for m in ("a", "b")],
    }
    assert program.chat(key="other")[0] == 401


def test_faults_are_switched_on_for_so_many_requests_and_off_again(program: Program) -> None:
    program.call("POST", "/_control/faults", {"fault": "error", "times": 2})
    assert [program.chat()[0] for _ in range(3)] == [500, 500, 200]
    program.call("POST", "/_control/faults", {"fault": "quota", "times": None})
    assert [program.chat()[0] for _ in range(2)] == [429, 429]
    program.call("DELETE", "/_control/faults")
    assert program.chat()[0] == 200
    assert program.call("POST", "/_control/faults", {"fault": "nonsense"})[0] == 400
    program.call("POST", "/_control/reset")
    assert program.call("GET", "/_control/log")[1]["totals"]["requests"] == 0  # type: ignore[index]
