"""A dispatcher without Kubernetes as a process of its own, so that it shares an interpreter with nobody, as
it may in a cluster.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from rowlock_operator.dispatch.claimer import ClaimerSettings
from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.dispatch.feeder import FeederSettings
from tests.services.process import wait_until
from tests.services.rows import dispatching, order_plan
from tests.services.worker import ROOT


@contextlib.contextmanager
def dispatcher_process(url: str, redis_url: str, **options: Any) -> Iterator[int]:
    """Its process id, once it has its source. Options: `task`, `retry`, and fields of ClaimerSettings
    (`claimer`) and FeederSettings (`feeder`).
    """
    command = [sys.executable, "-m", "tests.bench.dispatcher", url, redis_url, json.dumps(options)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n", "the dispatcher did not start"
        yield process.pid
    finally:
        process.stdin.close()  # its sign to end
        wait_until(lambda: process.poll() is not None, "the dispatcher ends", 30)
        process.stdout.close()


def main(url: str, redis_url: str, options: dict[str, Any]) -> None:
    settings = DispatchSettings(
        claimer=ClaimerSettings(**options.get("claimer", {})),
        feeder=FeederSettings(**options.get("feeder", {})),
    )
    with dispatching(url, redis_url, settings=settings, retry=options.get("retry")) as running:
        running.source(order_plan(task=options.get("task", "stamp")))
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
