"""A stand-in for language models behind OpenAI's protocol: one file, standard library only, for tests and the
demo.

    python llm.py --port 8000 [--host 127.0.0.1] [--log FILE] [--keys-file FILE] [--models a,b] [--latency-ms
    0]

POST /v1/chat/completions answers the same request with the same comment; GET /v1/models lists the models.
GET /_control/log        every chat request: time, status, fault, usage, fingerprint of the key (never the
                         key); and totals
GET /_control/requests   the bodies of the last fifty chat requests
GET|POST|DELETE /_control/faults   POST {"fault": name, "times": n or null for ever, ...}; the names are in
                                   FAULTS below
POST /_control/reset     forgets faults, log and totals
"""

import argparse
import asyncio
import collections
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

FAULTS = {
    # answers that are no answer
    "unauthorized": "401, and the key is repeated in the message, as the worst endpoints do",
    "forbidden": "403, likewise",
    "gemini_key": "400 for a wrong key, as Gemini does",
    "rate_limit": "429; retry_after: the header's value (default '7', '' for none)",
    "quota": "429 with the code insufficient_quota",
    "payment": "402",
    "unknown_model": "404 with the code model_not_found",
    "no_such_path": "404 of a web server that knows no such path",
    "redirect": "302 to another place",
    "error": "status (default 500); retry_after",
    "too_long": "400 with the code context_length_exceeded",
    "refused": "400; message",
    "slow": "the right answer after seconds (default 5)",
    "drop": "closes the connection instead of answering",
    "broken_body": "200 with half a JSON document",
    "html_page": "200 with a web page",
    "other_json": "200 with JSON of another protocol",
    # what an endpoint does not understand; these count only requests that hold the field
    "no_schema": "400 for response_format json_schema",
    "no_structure": "400 for any response_format",
    "vague_no_structure": "400 for any response_format, without saying why",
    "no_temperature": "400 for a temperature, as reasoning models do",
    "no_max_tokens": "400 for max_tokens, as reasoning models do",
    "no_usage": "the answer tells no tokens",
    # what a model writes
    "says": "content: exactly this text",
    "comment": "content: this text as comment_content, in the right form",
    "broken_json": "structured output that ends in the middle",
    "too_short": "a comment of two words",
    "repetitive": "one word again and again",
    "placeholder": "a comment with a placeholder left in it",
    "refusal": "the model says that it cannot help",
    "empty": "an empty comment",
    "cut": "finish_reason length, half an answer",
    "content_filter": "finish_reason content_filter, no content",
}
_CONDITIONS = {"no_schema", "no_structure", "vague_no_structure", "no_temperature", "no_max_tokens"}

_OPENINGS = (
    "Dein Text hat mich sofort neugierig gemacht.",
    "Ich habe deine Geschichte sehr gern gelesen.",
    "Man merkt, dass du dir beim Schreiben viel überlegt hast.",
    "Mir gefällt, wie lebendig du alles beschreibst.",
)
_MIDDLES = (
    "Besonders die Stelle in der Mitte konnte ich mir richtig gut vorstellen.",
    "Die Gefühle deiner Figuren sind für mich gut spürbar.",
    "Der Anfang führt klar ins Thema ein, und der Schluss rundet es ab.",
    "Du benutzt treffende Wörter, die eine besondere Stimmung erzeugen.",
)
_QUESTIONS = (
    "Was würde wohl passieren, wenn die Handlung am nächsten Morgen weiterginge?",
    "Hast du schon eine Idee für eine Fortsetzung?",
    "Vielleicht magst du noch genauer erzählen, warum es so gekommen ist?",
    "Wie bist du auf diesen Einfall gekommen?",
)
_TITLE = re.compile(r"<article_title>(.{1,80}?)</article_title>", re.DOTALL)
_REASONS = {
    200: "OK",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    404: "Not Found",
}


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    after_seconds: float = 0.0
    drop: bool = False
    usage: dict[str, int] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        head = (
            f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Status')}\r\nContent-Type:"
            f" {self.content_type}\r\n"
        )
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{head}Content-Length: {len(self.body)}\r\n{more}\r\n".encode("latin-1") + self.body


def answer_json(status: int, document: object, **headers: str) -> Answer:
    return Answer(
        status,
        json.dumps(document).encode(),
        {name.replace("_", "-"): value for name, value in headers.items()},
    )


def error(
    status: int,
    message: str,
    code: str | None = None,
    kind: str = "invalid_request_error",
    param: str | None = None,
) -> Answer:
    return answer_json(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


class Llm:
    """The endpoint as functions of requests; holds faults, log and totals. Used by one thread."""

    def __init__(
        self,
        *,
        keys: set[str] | None = None,
        models: list[str] | None = None,
        log: TextIO | None = None,
        latency: float = 0.0,
    ) -> None:
        self.keys, self.models, self.log_file, self.latency_seconds = keys, models, log, latency
        self.connections: set[Any] = set()
        self.reset()

    def reset(self) -> None:
        self.faults: list[dict[str, Any]] = []
        self.log: collections.deque[dict[str, Any]] = collections.deque(maxlen=100_000)
        self.bodies: collections.deque[dict[str, Any]] = collections.deque(maxlen=50)
        self.totals = {
            "connections": 0,
            "requests": 0,
            "answered": 0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
        }

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        path = path.partition("?")[0]
        if (method, path) == ("POST", "/v1/chat/completions"):
            return self._chat(headers, body)
        if (method, path) == ("GET", "/v1/models"):
            return answer_json(
                200,
                {
                    "object": "list",
                    "data": [{"id": m, "object": "model"} for m in self.models or ["stand-in"]],
                },
            )
        if path == "/_control/log" and method == "GET":
            return answer_json(200, {"totals": self.totals, "requests": list(self.log)})
        if path == "/_control/requests" and method == "GET":
            return answer_json(200, list(self.bodies))
        if path == "/_control/faults":
            return self._control_faults(method, body)
        if (method, path) == ("POST", "/_control/reset"):
            self.reset()
            return answer_json(200, {})
        if path == "/healthz":
            return answer_json(200, {"ok": True})
        return Answer(404, b"<html><title>404 Not Found</title></html>", content_type="text/html")

    def add_fault(self, name: str, times: int | None = 1, **options: Any) -> None:
        """times None = for ever. KeyError for a name that does not exist."""
        self.faults.append({"fault": name, "about": FAULTS[name], "times": times, **options})

    def _control_faults(self, method: str, body: bytes) -> Answer:
        if method == "DELETE":
            self.faults.clear()
        elif method == "POST":
            wanted = json.loads(body or b"{}")
            name = wanted.pop("fault", "")
            if name not in FAULTS:
                return error(400, f"no fault {name!r}; there are: {', '.join(FAULTS)}")
            self.add_fault(name, **wanted)
        return answer_json(200, self.faults)

    def _chat(self, headers: dict[str, str], body: bytes) -> Answer:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        try:
            request = json.loads(body)
            messages = [(str(message["role"]), str(message["content"])) for message in request["messages"]]
        except (ValueError, KeyError, TypeError):
            return error(400, "the body is no chat completion request")
        fault = self._next_fault(request)
        answer = self._answer(request, messages, key, fault)
        answer.after_seconds += self.latency_seconds
        self._note(request, messages, key, fault, answer)
        return answer

    def _answer(
        self, request: dict[str, Any], messages: list[tuple[str, str]], key: str, fault: dict[str, Any]
    ) -> Answer:
        name = fault.get("fault", "")
        if self.keys is not None and key not in self.keys:
            return error(401, f"Incorrect API key provided: {key}.", "invalid_api_key")
        if self.models is not None and request.get("model") not in self.models:
            return error(
                404,
                f"The model `{request.get('model')}` does not exist or you do not have access to it.",
                "model_not_found",
            )
        failure = failures(name, fault, request, key)
        if failure is not None:
            return failure
        content, finish = contents(name, fault, request, messages)
        document = completion(request, messages, content, finish, with_usage=name != "no_usage")
        answer = answer_json(200, document)
        answer.usage = document.get("usage", {})
        answer.after_seconds = float(fault.get("seconds", 5)) if name == "slow" else 0.0
        return answer

    def _next_fault(self, request: dict[str, Any]) -> dict[str, Any]:
        for fault in list(self.faults):
            if fault["fault"] in _CONDITIONS and not concerns(fault["fault"], request):
                continue
            if fault["times"] is not None:
                fault["times"] -= 1
                if fault["times"] <= 0:
                    self.faults.remove(fault)
            return fault
        return {}

    def _note(
        self,
        request: dict[str, Any],
        messages: list[tuple[str, str]],
        key: str,
        fault: dict[str, Any],
        answer: Answer,
    ) -> None:
        self.totals["requests"] += 1
        self.totals["answered"] += answer.status == 200
        for name in ("prompt_tokens", "completion_tokens"):
            self.totals[name] += answer.usage.get(name, 0)
        entry = {
            "at": round(time.time(), 3),
            "status": 0 if answer.drop else answer.status,
            "fault": fault.get("fault"),
            "model": request.get("model"),
            "form": (request.get("response_format") or {}).get("type"),
            "temperature": request.get("temperature"),
            "key": hashlib.sha256(key.encode()).hexdigest()[:12],
            "prompt": hashlib.sha256(repr(messages).encode()).hexdigest()[:12],
            "usage": answer.usage,
        }
        self.log.append(entry)
        self.bodies.append(request)
        if self.log_file:
            self.log_file.write(json.dumps(entry) + "\n")
            self.log_file.flush()


def concerns(name: str, request: dict[str, Any]) -> bool:
    """Whether a request holds the field that a condition is about."""
    form = (request.get("response_format") or {}).get("type")
    return {
        "no_schema": form == "json_schema",
        "no_temperature": "temperature" in request,
        "no_max_tokens": "max_tokens" in request,
    }.get(name, form is not None)


def failures(name: str, fault: dict[str, Any], request: dict[str, Any], key: str) -> Answer | None:
    """The answer of a fault that comes instead of a completion."""
    waiting = {"Retry_After": str(fault["retry_after"])} if fault.get("retry_after") else {}
    if name == "rate_limit":
        waiting = (
            {"Retry_After": str(fault.get("retry_after", "7"))} if fault.get("retry_after", "7") != "" else {}
        )
    made = {
        "unauthorized": lambda: error(401, f"Incorrect API key provided: {key}.", "invalid_api_key"),
        "forbidden": lambda: error(403, f"The key {key} is not allowed here."),
        "gemini_key": lambda: answer_json(
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid. Please pass a valid API key.",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
        ),
        "rate_limit": lambda: answer_json(
            429, {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, **waiting
        ),
        "quota": lambda: error(
            429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"
        ),
        "payment": lambda: error(402, "Payment required"),
        "unknown_model": lambda: error(
            404, f"The model `{request.get('model')}` does not exist.", "model_not_found"
        ),
        "no_such_path": lambda: Answer(
            404, b"<html><title>404 Not Found</title></html>", content_type="text/html"
        ),
        "redirect": lambda: Answer(302, b"", {"Location": "http://127.0.0.1:9/v1/chat/completions"}),
        "error": lambda: answer_json(
            int(fault.get("status", 500)),
            {"error": {"message": f"The server had an error; your key was {key}"}},
            **waiting,
        ),
        "too_long": lambda: error(
            400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded"
        ),
        "refused": lambda: error(400, str(fault.get("message", f"No. Your key was {key}"))),
        "drop": lambda: Answer(200, b"", drop=True),
        "broken_body": lambda: Answer(200, b'{"id": "chatcmpl-1", "choices": [{"index": 0, "mess'),
        "html_page": lambda: Answer(200, b"<html><title>Welcome</title></html>", content_type="text/html"),
        "other_json": lambda: answer_json(200, {"hello": "world", "choices": None}),
        "no_schema": lambda: error(
            400, "response_format json_schema is not supported with this model", param="response_format"
        ),
        "no_structure": lambda: error(400, "'response_format' is not supported", param="response_format"),
        "vague_no_structure": lambda: error(400, "Bad request"),
        "no_temperature": lambda: error(
            400,
            "Unsupported value: 'temperature' does not support 0.7 with this model.",
            "unsupported_value",
            param="temperature",
        ),
        "no_max_tokens": lambda: error(
            400,
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'.",
            param="max_tokens",
        ),
    }.get(name)
    return made() if made else None


def contents(
    name: str, fault: dict[str, Any], request: dict[str, Any], messages: list[tuple[str, str]]
) -> tuple[str | None, str]:
    """What the model writes, and why it stopped."""
    if name == "says":
        return str(fault["content"]), "stop"
    if name == "content_filter":
        return None, "content_filter"
    written = {
        "comment": str(fault.get("content")),
        "too_short": "Sehr schön!",
        "repetitive": "schön " * 40,
        "placeholder": (
            "Liebe {article_author}, dein Text gefällt mir sehr, denn er ist spannend, lustig und gut"
            " erzählt."
        ),
        "refusal": (
            "Es tut mir leid, aber ich kann dazu leider keinen Kommentar verfassen, weil das gegen meine"
            " Regeln wäre."
        ),
        "empty": "",
    }
    comment = written[name] if name in written else comment_for(messages)
    if "response_format" not in request and not any("comment_content" in text for _, text in messages):
        return comment, "stop"
    document = json.dumps(
        {"reasoning_content": "Der Text ist freundlich und stellt eine Frage.", "comment_content": comment},
        ensure_ascii=False,
    )
    if name in ("broken_json", "cut"):
        document = document[: len(document) * 2 // 3]
    return document, "length" if name == "cut" else "stop"


def comment_for(messages: list[tuple[str, str]]) -> str:
    """The same comment for the same messages."""
    digest = hashlib.sha256(repr(messages).encode()).digest()
    opening, middle, question = (
        pool[digest[i] % len(pool)] for i, pool in enumerate((_OPENINGS, _MIDDLES, _QUESTIONS))
    )
    title = next((found[1].strip() for _, text in messages if (found := _TITLE.search(text))), "")
    named = f" «{title}» bleibt mir im Gedächtnis." if title else ""
    return f"{opening}{named} {middle}\n\n{question}"


def completion(
    request: dict[str, Any],
    messages: list[tuple[str, str]],
    content: str | None,
    finish: str,
    *,
    with_usage: bool,
) -> dict[str, Any]:
    asked, answered = sum(len(text) for _, text in messages) // 4 + 1, len(content or "") // 4 + 1
    identity = hashlib.sha256(repr((messages, content)).encode()).hexdigest()[:24]
    document: dict[str, Any] = {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.get("model"),
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
        ],
    }
    if with_usage:
        document["usage"] = {
            "prompt_tokens": asked,
            "completion_tokens": answered,
            "total_tokens": asked + answered,
        }
    return document


class Connection(asyncio.Protocol):
    """One kept connection; requests come one after another."""

    def __init__(self, llm: Llm) -> None:
        self._llm = llm
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._llm.connections.add(transport)
        self._llm.totals["connections"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._llm.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            length = int(headers.get("content-length", 0))
            stop = end + 4 + length
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
            method, path, _ = first.split(" ", 2)
            self._send(
                self._llm.handle(method, path, headers, body),
                close=headers.get("connection", "").lower() == "close",
            )

    def _send(self, answer: Answer, *, close: bool) -> None:
        if answer.after_seconds > 0:
            asyncio.get_running_loop().call_later(answer.after_seconds, self._write, answer, close)
        else:
            self._write(answer, close)

    def _write(self, answer: Answer, close: bool) -> None:
        if not answer.drop:
            self._transport.write(answer.as_bytes())
        if close or answer.drop:
            self._transport.close()


@dataclass
class Running:
    """A stand-in in a thread of this process; `llm` may be looked at between requests."""

    llm: Llm
    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextlib.contextmanager
def running(llm: Llm) -> Iterator[Running]:
    """Serves on a free port of loopback until the block ends."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: Connection(llm), "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, name="stand-in-llm", daemon=True)
    thread.start()
    try:
        yield Running(llm, server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        server.close()
        for connection in list(llm.connections):
            connection.abort()
        loop.run_until_complete(asyncio.sleep(0))  # the connections close in the loop's next turn
        loop.close()


async def serve(llm: Llm, host: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(llm), host, port)
    print(f"stand-in LLM on {host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--log", type=Path, help="a line of JSON for each request")
    parser.add_argument("--keys-file", type=Path, help="keys that are accepted, one a line; without it any")
    parser.add_argument("--models", help="comma-separated; without it any model is known")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    given = parser.parse_args()
    keys = set(given.keys_file.read_text().split()) if given.keys_file else None
    models = given.models.split(",") if given.models else None
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(given.log.open("a")) if given.log else None
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(
                serve(
                    Llm(keys=keys, models=models, log=log, latency=given.latency_ms / 1000),
                    given.host,
                    given.port,
                )
            )


if __name__ == "__main__":
    main()
