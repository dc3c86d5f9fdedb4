"""One login's way to one site: cookies, pace, limits and the meaning of an HTTP answer. Sends each request
once.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Literal, Protocol

import httpx2

from rowlock_jobs.task import InputError, SiteError
from rowlock_web.errors import PostUnknown, SessionExpired, not_found
from rowlock_web.fetch.bounded import AnswerTooLong, AnswerTooSlow, NotUnpackable, gunzipped
from rowlock_web.fetch.cookies import Cookies, exported, fill
from rowlock_web.fetch.page import Page, redirect_target
from rowlock_web.fetch.retry_after import retry_after
from rowlock_web.fetch.transport import CheckedTransport

MAX_REDIRECTS = 5
MAX_BYTES = 5_000_000
"""Of one answer, packed or unpacked; the largest page of the known sites has 200 kB."""
_REDIRECTS = {"GET": (301, 302, 303, 307, 308), "POST": (301, 302, 303)}
"""307 and 308 ask for the same form again, elsewhere: not done."""
_DEFAULT_HOLD_SECONDS = 60.0
_MAX_HOLD_SECONDS = 3600.0


class Gate(Protocol):
    """The pace that all pods share, and the right to go on at all."""

    def acquire(self) -> None:
        """Called before each request; waits for its turn, and raises where the process was stopped."""

    def hold(self, seconds: float) -> None:
        """The site asked everybody to wait that long."""


class Fetcher:
    """Keeps connections alive between requests; close it, or use it in a `with` block. Not for two threads at
    once.
    """

    def __init__(
        self,
        base_url: str,
        gate: Gate,
        cookies: Cookies | None = None,
        *,
        timeout_seconds: float = 30.0,
        allow_private: bool = False,
        contact: str = "",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`contact`, an address or URL, tells the site's people whom to ask. Raises InputError BadBaseUrl."""
        self.base_url = _checked_base(base_url)
        self.csrf = cookies.csrf if cookies else None
        self._gate = gate
        self._max_bytes = max_bytes
        agent = f"Rowlock/{version('rowlock')}" + (f" (+{contact})" if contact else "")
        self._client = httpx2.Client(
            transport=CheckedTransport(
                httpx2.URL(base_url).host,
                allow_private=allow_private,
                max_bytes=max_bytes,
                max_seconds=timeout_seconds,
            ),
            trust_env=False,
            timeout=timeout_seconds,
            headers={
                "User-Agent": agent,
                "Accept": "*/*",
                "Accept-Encoding": "gzip",
            },
        )
        if cookies:
            fill(self._client.cookies.jar, cookies)

    @property
    def cookies(self) -> Cookies:
        return exported(self._client.cookies.jar, self.csrf)

    def accept_language(self, header: str) -> None:
        """The languages that the site is asked for from now on, as the header of that name writes them."""
        self._client.headers["Accept-Language"] = header

    def forget_cookies(self) -> None:
        self._client.cookies.clear()
        self.csrf = None

    def get(self, path: str = "", params: Mapping[str, str] | None = None) -> Page:
        """A page, after at most 5 redirects on the same host.

        Raises SessionExpired (401, 403), SiteError (RateLimited, SiteAway, TooLarge, BadRedirect...),
        InputError NotFound, AddressRefused.
        """
        url = httpx2.URL(self.base_url).join(path)
        page = self._send("GET", str(url.copy_merge_params(params) if params else url))
        for _ in range(MAX_REDIRECTS):
            if page.location is None:
                return page
            page = self._send("GET", page.location)
        if page.location is None:
            return page
        raise SiteError(
            "BadRedirect", f"{httpx2.URL(self.base_url).host} redirects more than {MAX_REDIRECTS} times"
        )

    def post(self, path: str, fields: Mapping[str, str], *, referer: str) -> Page:
        """Sends a form ONCE and follows nothing: where the answer is a redirect, `location` says so.

        Raises PostUnknown where the form was sent and no readable answer came; any other error means that it
        was not taken.
        """
        return self._send("POST", str(httpx2.URL(self.base_url).join(path)), fields, referer)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(
        self,
        method: Literal["GET", "POST"],
        url: str,
        fields: Mapping[str, str] | None = None,
        referer: str | None = None,
    ) -> Page:
        where = _without_query(url)
        request = self._client.build_request(
            method, url, data=fields, headers={"Referer": referer} if referer else None
        )
        self._gate.acquire()
        try:
            response = self._client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise SiteError("SiteAway", f"no connection to {where}: {type(error).__name__}") from error
        except httpx2.HTTPError as error:
            raise _lost(method, where, error) from error
        try:
            body = self._read(response, where)
        except (httpx2.HTTPError, SiteError) as error:
            raise _lost(method, where, error) from error
        finally:
            response.close()
        return self._judged(response, body, method, url)

    def _read(self, response: httpx2.Response, where: str) -> bytes:
        """The whole body, unpacked. Raises SiteError TooLarge, SiteAway, BadAnswer; httpx2's errors."""
        packing = response.headers.get("Content-Encoding", "identity").lower()
        try:
            body = b"".join(response.iter_raw())
            if packing == "identity":
                return body
            if packing == "gzip":
                return gunzipped(body, max_bytes=self._max_bytes)
        except AnswerTooLong as error:
            raise SiteError("TooLarge", f"the answer of {where} is {error}") from error
        except AnswerTooSlow as error:
            raise SiteError("SiteAway", f"the answer of {where} was {error}") from error
        except NotUnpackable as error:
            raise SiteError("BadAnswer", f"the answer of {where} cannot be unpacked") from error
        raise SiteError(
            "BadAnswer", f"{where} answers in the encoding {packing[:20]!r}, which was not asked for"
        )

    def _judged(
        self, response: httpx2.Response, body: bytes, method: Literal["GET", "POST"], url: str
    ) -> Page:
        status, where = response.status_code, _without_query(url)
        if status == 429:
            seconds = _hold_seconds(response.headers.get("Retry-After"))
            self._gate.hold(seconds)
            raise SiteError("RateLimited", f"{where} asks to wait {seconds:g} s", after_seconds=seconds)
        if status in (401, 403):
            raise SessionExpired(f"{where} answers {status}: log in again")
        if status in (404, 410):
            raise not_found(where)
        if status in _REDIRECTS[method]:
            try:
                target = redirect_target(url, response.headers.get("Location", ""))
            except SiteError as error:
                if method == "POST":
                    raise PostUnknown(
                        f"{where} was sent a form; its answer is a broken redirect: {error}"
                    ) from error
                raise
            return Page(url, status, body, location=target)
        if status >= 500:
            if method == "POST":
                raise PostUnknown(
                    f"{where} was sent a form and answers {status}: it may have been taken all the same"
                )
            header = response.headers.get("Retry-After")
            raise SiteError(
                "SiteAway",
                f"{where} answers {status}",
                after_seconds=_hold_seconds(header) if header else None,
            )
        if status != 200:
            raise SiteError("BadAnswer", f"{where} answers {status}")
        return Page(url, status, body, content_type=response.headers.get("Content-Type"))


def _checked_base(base_url: str) -> str:
    try:
        url = httpx2.URL(base_url)
    except (httpx2.InvalidURL, TypeError):
        raise InputError(
            "BadBaseUrl", "the site's base URL cannot be read; write it as https://host"
        ) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InputError(
            "BadBaseUrl", "the site's base URL must begin with https:// or http:// and name a host"
        )
    if url.userinfo:
        raise InputError(
            "BadBaseUrl", "the site's base URL holds a user name or password; put them into a Secret"
        )
    return base_url


def _without_query(url: str) -> str:
    """An address for messages: a query may hold what a user typed."""
    return str(httpx2.URL(url).copy_with(query=None, fragment=None))


def _hold_seconds(header: str | None) -> float:
    """What a Retry-After header asks for, between 1 and 3,600 s; 60 where it says nothing."""
    asked = retry_after(header, datetime.now(UTC))
    return _DEFAULT_HOLD_SECONDS if asked is None else min(max(asked, 1.0), _MAX_HOLD_SECONDS)


def _lost(method: str, where: str, error: Exception) -> SiteError:
    """No readable answer. Of the library only the kind of its error is told: nobody checked its text for
    secrets.
    """
    why = str(error) if isinstance(error, SiteError) else type(error).__name__
    if method == "POST":
        return PostUnknown(f"{where} was sent a form and gave no readable answer: {why}")
    return error if isinstance(error, SiteError) else SiteError("SiteAway", f"{where} did not answer: {why}")
