"""What a measure is. A module of this package is one if it has NAME, KEYS and `measure`; the order of running
is in `measures.py`.

A module may also say ROUNDS (rounds it is worth by default; 3 if absent), for one that takes minutes.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tests.services.postgres import PostgresServer, connect
from tests.services.redis import RedisServer

# The machine of the facts: what is compared must be set alike. fsync and synchronous_commit stay on.
POSTGRES_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}


@dataclass(frozen=True)
class Target:
    """One figure: what it is, its unit, which direction is good, and what is asked of it (None: nothing; it
    is there to compare with).
    """

    what: str
    unit: str
    better: Literal["lower", "higher"]
    at_least: float | None = None
    aim: float | None = None

    def met(self, value: float) -> bool | None:
        """Whether `at_least` is reached; None where nothing is asked."""
        if self.at_least is None:
            return None
        return value <= self.at_least if self.better == "lower" else value >= self.at_least


@dataclass(frozen=True)
class Bench:
    """What a measure gets: servers that nobody else uses, a folder that vanishes, and a way to say how far it
    is.

    `quick` asks for tiny sizes: the figures mean nothing then, but the code has run.
    """

    postgres: PostgresServer
    redis: RedisServer
    folder: Path
    say: Callable[[str], None]
    quick: bool = False

    @contextlib.contextmanager
    def database(self, *, ledger: bool = True) -> Iterator[str]:
        """URL of a fresh database, dropped afterwards, and an empty Redis beside it."""
        self.redis.flush()
        url = self.postgres.new_database(ledger)
        try:
            yield url
        finally:
            with connect(self.postgres.url()) as cur:
                cur.execute(f"drop database {url.rsplit('/', 1)[1]} with (force)")


class Measure(Protocol):
    """A module that measures; `measure` is one round and returns every key of KEYS."""

    NAME: str
    KEYS: dict[str, Target]

    def measure(self, bench: Bench) -> dict[str, float]: ...


@contextlib.contextmanager
def servers(say: Callable[[str], None], *, quick: bool = False) -> Iterator[Bench]:
    """A PostgreSQL and a Redis of one measure's own; ended afterwards."""
    postgres, redis = PostgresServer(POSTGRES_SETTINGS, durable=True), RedisServer()
    with tempfile.TemporaryDirectory(prefix="rowlock-bench-") as folder:
        try:
            yield Bench(postgres.start(), redis.start(), Path(folder), say, quick)
        finally:
            redis.stop()
            postgres.stop()


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def cores() -> int:
    return len(os.sched_getaffinity(0))
