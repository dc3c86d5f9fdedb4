"""A small typed client of the Kubernetes API: plain objects in, plain objects and our errors out."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import aiohttp

from rowlock_operator.api.labels import FIELD_MANAGER
from rowlock_operator.api.manifest import Kind, Manifest
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.in_flight import InFlightLimit
from rowlock_operator.cluster.replies import Call, TlsRefused, denied, error_of, patience_seconds
from rowlock_operator.cluster.server_clock import ServerClock
from rowlock_operator.cluster.session import open_session
from rowlock_operator.cluster.tls import RereadContext, tls_refused
from rowlock_operator.errors import AlreadyExists, ApiUnavailable, Conflict, NotFound, RetryLater

JSON = "application/json"
APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# also what is no HTTP, and a proxy's redirect to nowhere
CONNECT_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)

Observe = Callable[[str, str, str, float], None]
"""Told of every request: verb, plural, HTTP status (or "error"), seconds."""


@dataclass(frozen=True)
class ClientSettings:
    """Bounds of one client."""

    request_timeout_seconds: float = 30.0
    """A whole request; the API server itself gives up after 60 s, and a caller's retry is cheaper than a long
    hang.
    """
    connections: int = 20
    """Calls in flight at once: 20 connections create some 340 objects a second, more only burden the server.
    Watches have their own, and so have calls that take longer than seconds: what hangs in one webhook holds
    up nobody else's.
    """
    patience_seconds: float = 10.0
    """How long one call may wait in all when the server answers 429 or 503 with Retry-After, before the
    caller is told. 0: each call is sent, whatever another one was answered; for a caller whose own pace is
    slow enough.
    """
    page_size: int = 200
    """Objects a list page: some ten times its text in memory while it is read, and a pod's memory does not
    shrink again.
    """
    watch_seconds: int = 600
    """The server ends a watch after this long; it is then continued where it was."""
    silence_seconds: float = 70.0
    """A watch without a byte for this long is opened again where it was; bookmarks come every minute or
    two.
    """


def _ignore(_verb: str, _plural: str, _status: str, _seconds: float) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Page:
    """Objects of one page of a list, and the list's resource version."""

    items: list[Manifest]
    resource_version: str


@dataclass(frozen=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK (then `object` has only its resource version)."""

    type: str
    object: Manifest

    @property
    def resource_version(self) -> str:
        return str(self.object["metadata"]["resourceVersion"])


class KubeClient(AbstractAsyncContextManager["KubeClient"]):
    """One connection pool; use as `async with KubeClient(credentials) as kube`. Every method raises the
    errors of replies.py.
    """

    def __init__(
        self, credentials: Credentials, settings: ClientSettings | None = None, observe: Observe = _ignore
    ) -> None:
        self.credentials = credentials
        self.settings = settings or ClientSettings()
        self._observe = observe
        self.clock = ServerClock()
        self._session: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = (
            None  # a watch keeps its connection: many would leave none for the calls
        )
        self._in_flight = InFlightLimit(self.settings.connections)
        self._quiet_until = float("-inf")  # one 429 silences the whole pool, not only its own call
        self._tls = credentials.tls

    async def __aenter__(self) -> "KubeClient":
        self._session = open_session(
            self.credentials, connections=0, timeout_seconds=self.settings.request_timeout_seconds
        )
        self._streams = open_session(
            self.credentials, connections=0, timeout_seconds=self.settings.request_timeout_seconds
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sessions, self._session, self._streams = (self._session, self._streams), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """The object; raises NotFound."""
        return await self._call(Call("get", kind, namespace, name), "GET")

    async def find(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """The object, or None where it does not exist."""
        try:
            return await self.get(kind, namespace, name)
        except NotFound:
            return None

    async def list_pages(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        page_size: int | None = None,
    ) -> AsyncGenerator[Page, None]:
        """All objects, page by page; `namespace` None means every namespace. Raises WatchExpired where a page
        token grew too old.
        """
        params = {
            "limit": str(page_size or self.settings.page_size),
            **_selector(label_selector, field_selector),
        }
        call = Call("list", kind, namespace)
        while True:
            reply = await self._call(
                call, "GET", params=params, accept=METADATA_ONLY if metadata_only else JSON
            )
            metadata = reply.get("metadata") or {}
            items = reply.get("items") or []
            for item in items:  # a list leaves these out of its items
                item.setdefault("apiVersion", kind.api_version)
                item.setdefault("kind", kind.kind)
            yield Page(items, str(metadata.get("resourceVersion", "")))
            if not metadata.get("continue"):
                return
            params = {**params, "continue": metadata["continue"]}

    async def list(self, kind: Kind, namespace: str | None, *, label_selector: str = "") -> list[Manifest]:  # noqa: A003
        """All objects at once; for few objects."""
        return [
            item
            async for page in self.list_pages(kind, namespace, label_selector=label_selector)
            for item in page.items
        ]

    async def present_version(self, kind: Kind, namespace: str | None) -> str:
        """The version that a list has now: what a watch may go on from is not higher, unless etcd was
        restored from a backup.
        """
        async with aclosing(self.list_pages(kind, namespace, metadata_only=True, page_size=1)) as pages:
            return (await anext(pages)).resource_version

    async def watch(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        resource_version: str,
        label_selector: str = "",
        on_open: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Events after `resource_version` until the server ends the stream, or says nothing for
        `silence_seconds` (then continue from the last one seen). `on_open` is told when the server has
        accepted the watch. Raises WatchExpired (list again) or ApiUnavailable (try again).
        """
        call = Call("watch", kind, namespace)
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(self.settings.watch_seconds),
            **_selector(label_selector),
        }
        # No total limit: a watch is long. Silence is what tells a dead connection (a load balancer drops it
        # without a word).
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=10.0, sock_read=self.settings.silence_seconds
        )
        started = time.monotonic()
        opened = False
        try:
            async with _opened(self._streams).get(
                self._url(call), params=params, timeout=timeout, ssl=self._tls or True
            ) as response:
                self._observe(call.verb, kind.plural, str(response.status), time.monotonic() - started)
                self.clock.note(response.headers.get("Date"))
                if response.status >= 400:
                    body = await _body(response)
                    raise error_of(
                        call,
                        response.status,
                        body,
                        patience_seconds(response.headers.get("Retry-After"), body),
                    )
                opened = True
                on_open()
                async with aclosing(_lines(response)) as lines:
                    async for line in lines:
                        yield _event(call, line)
        except TimeoutError as error:
            if not opened:
                raise ApiUnavailable(
                    f"{call}: the API server took the connection and did not answer"
                ) from error
        except CONNECT_ERRORS as error:
            kind_of = TlsRefused if tls_refused(error) else ApiUnavailable
            raise kind_of(f"{call}: the stream broke ({_why(error)}); it will be opened again") from error

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Server-side apply with our field manager, forced and strict; returns the object as it is now."""
        metadata = manifest["metadata"]
        call = Call("patch", kind, metadata["namespace"], metadata["name"])
        params = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        return await self._call(call, "PATCH", params=params, body=manifest, content_type=APPLY)

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Creates; raises AlreadyExists where the name is taken."""
        call = Call("create", kind, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._call(call, "POST", params=params, body=manifest)

    async def create_once(self, kind: Kind, manifest: Manifest) -> tuple[Manifest, bool]:
        """Creates, or returns what is there under that name: (object, created by this call). A repeated call
        is harmless; the caller checks that an object found is its own (label or owner).
        """
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        try:
            return await self.create(kind, manifest), True
        except AlreadyExists:
            found = await self.find(kind, namespace, name)
        except (
            Conflict
        ) as error:  # of what the creation touches beside the object, such as the count of a ResourceQuota
            raise RetryLater(str(error)) from error
        if found is None:
            raise RetryLater(f"create {kind.kind}/{namespace}/{name}: the name was taken, and is free now")
        return found, False

    async def replace(self, kind: Kind, manifest: Manifest) -> Manifest:
        """PUT of the whole object; with a resourceVersion in it, raises Conflict where somebody else was
        faster.
        """
        call = Call("update", kind, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        return await self._call(call, "PUT", params={"fieldManager": FIELD_MANAGER}, body=manifest)

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, propagation: str = "Background", uid: str = ""
    ) -> bool:
        """Deletes; False where it was gone already. With `uid`, raises Conflict where the name now belongs to
        another object.
        """
        body: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._call(Call("delete", kind, namespace, name), "DELETE", body=body)
        except NotFound:
            return False
        return True

    async def merge_patch(
        self, kind: Kind, namespace: str, name: str, patch: Manifest, *, subresource: str = ""
    ) -> Manifest:
        """Merge patch of an object or of one of its subresources; returns the object."""
        call = Call("patch", kind, namespace, name, subresource)
        return await self._call(
            call, "PATCH", params={"fieldManager": FIELD_MANAGER}, body=patch, content_type=MERGE
        )

    async def patch_status(self, kind: Kind, namespace: str, name: str, status: Manifest) -> Manifest:
        """Merge patch of the status (a field is removed by null); returns the object, for the caller's
        cache.
        """
        return await self.merge_patch(kind, namespace, name, {"status": status}, subresource="status")

    async def get_scale(self, kind: Kind, namespace: str, name: str) -> int:
        """The replicas asked for through the scale subresource."""
        reply = await self._call(Call("get", kind, namespace, name, "scale"), "GET")
        return int((reply.get("spec") or {}).get("replicas", 0))

    async def patch_scale(self, kind: Kind, namespace: str, name: str, replicas: int) -> None:
        """Sets the replicas through the scale subresource; a policy for the kind itself does not see it."""
        await self.merge_patch(kind, namespace, name, {"spec": {"replicas": replicas}}, subresource="scale")

    def _url(self, call: Call) -> str:
        name = "" if call.verb == "create" else call.name  # a POST goes to the collection
        return self.credentials.server + call.kind.path(call.namespace, name, call.subresource)

    async def _call(
        self,
        call: Call,
        method: str,
        *,
        params: dict[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Manifest:
        headers = {"Accept": accept, "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        give_up_at = time.monotonic() + self.settings.patience_seconds
        while True:
            await self._wait_out_the_pause(give_up_at, call)
            started = time.monotonic()
            status = "error"
            try:
                request = partial(
                    _opened(self._session).request,
                    params=params,
                    data=data,
                    headers=headers,
                    ssl=self._tls or True,
                )
                async with self._in_flight.slot(), request(method, self._url(call)) as response:
                    status = str(response.status)
                    self.clock.note(response.headers.get("Date"))
                    reply = await _body(response)
                    asked = patience_seconds(response.headers.get("Retry-After"), reply)
            except CONNECT_ERRORS as error:
                kind_of = TlsRefused if tls_refused(error) else ApiUnavailable
                raise kind_of(
                    f"{call}: the API server at {self.credentials.server} did not answer ({_why(error)})"
                ) from error
            finally:
                self._observe(call.verb, call.kind.plural, status, time.monotonic() - started)
            if response.status < 400:
                return _object(call, reply)
            if response.status == 401 and isinstance(self._tls, RereadContext):
                # a client's certificate is shown with the connection: the next call makes one of its own
                self._tls = self._tls.anew()
            # A refused request was not carried out, so repeating is safe for every verb; a timeout is not
            # repeated here. A webhook's denial silences nobody: it speaks of this object, others may pass.
            if (
                response.status not in (429, 503)
                or asked is None
                or denied(reply)
                or not self.settings.patience_seconds
            ):
                raise error_of(call, response.status, reply, asked)
            self._quiet_until = max(self._quiet_until, time.monotonic() + asked)
            if self._quiet_until > give_up_at:
                raise error_of(call, response.status, reply, asked)

    async def _wait_out_the_pause(self, give_up_at: float, call: Call) -> None:
        while (pause := self._quiet_until - time.monotonic()) > 0:
            if self._quiet_until > give_up_at:
                raise ApiUnavailable(
                    f"{call}: not sent, the API server asked for {pause:.1f} s of patience", pause
                )
            await asyncio.sleep(pause)


def _opened(session: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
    if session is None:
        raise ApiUnavailable("the Kubernetes client is closed: use it inside its `async with` block")
    return session


def _selector(labels: str, fields: str = "") -> dict[str, str]:
    return ({"labelSelector": labels} if labels else {}) | ({"fieldSelector": fields} if fields else {})


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def _body(response: aiohttp.ClientResponse) -> Any:
    raw = await response.read()
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        return raw.decode(errors="replace")


def _object(call: Call, reply: Any) -> Manifest:
    if not isinstance(reply, dict):
        raise ApiUnavailable(
            f"{call}: the reply is not a JSON object; is {call.kind.api_version} served by a proxy?"
        )
    return reply


async def _lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Whole lines of any length: aiohttp's own line reader refuses lines over 128 KiB, which objects may
    have.
    """
    rest = bytearray()
    async for chunk in response.content.iter_any():
        rest += chunk
        *lines, tail = rest.split(b"\n") if b"\n" in chunk else (rest,)
        for line in lines:
            if line:
                yield bytes(line)
        rest = bytearray(tail)


def _event(call: Call, line: bytes) -> WatchEvent:
    try:
        raw = json.loads(line)
        event = WatchEvent(str(raw["type"]), raw["object"])
    except (ValueError, KeyError, TypeError) as error:
        raise ApiUnavailable(
            f"{call}: a line of the stream is no watch event; it will be opened again"
        ) from error
    if event.type == "ERROR":
        raise error_of(call, int(event.object.get("code") or 500), event.object)
    return event
