"""A reverse proxy before a real API server that can swallow watches while everything else is answered (a load
balancer that forgot a stream), and let chosen requests wait.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from rowlock_operator.cluster.credentials import Credentials

_HOP_BY_HOP = {
    "host",
    "connection",
    "transfer-encoding",
    "content-length",
    "content-encoding",
    "accept-encoding",
}


class ApiProxy:
    """`credentials` lead through it, in plain HTTP."""

    def __init__(self, behind: Credentials) -> None:
        self._behind = behind
        self._age = 0
        self.looks_since_cut = 0
        self.swallows_watches = False
        self.holds: Callable[[web.Request], bool] = lambda _request: False
        self.credentials = behind

    def cut_streams_silently(self) -> None:
        """No open watch brings anything any more, and none is closed; new ones work."""
        self._age += 1
        self.looks_since_cut = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        while self.holds(request):
            await asyncio.sleep(0.02)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = f"{self._behind.server}{request.rel_url}"
        watch, age = request.query.get("watch") == "true", self._age
        self.looks_since_cut += request.method == "GET"
        tls: ssl.SSLContext | bool = self._behind.tls if self._behind.tls is not None else True
        if watch:
            await self._swallow(age)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.request(
                request.method, url, data=await request.read() or None, headers=headers, ssl=tls
            ) as found:
                response = web.StreamResponse(
                    status=found.status,
                    headers={"Content-Type": found.headers.get("Content-Type", "text/plain")},
                )
                await response.prepare(request)
                async for chunk in found.content.iter_any():
                    if watch:
                        await self._swallow(age)
                    await response.write(chunk)
                await response.write_eof()
        return response

    async def _swallow(self, age: int) -> None:
        """Says nothing for as long as watches are swallowed; for ever on a stream that was cut."""
        while self.swallows_watches or age != self._age:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def api_proxy(behind: Credentials) -> AsyncIterator[ApiProxy]:
    proxy = ApiProxy(behind)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server = f"http://127.0.0.1:{runner.addresses[0][1]}"
        proxy.credentials = Credentials(server, None, behind.namespace, behind.token)
        yield proxy
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await runner.cleanup()
