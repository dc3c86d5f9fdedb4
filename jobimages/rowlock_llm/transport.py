"""One HTTP client for each endpoint, kept by the process. Import this lazily: it loads the HTTP library."""

from functools import cache

import httpx2

from rowlock_jobs.task import SiteError
from rowlock_web.fetch.transport import CheckedTransport


@cache
def http_client(
    scheme: str, host: str, port: int, *, allow_private: bool, max_response_bytes: int
) -> httpx2.Client:
    """A client for the life of the process, so that connections are kept; it knows no key.

    Redirects are not followed. Proxies of the environment are not used, because behind one the address that
    was checked would not be the one that is reached.
    """
    return httpx2.Client(
        transport=CheckedTransport(host, allow_private=allow_private, max_bytes=max_response_bytes),
        follow_redirects=False,
        trust_env=False,
        headers={"accept-encoding": "identity"},  # a packed answer may unpack to any size
        event_hooks={"response": [_refuse_packed]},
    )


def _refuse_packed(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise SiteError("LlmAnswerBroken", "the endpoint compresses its answer although it was asked not to")
