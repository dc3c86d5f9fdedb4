"""HTTP sessions to the API server: one place for the token, the user agent and the connection limit."""

from collections.abc import Sequence

import aiohttp
from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse, hdrs

from rowlock_operator.cluster.credentials import Credentials

USER_AGENT = "rowlock-operator"


def open_session(
    credentials: Credentials,
    *,
    connections: int,
    timeout_seconds: float,
    middlewares: Sequence[ClientMiddlewareType] = (),
) -> aiohttp.ClientSession:
    """A session for the running event loop; the caller closes it. `connections` bounds what is in flight; 0:
    nothing does.
    """

    async def add_token(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        # Per request, not per session: a rotated token is used without losing the open watches.
        if credentials.token is not None:
            request.headers[hdrs.AUTHORIZATION] = f"Bearer {credentials.token()}"
        response = await handler(request)
        if response.status == 401 and credentials.token is not None:
            credentials.token.refused()
        return response

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections, ssl=credentials.tls if credentials.tls is not None else True
        ),
        headers={hdrs.USER_AGENT: USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(10.0, timeout_seconds)),
        middlewares=(add_token, *middlewares),
    )
