"""Who we are towards the API server: a pod's service account, or a kubeconfig file outside of a cluster."""

import base64
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rowlock_operator.cluster.tls import RereadContext, TlsMaterial
from rowlock_operator.errors import GiveUp

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_REREAD_SECONDS = (
    60.0  # kubelet rotates a bound token in the file long before it expires; one read a minute follows it
)


class Token:
    """A bearer token that is rotated where it is kept; read again once a minute, so a rotation needs no
    reconnect."""

    def __init__(self, read: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        """`read()` raises GiveUp where there is none."""
        self._read, self._clock = read, clock
        self._token, self._read_at = "", float("-inf")

    def __call__(self) -> str:
        """The present token, or the last one where it cannot be read; raises GiveUp where there never was
        one.
        """
        now = self._clock()
        if now - self._read_at >= TOKEN_REREAD_SECONDS:
            try:
                self._token, self._read_at = self._read(), now
            except GiveUp:
                if not self._token:
                    raise
        return self._token

    def refused(self) -> None:
        """The server did not accept it: the next call reads it again, whatever the minute."""
        self._read_at = float("-inf")


def token_file(path: Path) -> Callable[[], str]:
    """Reads a token from its file; raises GiveUp where it is not readable, or empty."""

    def read() -> str:
        try:
            token = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise GiveUp(f"cannot read the service-account token {path}: {why}", "NoCredentials") from error
        if not token:
            raise GiveUp(f"cannot read the service-account token {path}: it is empty", "NoCredentials")
        return token

    return read


@dataclass(frozen=True)
class Credentials:
    """The server's URL, its TLS context (None for plain http), our default namespace, and our token where we
    use one. What is kept in files is read again when it is rotated."""

    server: str
    tls: ssl.SSLContext | None
    namespace: str
    token: Token | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.server}, namespace={self.namespace})"


def load_in_cluster(folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """The pod's own service account; raises GiveUp outside of a cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").exists():
        raise GiveUp(
            "not in a pod with a service account: set KUBECONFIG, or mount a service-account token",
            "NoCredentials",
        )
    host = f"[{host}]" if ":" in host else host
    authorities = folder / "ca.crt"
    tls = RereadContext(lambda: TlsMaterial(_read(authorities)))
    namespace = (folder / "namespace").read_text().strip()
    return Credentials(f"https://{host}:{port}", tls, namespace, Token(token_file(folder / "token")))


def load_kubeconfig(path: Path, context: str | None = None) -> Credentials:
    """One context of a kubeconfig file (client certificate or token); raises GiveUp with the reason.
    Certificates and tokens are read again, from this file and those that it names; its server and namespace
    are not."""
    config = _Kubeconfig(path, context)
    entry = config.read()
    token = Token(config.token) if {"token", "tokenFile"} & entry.user.keys() else None
    tls = RereadContext(config.tls) if entry.server.startswith("https") else None
    return Credentials(entry.server, tls, entry.namespace, token)


def load_credentials() -> Credentials:
    """A kubeconfig where KUBECONFIG names one, else the pod's service account."""
    path = os.environ.get("KUBECONFIG")
    return load_kubeconfig(Path(path)) if path else load_in_cluster()


@dataclass(frozen=True)
class _Entry:
    """One context of a kubeconfig."""

    server: str
    namespace: str
    cluster: dict[str, Any]
    user: dict[str, Any]

    def __repr__(self) -> str:
        return f"_Entry({self.server})"


class _Kubeconfig:
    """A kubeconfig file, read anew by every call."""

    def __init__(self, path: Path, context: str | None) -> None:
        self._path, self._context = path, context

    def read(self) -> _Entry:
        """Raises GiveUp."""
        path = self._path
        try:
            document = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            # A parser's error quotes the line that it met: with a token, perhaps.
            why = error.strerror if isinstance(error, OSError) else "it is no YAML"
            raise GiveUp(f"cannot read the kubeconfig {path}: {why}", "NoCredentials") from None
        if not isinstance(document, dict):
            raise GiveUp(f"cannot read the kubeconfig {path}: it is empty", "NoCredentials")
        chosen = _named(
            document, "contexts", "context", self._context or str(document.get("current-context", "")), path
        )
        cluster = _named(document, "clusters", "cluster", str(chosen.get("cluster", "")), path)
        user = _named(document, "users", "user", str(chosen.get("user", "")), path)
        if "exec" in user or "auth-provider" in user:
            raise GiveUp(
                f"the kubeconfig {path} asks a plugin for credentials: use a client certificate or a token",
                "NoCredentials",
            )
        if not cluster.get("server"):
            raise GiveUp(f"the kubeconfig {path} names no server of its cluster", "NoCredentials")
        return _Entry(
            str(cluster["server"]).rstrip("/"), str(chosen.get("namespace", "default")), cluster, user
        )

    def token(self) -> str:
        """Raises GiveUp."""
        user = self.read().user
        if "tokenFile" in user:
            return token_file(self._path.parent / str(user["tokenFile"]))()
        if not user.get("token"):
            raise GiveUp(f"the kubeconfig {self._path} holds no token any more", "NoCredentials")
        return str(user["token"])

    def tls(self) -> TlsMaterial:
        """Raises GiveUp, OSError or ValueError."""
        entry = self.read()
        certificate, key = self._pem(entry.user, "client-certificate"), self._pem(entry.user, "client-key")
        chain = certificate + b"\n" + key if certificate is not None and key is not None else None
        authorities = self._pem(entry.cluster, "certificate-authority")
        return TlsMaterial(authorities, chain, verify=not entry.cluster.get("insecure-skip-tls-verify"))

    def _pem(self, section: dict[str, Any], field: str) -> bytes | None:
        if f"{field}-data" in section:
            return base64.b64decode(section[f"{field}-data"])
        return _read(Path(self._path.parent, section[field])) if field in section else None


def _named(document: dict[str, Any], section: str, field: str, name: str, path: Path) -> dict[str, Any]:
    for entry in document.get(section) or []:
        if entry.get("name") == name and isinstance(entry.get(field), dict):
            value: dict[str, Any] = entry[field]
            return value
    raise GiveUp(f"the kubeconfig {path} has no {field} named {name!r}", "NoCredentials")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise GiveUp(f"cannot read {path}: {error.strerror}", "NoCredentials") from error
