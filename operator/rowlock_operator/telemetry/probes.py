"""The small web server for kubelet and Prometheus: /livez, /readyz, /metrics."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from aiohttp import web

from rowlock_operator.telemetry.metrics import CONTENT_TYPE, Metrics

log = logging.getLogger("rowlock.probes")

Probe = Callable[[], tuple[bool, str]]
"""Answers at once (no waiting, no I/O) with (ok, reason)."""


class ProbeServer(AbstractAsyncContextManager["ProbeServer"]):
    """Serves while its `async with` block runs. A path is ok when all of its probes are; the reply names
    every probe with its reason.
    """

    def __init__(
        self,
        *,
        metrics: Metrics,
        live: Mapping[str, Probe],
        ready: Mapping[str, Probe],
        port: int,
        host: str | None = None,
    ) -> None:
        self._metrics, self._wanted_port, self._host = metrics, port, host
        self._probes = {"/livez": live, "/readyz": ready}
        self._failing: set[tuple[str, str]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port in use (the one given, or a free one where 0 was given); only while serving."""
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    async def __aenter__(self) -> "ProbeServer":
        app = web.Application()
        app.add_routes([web.get(path, self._answer) for path in self._probes])
        app.add_routes([web.get("/metrics", self._scrape)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._wanted_port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        answers = {name: _ask(probe) for name, probe in self._probes[request.path].items()}
        self._log_changes(request.path, answers)
        ok = all(fine for fine, _ in answers.values())
        lines = "".join(
            f"[{'+' if fine else '-'}] {name}: {reason}\n" for name, (fine, reason) in answers.items()
        )
        return web.Response(text=lines or "ok\n", status=200 if ok else 503)

    async def _scrape(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    def _log_changes(self, path: str, answers: Mapping[str, tuple[bool, str]]) -> None:
        # kubelet throws the body of a failed probe away, so the reason goes to the log: once, not every ten
        # seconds.
        for name, (fine, reason) in answers.items():
            if fine:
                self._failing.discard((path, name))
            elif (path, name) not in self._failing:
                self._failing.add((path, name))
                log.warning("probe_failed", extra={"path": path, "probe": name, "reason": reason})


def _ask(probe: Probe) -> tuple[bool, str]:
    try:
        return probe()
    except Exception as error:  # noqa: BLE001 - a probe that cannot answer is a failed probe, not a broken server
        return False, f"the probe itself failed: {error}"
