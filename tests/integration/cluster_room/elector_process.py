"""A candidate in a process of its own, to be killed: python -m tests.integration.cluster_room.elector_process
KUBECONFIG NAMESPACE NAME.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

from rowlock_operator.cluster.credentials import load_kubeconfig
from rowlock_operator.cluster.lease import Elector
from rowlock_operator.cluster.lease_store import KubeLease, lease_client


async def lead() -> None:
    await asyncio.Event().wait()


async def main(kubeconfig: str, namespace: str, name: str) -> None:
    async with lease_client(load_kubeconfig(Path(kubeconfig))) as client:
        print("stands", flush=True)  # what is measured afterwards is no start of an interpreter
        task = asyncio.create_task(
            Elector(KubeLease(client, namespace, "rowlock-operator"), name, lead).run()
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
