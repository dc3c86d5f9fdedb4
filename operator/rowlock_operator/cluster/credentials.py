"""Who we are towards the API server: a pod's service account, or a kubeconfig file outside of a cluster."""

import base64
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rowlock_operator.errors import GiveUp

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_REREAD_SECONDS = 60.0  # kubelet rotates a bound token in the file long before it expires; one read a minute follows it


class TokenFile:
    """A bearer token that is rotated in its file; read again once a minute, so a rotation needs no reconnect."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._token, self._read_at = "", float("-inf")

    def __call__(self) -> str:
        """The present token; raises GiveUp where the file was never readable."""
        now = self._clock()
        if now - self._read_at >= TOKEN_REREAD_SECONDS:
            try:
                self._token, self._read_at = self._path.read_text().strip(), now
            except OSError as error:
                if not self._token:
                    raise GiveUp(f"cannot read the service-account token {self._path}: {error.strerror}", "NoCredentials") from error
        return self._token


@dataclass(frozen=True)
class Credentials:
    """The server's URL, its TLS context (None for plain http), our default namespace, and our token where we use one."""

    server: str
    tls: ssl.SSLContext | None
    namespace: str
    token: Callable[[], str] | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.server}, namespace={self.namespace})"


def load_in_cluster(folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """The pod's own service account; raises GiveUp outside of a cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").exists():
        raise GiveUp("not in a pod with a service account: set KUBECONFIG, or mount a service-account token", "NoCredentials")
    host = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    return Credentials(f"https://{host}:{port}", tls, (folder / "namespace").read_text().strip(), TokenFile(folder / "token"))


def load_kubeconfig(path: Path, context: str | None = None) -> Credentials:
    """One context of a kubeconfig file (client certificate or token); raises GiveUp with the reason."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise GiveUp(f"cannot read the kubeconfig {path}: {error}", "NoCredentials") from error
    chosen = _named(document, "contexts", "context", context or document.get("current-context", ""), path)
    cluster = _named(document, "clusters", "cluster", chosen["cluster"], path)
    user = _named(document, "users", "user", chosen["user"], path)
    if "exec" in user or "auth-provider" in user:
        raise GiveUp(f"the kubeconfig {path} asks a plugin for credentials: use a client certificate or a token", "NoCredentials")
    server = cluster["server"].rstrip("/")
    token: Callable[[], str] | None = None
    if "tokenFile" in user:
        token = TokenFile(path.parent / user["tokenFile"])
    elif "token" in user:
        fixed = str(user["token"])
        token = lambda: fixed  # noqa: E731
    tls = _tls(cluster, user, path) if server.startswith("https") else None
    return Credentials(server, tls, chosen.get("namespace", "default"), token)


def load_credentials() -> Credentials:
    """A kubeconfig where KUBECONFIG names one, else the pod's service account."""
    path = os.environ.get("KUBECONFIG")
    return load_kubeconfig(Path(path)) if path else load_in_cluster()


def _named(document: dict[str, Any], section: str, field: str, name: str, path: Path) -> dict[str, Any]:
    for entry in document.get(section) or []:
        if entry.get("name") == name:
            value: dict[str, Any] = entry[field]
            return value
    raise GiveUp(f"the kubeconfig {path} has no {field} named {name!r}", "NoCredentials")


def _tls(cluster: dict[str, Any], user: dict[str, Any], path: Path) -> ssl.SSLContext:
    authority = _pem(cluster, "certificate-authority", path)
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    certificate, key = _pem(user, "client-certificate", path), _pem(user, "client-key", path)
    if certificate and key:
        # The ssl module loads a chain only from a file: one of mode 0600, gone at the end of this block.
        with tempfile.NamedTemporaryFile() as chain:
            chain.write(certificate + b"\n" + key)
            chain.flush()
            tls.load_cert_chain(chain.name)
    return tls


def _pem(section: dict[str, Any], field: str, path: Path) -> bytes | None:
    if f"{field}-data" in section:
        return base64.b64decode(section[f"{field}-data"])
    if field in section:
        return Path(path.parent, section[field]).read_bytes()
    return None
