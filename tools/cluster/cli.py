"""The words of the command line, and which provider carries each out."""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.cluster import kind
from tools.cluster.buildkit import buildctl_command, docker_command, parse_build
from tools.cluster.containerd import ImageStore
from tools.cluster.errors import ClusterError
from tools.cluster.host import HostCluster
from tools.cluster.places import ClusterPlace, cluster_place
from tools.cluster.programs import GROUPS, ensure_programs
from tools.cluster.shell import locked, run
from tools.cluster.status import Status, host_status
from tools.cluster.steps import say, step
from tools.images.standins import stand_in_archives


def parser() -> argparse.ArgumentParser:
    """Every verb with its options."""
    top = argparse.ArgumentParser(prog="python3 -m tools.cluster", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.add_argument("--name", default="dev", help="which cluster (default: dev)")
        return added

    up = verb("up", "start the cluster, or whatever of it is missing")
    up.add_argument("--provider", choices=("auto", "kind", "host"), default="auto")
    up.add_argument("--without-base-images", action="store_true", help="host provider: bring in no stand-ins")
    verb("down", "end the cluster and everything it left on this machine")
    build = verb("build", "build an image into the cluster")
    build.add_argument("-t", "--tag", required=True, metavar="NAME:TAG")
    build.add_argument("-f", "--file", default="", metavar="DOCKERFILE")
    build.add_argument("--build-context", action="append", default=[], metavar="NAME=FOLDER")
    build.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    build.add_argument("--target", default="", metavar="STAGE")
    build.add_argument("context", metavar="CONTEXT")
    load = verb("load", "bring an image into the cluster")
    load.add_argument("image", metavar="NAME:TAG|ARCHIVE.tar")
    verb("kubeconfig", "print the path of the cluster's kubeconfig")
    status = verb("status", "tell how the cluster is; exit code 0 only if it is healthy")
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")
    programs = verb("programs", "build every program and print the paths")
    programs.add_argument("groups", nargs="*", metavar="GROUP", help=f"only these: {', '.join(GROUPS)}")
    verb("base-images", "make the base images and bring them into the cluster if it is up")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line; the exit code."""
    words = parser().parse_args(arguments)
    try:
        return carry_out(words)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def carry_out(words: argparse.Namespace) -> int:
    """Carry out parsed words; raises ClusterError for what cannot be done."""
    if words.verb == "programs":
        usual = [name for name, group in GROUPS.items() if not group.on_request]
        for name, path in ensure_programs(words.groups or usual).items():
            print(f"{name}\t{path}")
        return 0
    place = cluster_place(words.name)
    if words.verb == "kubeconfig":
        print(_existing(place).kubeconfig)
        return 0
    if words.verb == "status":
        found = status_of(place)
        print(found.as_json() if words.output == "json" else found.as_text())
        return 0 if found.healthy else 1
    provider = provider_of(place) or choose_provider(getattr(words, "provider", "auto"))
    if provider == "host":
        require_root()
    # Images may be made side by side; what starts or ends the cluster waits for them.
    with locked(place.lock_file, shared=words.verb in ("build", "load")):
        if words.verb == "up":
            up(place, words.provider, without_base_images=words.without_base_images)
        elif words.verb == "down":
            down(place)
        elif words.verb == "base-images":
            base_images(place)
        elif words.verb == "build":
            build(_existing(place), words)
        elif words.verb == "load":
            load(_existing(place), words.image)
    if words.verb == "down":
        place.lock_file.unlink(missing_ok=True)
    return 0


def up(place: ClusterPlace, asked: str, *, without_base_images: bool) -> None:
    """Start what is missing; a cluster keeps the provider it was started with."""
    began = time.monotonic()
    provider = provider_of(place) or choose_provider(asked)
    if asked not in ("auto", provider):
        raise ClusterError(f"Cluster {place.name} was started with {provider}: end it with `down` first.")
    place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.provider_file.write_text(provider)
    if provider == "kind":
        with step("kind cluster"):
            kind.up(str(ensure_programs(["kind"])["kind"]), place)
    else:
        HostCluster(place).up(list if without_base_images else stand_in_archives)
    say(
        f"{time.monotonic() - began:6.1f} s  cluster {place.name} is up ({provider});"
        f" KUBECONFIG={place.kubeconfig}"
    )


def down(place: ClusterPlace) -> None:
    """End the cluster; without a trace of one, look for leftovers of the host provider all the same."""
    if provider_of(place) == "kind":
        with step("kind cluster deleted"):
            run(kind.delete_command(str(ensure_programs(["kind"])["kind"]), place))
            shutil.rmtree(place.folder)
    else:
        HostCluster(place).down()


def base_images(place: ClusterPlace) -> None:
    """Make the stand-ins, and bring them into the cluster where it is a host cluster that is up."""
    provider = provider_of(place)
    if provider == "kind":
        say("A kind cluster takes base images from their registries; nothing to do.")
        return
    archives = stand_in_archives()
    if provider is None:
        say(
            f"Cluster {place.name} is not up; the archives wait in the cache: {', '.join(map(str, archives))}"
        )
        return
    store = ImageStore(place, ensure_programs(["containerd"])["ctr"])
    for archive in archives:
        with step(f"base image from {archive.name}"):
            store.ensure(archive)


def build(place: ClusterPlace, words: argparse.Namespace) -> None:
    """Build an image into the cluster."""
    asked = parse_build(
        image=words.tag,
        context=words.context,
        dockerfile=words.file,
        contexts=words.build_context,
        target=words.target,
        arguments=words.build_arg,
    )
    with step(f"built {asked.image}"):
        if provider_of(place) == "kind":
            run(docker_command(asked), show=True)
            run(kind.load_command(str(ensure_programs(["kind"])["kind"]), place, asked.image))
        else:
            run(
                buildctl_command(ensure_programs(["buildkit"])["buildctl"], place.buildkit_socket, asked),
                show=True,
            )


def load(place: ClusterPlace, image: str) -> None:
    """Bring one image into the cluster."""
    with step(f"loaded {image}"):
        if provider_of(place) == "kind":
            run(kind.load_command(str(ensure_programs(["kind"])["kind"]), place, image))
        elif Path(image).is_file():
            ImageStore(place, ensure_programs(["containerd"])["ctr"]).import_archive(Path(image))
        else:
            raise ClusterError(
                f"{image} is not a file, and a host cluster has no Docker to take {image} from: "
                "give an archive made by `docker save`, or use `build`."
            )


def status_of(place: ClusterPlace) -> Status:
    """How the cluster is, whichever provider runs it."""
    if provider_of(place) != "kind":
        return host_status(place)
    kubectl = ensure_programs(["kubernetes"])["kubectl"]
    context = f"kind-{kind.kind_name(place.name)}"
    node = f"{kind.kind_name(place.name)}-control-plane"
    jsonpath = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    ready = (
        run([kubectl, "--kubeconfig", place.kubeconfig, "get", "node", node, "-o", jsonpath]).strip()
        == "True"
    )
    return Status(
        name=place.name,
        provider="kind",
        healthy=ready,
        kubeconfig=str(place.kubeconfig),
        context=context,
        node=node,
        node_ready=ready,
        programs={"kubectl": str(kubectl)},
    )


def provider_of(place: ClusterPlace) -> str | None:
    """The provider a cluster was started with; None for one that is not there."""
    return place.provider_file.read_text().strip() if place.provider_file.exists() else None


def choose_provider(asked: str) -> str:
    """`auto` means kind where a Docker daemon answers, the host otherwise."""
    if asked != "auto":
        return asked
    return "kind" if kind.docker_works() else "host"


def require_root() -> None:
    """Raises ClusterError unless we may create namespaces, mounts and cgroups on a Linux machine."""
    if not sys.platform.startswith("linux"):
        raise ClusterError("A host cluster runs on Linux only: install Docker, and `up` uses kind.")
    if os.geteuid() != 0:
        raise ClusterError(
            "A host cluster needs root, for namespaces and cgroups: run this again with sudo, or start Docker"
            " so that kind can be used."
        )


def _existing(place: ClusterPlace) -> ClusterPlace:
    if not place.kubeconfig.exists():
        raise ClusterError(
            f"Cluster {place.name} is not up: start it with `python3 -m tools.cluster up --name"
            f" {place.name}`."
        )
    return place
