"""Builds an image straight into the store of a host cluster's kubelet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.images.archive import full_name


@dataclass(frozen=True)
class Build:
    """What to build: one Dockerfile, its context, further contexts by name."""

    image: str
    context: Path
    dockerfile: Path
    contexts: Mapping[str, Path] = field(default_factory=dict)
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


def parse_build(
    *, image: str, context: str, dockerfile: str, contexts: list[str], target: str, arguments: list[str]
) -> Build:
    """The build that these command-line words ask for; raises ClusterError for what does not exist or has no
    `=`.
    """
    folder = Path(context).absolute()
    file = Path(dockerfile).absolute() if dockerfile else folder / "Dockerfile"
    named = {name: Path(path).absolute() for name, path in map(_pair, contexts)}
    for wanted in (folder, *named.values()):
        if not wanted.is_dir():
            raise ClusterError(f"The build context {wanted} is not a folder.")
    if not file.is_file():
        raise ClusterError(f"There is no Dockerfile {file}: name it with -f.")
    return Build(image, folder, file, named, target, dict(map(_pair, arguments)))


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise ClusterError(f"{word!r} is not of the form NAME=VALUE.")
    return name, value


def buildctl_command(buildctl: Path, socket: Path, build: Build) -> list[str]:
    """The call that builds and unpacks the image under its full name."""
    command = [
        str(buildctl),
        f"--addr=unix://{socket}",
        "build",
        "--progress=plain",
        "--frontend=dockerfile.v0",
        f"--local=context={build.context}",
        f"--local=dockerfile={build.dockerfile.parent}",
        f"--opt=filename={build.dockerfile.name}",
        # Base images come from the cluster's own store; a registry is asked only for what is not there.
        "--opt=image-resolve-mode=local",
        f"--output=type=image,name={full_name(build.image)},unpack=true",
    ]
    for name, path in build.contexts.items():
        command += [f"--local={name}={path}", f"--opt=context:{name}=local:{name}"]
    command += [f"--opt=build-arg:{name}={value}" for name, value in build.arguments.items()]
    if build.target:
        command.append(f"--opt=target={build.target}")
    return command


def docker_command(build: Build) -> list[str]:
    """The same build by Docker, for kind."""
    command = ["docker", "build", "--tag", build.image, "--file", str(build.dockerfile)]
    for name, path in build.contexts.items():
        command += ["--build-context", f"{name}={path}"]
    for name, value in build.arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    if build.target:
        command += ["--target", build.target]
    return [*command, str(build.context)]
