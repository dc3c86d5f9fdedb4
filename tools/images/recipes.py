"""What each stand-in is made of: Debian packages, a few files of ours, and how it starts.

The three names are those that Dockerfiles and the chart use, so nothing of the product knows that they are
stand-ins.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from tools.images.archive import ImageConfig

FILES = Path(__file__).parent / "rootfs"
SUITE = "trixie"
LABELS = {
    "dev.rowlock.stand-in": "true",
    "org.opencontainers.image.description": "Local stand-in made of Debian packages; not the official image.",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Recipe:
    """One stand-in."""

    image: str
    packages: tuple[str, ...]
    config: ImageConfig
    # Shell commands run on the machine once the packages are there; $1 is the new root folder.
    hooks: tuple[str, ...]
    # Our own files: folder below `rootfs`, copied to /usr/local/bin of the image.
    scripts: str = ""
    # What this machine trusts goes in as well, so that pip works where TLS is intercepted.
    trusts_host: bool = False
    # Paths of packages that stay out.
    left_out: tuple[str, ...] = ()

    @property
    def short_name(self) -> str:
        return self.image.rsplit("/", 1)[-1].partition(":")[0]

    def key(self, mirror: str) -> str:
        """A hash of everything that decides what the image holds, but for the versions the mirror has
        today.
        """
        digest = hashlib.sha256(repr((self, EARLY_HOOKS.get(self.image), mirror)).encode())
        for file in sorted((FILES / self.scripts).iterdir()) if self.scripts else ():
            digest.update(file.name.encode() + file.read_bytes())
        if self.trusts_host and HOST_CERTIFICATES.exists():
            digest.update(HOST_CERTIFICATES.read_bytes())
        return digest.hexdigest()[:16]


def _user(name: str, home: str) -> str:
    """A hook that creates the user before the package would, with the uid that charts and volumes expect.

    That early no program for it is there yet, so the two lines are written by hand.
    """
    group, user = f"{name}:x:999:", f"{name}:x:999:999::{home}:/bin/bash"
    return f'echo {group} >> "$1"/etc/group && echo {user} >> "$1"/etc/passwd'


PYTHON = Recipe(
    image="docker.io/library/python:3.13-slim-trixie",
    packages=("python3", "python3-pip", "python3-venv", "ca-certificates"),
    config=ImageConfig(
        command=("python3",), env={"PATH": PATH, "LANG": "C.UTF-8", "PYTHON_VERSION": "3.13"}, labels=LABELS
    ),
    hooks=(
        # The official image lets pip install outside a virtual environment, and calls things python and pip.
        'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
        (
            'ln -s /usr/bin/python3 "$1"/usr/local/bin/python && ln -s /usr/bin/python3'
            ' "$1"/usr/local/bin/python3'
        ),
        'ln -s /usr/bin/pip3 "$1"/usr/local/bin/pip && ln -s /usr/bin/pip3 "$1"/usr/local/bin/pip3',
    ),
    trusts_host=True,
)

POSTGRES = Recipe(
    image="docker.io/library/postgres:17",
    packages=("postgresql-17", "postgresql-client-17"),
    config=ImageConfig(
        entrypoint=("rowlock-postgres",),
        command=("postgres",),
        env={
            "PATH": f"/usr/lib/postgresql/17/bin:{PATH}",
            "LANG": "C.UTF-8",
            "PGDATA": "/var/lib/postgresql/data",
        },
        ports=("5432/tcp",),
        volumes=("/var/lib/postgresql/data",),
        stop_signal="SIGINT",
        labels=LABELS,
    ),
    hooks=(
        'rm -rf "$1"/var/lib/postgresql/17 "$1"/etc/postgresql/17',
        'mkdir -p "$1"/docker-entrypoint-initdb.d',
        'chroot "$1" install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data',
        # Any user may put its socket here; the official image allows the same.
        'chroot "$1" install -d -o postgres -g postgres -m 3777 /var/run/postgresql',
        # Like the official image: reachable from outside the container unless told otherwise.
        (
            "sed -i \"s/^#listen_addresses = .*/listen_addresses = '*'/\""
            ' "$1"/usr/share/postgresql/17/postgresql.conf.sample'
        ),
    ),
    scripts="postgres",
    # The compiler behind PostgreSQL's JIT is half the image; without it PostgreSQL goes on without JIT.
    left_out=(
        "/usr/lib/*/libLLVM*",
        "/usr/lib/llvm-*",
        "/usr/lib/postgresql/17/lib/llvmjit*",
        "*/17/lib/bitcode/*",
    ),
)

REDIS = Recipe(
    image="docker.io/library/redis:8",
    packages=("redis-server", "redis-tools"),
    config=ImageConfig(
        entrypoint=("rowlock-redis",),
        command=("redis-server",),
        env={"PATH": PATH},
        working_folder="/data",
        ports=("6379/tcp",),
        volumes=("/data",),
        labels=LABELS,
    ),
    hooks=('chroot "$1" install -d -o redis -g redis /data',),
    scripts="redis",
)

# Users come before the packages are unpacked, hence as their own list of early hooks.
EARLY_HOOKS = {
    POSTGRES.image: (_user("postgres", "/var/lib/postgresql"),),
    REDIS.image: (_user("redis", "/var/lib/redis"),),
}

RECIPES = (PYTHON, POSTGRES, REDIS)


def with_python_version(recipe: Recipe, version: str) -> Recipe:
    """The recipe with the exact version that was installed in its environment, as the official image
    says it.
    """
    env = {**recipe.config.env, "PYTHON_VERSION": version}
    return replace(recipe, config=replace(recipe.config, env=env))
