"""Packs one layer into a docker-archive, the tar that `docker load` and containerd import."""

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Fixed, so that the same content gives the same image id.
CREATED = "2026-01-01T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class ImageConfig:
    """How containers of the image start."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_folder: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_oci(self) -> dict[str, Any]:
        """The `config` part of an OCI image configuration, without what is not set."""
        parts: dict[str, Any] = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": [f"{name}={value}" for name, value in self.env.items()],
            "User": self.user,
            "WorkingDir": self.working_folder,
            "ExposedPorts": {port: {} for port in self.ports},
            "Volumes": {folder: {} for folder in self.volumes},
            "StopSignal": self.stop_signal,
            "Labels": dict(self.labels),
        }
        return {name: value for name, value in parts.items() if value}


def write_archive(*, image: str, layer: Path, config: ImageConfig, archive: Path) -> None:
    """Write `archive` holding `image` with the one layer given (an uncompressed tar); it appears all at
    once.
    """
    with layer.open("rb") as opened:
        layer_digest = hashlib.file_digest(opened, "sha256").hexdigest()
    settings = json.dumps(
        {
            "architecture": ARCHITECTURES.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "created": CREATED,
            "config": config.as_oci(),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created": CREATED}],
        }
    ).encode()
    settings_name = f"{hashlib.sha256(settings).hexdigest()}.json"
    contents = json.dumps([{"Config": settings_name, "RepoTags": [image], "Layers": ["layer.tar"]}]).encode()
    archive.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=archive.parent, prefix=".writing-")
    os.close(handle)
    try:
        with tarfile.open(unfinished, "w") as tar:
            tar.add(layer, arcname="layer.tar")
            for name, data in ((settings_name, settings), ("manifest.json", contents)):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        os.rename(unfinished, archive)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def write_program_archive(
    *, image: str, program: Path, arguments: tuple[str, ...] = (), archive: Path
) -> None:
    """An otherwise empty image that runs one static program."""
    with tempfile.TemporaryDirectory() as scratch:
        layer = Path(scratch) / "layer.tar"
        with tarfile.open(layer, "w") as tar:
            entry = tarfile.TarInfo(program.name)
            entry.size, entry.mode = program.stat().st_size, 0o755
            with program.open("rb") as opened:
                tar.addfile(entry, opened)
        config = ImageConfig(entrypoint=(f"/{program.name}", *arguments), user="65532:65532")
        write_archive(image=image, layer=layer, config=config, archive=archive)


def images_in(archive: Path) -> list[str]:
    """The full names of the images that a docker-archive holds."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile("manifest.json")
        manifest = json.load(member) if member else []
    return [full_name(tag) for entry in manifest for tag in entry.get("RepoTags") or []]


def full_name(image: str) -> str:
    """The name containerd stores: registry, folder and tag spelled out."""
    path, _, digest = image.partition("@")
    first, slash, _ = path.partition("/")
    if not slash:
        path = f"docker.io/library/{path}"
    elif "." not in first and ":" not in first and first != "localhost":
        path = f"docker.io/{path}"
    if digest:
        return f"{path}@{digest}"
    return path if ":" in path.rsplit("/", 1)[-1] else f"{path}:latest"
