"""The few requests that starting a cluster needs of the API server, and health questions to every daemon."""

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tools.cluster.errors import ClusterError

Answer = dict[str, Any]


class Api:
    """Speaks to one API server as its administrator."""

    def __init__(self, server: str, pki: Path) -> None:
        self._server = server
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        # No proxy of the environment stands between the machine and its own cluster.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def get(self, path: str) -> Answer | None:
        """The object at `path`; None where there is none or the server does not answer yet."""
        try:
            return self._send("GET", path, None)
        except (OSError, http.client.HTTPException):
            return None

    def apply(self, path: str, manifest: Answer) -> None:
        """Server-side apply of one object; raises ClusterError with the server's reason."""
        try:
            self._send("PATCH", f"{path}?fieldManager=rowlock-cluster&force=true", manifest)
        except urllib.error.HTTPError as refused:
            raise ClusterError(
                f"The API server refused {path}: {refused.read().decode(errors='replace')}"
            ) from refused
        except OSError as failed:
            raise ClusterError(f"The API server did not take {path}: {failed}") from failed

    def _send(self, method: str, path: str, body: Answer | None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"}
        request = urllib.request.Request(self._server + path, data=data, headers=headers, method=method)
        with self._opener.open(request, timeout=10) as response:
            answer: Answer = json.load(response)
            return answer


def is_well(address: str) -> bool:
    """Whether a health address answers 200, or a unix:// socket accepts a connection."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            return client.connect_ex(address.removeprefix("unix://")) == 0
    # Health pages of some daemons use certificates they make for themselves at start; nothing secret is
    # exchanged.
    anyone = ssl.create_default_context()
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=anyone)
    )
    try:
        with opener.open(address, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):
        return False
