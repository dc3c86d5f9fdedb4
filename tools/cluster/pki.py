"""Certificates of one host cluster, made with openssl; every key stays in a file of mode 0600."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.network import Network
from tools.cluster.shell import run

VALID_DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """Who a certificate speaks for, and which authority says so."""

    file: str
    subject: str
    authority: str = "ca"
    names: str = ""


def certificates(network: Network, node: str) -> tuple[Certificate, ...]:
    """Every certificate a cluster needs."""
    api_names = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1"
    return (
        Certificate(
            "apiserver",
            "/CN=kube-apiserver",
            names=f"{api_names},IP:{network.api_service_address},IP:{network.node_address}",
        ),
        Certificate("admin", "/O=system:masters/CN=admin"),
        Certificate("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client"),
        Certificate("controller-manager", "/CN=system:kube-controller-manager"),
        Certificate("scheduler", "/CN=system:kube-scheduler"),
        Certificate("proxy", "/CN=system:kube-proxy"),
        Certificate(
            "node",
            f"/O=system:nodes/CN=system:node:{node}",
            names=f"DNS:{node},IP:{network.node_address},IP:127.0.0.1",
        ),
        Certificate("front-proxy", "/CN=front-proxy-client", authority="front-proxy-ca"),
    )


def ensure_pki(folder: Path, network: Network, node: str) -> None:
    """Make every certificate and key that is missing."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = os.umask(0o077)
    try:
        for authority in ("ca", "front-proxy-ca"):
            _authority(folder, authority)
        for certificate in certificates(network, node):
            _signed(folder, certificate)
        if not (folder / "service-accounts.pub").exists():
            key = folder / "service-accounts.key"
            run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
            run(["openssl", "pkey", "-in", key, "-pubout", "-out", folder / "service-accounts.pub"])
    finally:
        os.umask(before)


def _authority(folder: Path, name: str) -> None:
    if (folder / f"{name}.crt").exists():
        return
    files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"]
    run(
        [
            "openssl",
            "req",
            "-x509",
            *NEW_KEY,
            *files,
            "-days",
            VALID_DAYS,
            "-subj",
            f"/CN=rowlock-{name}",
            *usage,
        ]
    )


def _signed(folder: Path, certificate: Certificate) -> None:
    made = folder / f"{certificate.file}.crt"
    if made.exists():
        return
    request, extensions = made.with_suffix(".csr"), made.with_suffix(".ext")
    run(
        [
            "openssl",
            "req",
            *NEW_KEY,
            "-keyout",
            made.with_suffix(".key"),
            "-out",
            request,
            "-subj",
            certificate.subject,
        ]
    )
    lines = [
        "basicConstraints=CA:FALSE",
        "keyUsage=digitalSignature",
        "extendedKeyUsage=serverAuth,clientAuth",
    ]
    if certificate.names:
        lines.append(f"subjectAltName={certificate.names}")
    extensions.write_text("\n".join(lines))
    authority = folder / certificate.authority
    signing = [
        "-CA",
        f"{authority}.crt",
        "-CAkey",
        f"{authority}.key",
        "-set_serial",
        f"0x{secrets.token_hex(15)}",
    ]
    run(
        [
            "openssl",
            "x509",
            "-req",
            "-in",
            request,
            *signing,
            "-days",
            VALID_DAYS,
            "-out",
            made,
            "-extfile",
            extensions,
        ]
    )
    request.unlink()
    extensions.unlink()
