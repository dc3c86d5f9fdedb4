"""The writing platform and the language model of the second act: deployed into the cluster, and asked for
their own logs.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.demo.session import ROOT, Session

_MANIFEST = Path(__file__).parent / "manifests/standins.yaml"
_PROGRAMS = ROOT / "tests/standins"
LABEL = "app=demo-standins"
SITE = "demo-site:8080"
# Inside the stand-in's own pod: nothing of it is reachable from outside the cluster. The body comes on
# standard input.
_ASK = (
    "import sys, urllib.request as u; body = sys.stdin.buffer.read() or None;"
    " sys.stdout.write(u.urlopen(u.Request(sys.argv[1], body)).read().decode())"
)


@dataclass(frozen=True)
class Posted:
    """A comment as the site's own log has it."""

    at: float
    id: str
    login: str
    article: str
    text: str


class StandIns:
    """Both programs, with logs that begin with `deploy`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def deploy(self) -> None:
        """Anew, where they are there already. Raises DemoFailed where they do not get ready.

        The site begins to count its comments at one again, so what earlier processes posted there is
        forgotten with it.
        """
        self._session.kubectl("delete", "pods", "-l", LABEL, "--ignore-not-found", "--grace-period=1")
        programs = {name: (_PROGRAMS / name).read_text() for name in ("website.py", "llm.py")}
        metadata = {"name": "demo-standins", "labels": {"app": "demo-standins"}}
        config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": programs}
        # Server-side: the programs are too long for the annotation of the other way.
        self._session.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-", data=json.dumps(config_map).encode()
        )
        self._session.kubectl("apply", "-f", str(_MANIFEST))
        self._session.psql(f"delete from ai_comments where site = '{SITE}'")
        self._session.kubectl("wait", "--for=condition=Ready", "pods", "-l", LABEL, "--timeout=60s")

    def remove(self) -> None:
        self._session.kubectl(
            "delete",
            "pods,services,secrets,configmaps",
            "-l",
            LABEL,
            "--ignore-not-found",
            "--grace-period=1",
        )

    def site(self, path: str, given: object = None) -> Any:
        """The site's control: `log`, `articles`, `faults`."""
        return self._ask("demo-site", 8080, path, given)

    def model(self, path: str) -> Any:
        """The model's control: `log`, `requests`."""
        return self._ask("demo-model", 8000, path)

    def articles(self) -> dict[int, int]:
        """Every article's class."""
        return {article["id"]: article["class"] for article in self.site("articles")}

    def write(self, *classes: int) -> None:
        """Somebody publishes an article in each of these classes."""
        for number in classes:
            self.site("articles", {"classroom": number})

    def requests(self) -> list[dict[str, Any]]:
        """Every request that reached the site, in order."""
        return list(self.site("log")["requests"])

    def posted(self) -> list[Posted]:
        """Every comment that the site accepted, in order."""
        return [
            Posted(c["at"], str(c["id"]), c["login"], str(c["article"]), c["text"])
            for c in self.site("log")["comments"]
        ]

    def _ask(self, pod: str, port: int, path: str, given: object = None) -> Any:
        body = b"" if given is None else json.dumps(given).encode()
        url = f"http://127.0.0.1:{port}/_control/{path}"
        return json.loads(
            self._session.kubectl(
                "exec", "-i", pod, "--", "/opt/rowlock/bin/python", "-I", "-c", _ASK, url, data=body
            )
        )
