"""The client of Redis: bounded in its waits, and each new connection is made by the address as its Secret
holds it now.
"""

import logging
import ssl
from typing import Any
from weakref import WeakSet

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from rowlock_jobs import logs
from rowlock_jobs.errors import SettingsError, TransportAway
from rowlock_jobs.secret_files import Address, Secret, current
from rowlock_ledger.addresses import AddressMalformed, read_redis_address, without_arguments

SOCKET_SECONDS = 3.0
_CONNECT_SECONDS = 2.0
# What a server says that is there and will never serve -> what to do.
_UNSUITABLE = (
    (
        "unknown command",
        (
            "this is a Redis Sentinel or no Redis; name the Redis itself, such as a Service that leads to the"
            " master"
        ),
    ),
    ("MOVED ", "a Redis Cluster is not supported; name one server that is no part of a cluster"),
    ("CROSSSLOT", "a Redis Cluster is not supported; name one server that is no part of a cluster"),
    ("DB index is out of range", "this Redis has fewer databases; name a lower number after the last /"),
)


def connect_redis(address: Address) -> "redis.Redis":
    """A client without retries of its own: nothing may hold the parent longer than its lease allows. Opens
    nothing.

    Raises AddressMalformed for a text that is none, SettingsError for an option that redis-py does not know
    or a file that is not there.
    """
    return redis.Redis.from_pool(_AddressPool(address))


class RedisUnsuitable(TransportAway):
    """What answers is no Redis that holds queues; another address is needed."""


def new_connection(pool: "redis.ConnectionPool") -> Any:
    """A connection beside the pool, not opened: what a pool makes counts against its max_connections for
    ever.
    """
    if isinstance(pool, _AddressPool):
        pool.follow()
    return pool.connection_class(**pool.connection_kwargs)


def away(error: Exception, pool: "redis.ConnectionPool") -> TransportAway:
    """Our error for a connection that could not be made, and a line of the log where it was for its login."""
    said = without_arguments(str(error))
    hint = next((hint for words, hint in _UNSUITABLE if words in said), "")
    text = f"Redis cannot be reached: {said}" + (f": {hint}" if hint else "")
    if isinstance(pool, _AddressPool):
        text += f" (the address is that of {pool.variable})"
    if refuses_login(error):
        logs.emit(logs.LOGIN_REFUSED, logging.WARNING, store="redis", error=text)
    return RedisUnsuitable(text) if hint else TransportAway(text)


def refuses_login(error: Exception) -> bool:
    """Whether Redis is there and does not take our user and password."""
    return isinstance(error, AuthenticationError) or str(error).startswith(("WRONGPASS", "NOAUTH"))


class _AddressPool(redis.ConnectionPool):
    """redis-py's pool, which reads the address again before each connection that it makes or hands out."""

    def __init__(self, address: Address) -> None:
        self._address, self._text, self._told = address, current(address), ""
        self._outdated: WeakSet[Any] = WeakSet()  # lent when the address changed
        super().__init__(**_options(self._text, self.variable))

    @property
    def variable(self) -> str:
        """Where a person finds the address."""
        return self._address.variable if isinstance(self._address, Secret) else "the address of Redis"

    def get_connection(self, *arguments: Any, **options: Any) -> Any:
        self.follow()
        return super().get_connection(*arguments, **options)

    def release(self, connection: Any) -> None:
        """Takes a lent connection back; one of an earlier address is not lent again."""
        if connection in self._outdated:
            connection.disconnect()
            with self._lock:
                self._in_use_connections.discard(connection)
                self._created_connections -= 1
            return
        super().release(connection)

    def follow(self) -> None:
        """Takes over a changed address. What is connected stays so: the new login may not be valid yet, or
        the old one still be.
        """
        try:
            text = current(self._address)
            if text == self._text:
                return
            changed = redis.ConnectionPool(**_options(text, self.variable))
        except SettingsError as error:  # half written, or gone for a moment: what we know may still do
            if self._told != str(error):
                self._told = str(error)
                logs.emit(logs.SETTINGS_REFUSED, logging.WARNING, error=self._told)
            return
        self._text, self._told = text, ""
        self.connection_class, self.connection_kwargs = changed.connection_class, changed.connection_kwargs
        with self._lock:
            idle, self._available_connections = self._available_connections, []
            self._created_connections -= len(idle)
            self._outdated.update(self._in_use_connections)
        for connection in idle:
            connection.disconnect()


def _options(text: str, variable: str) -> dict[str, Any]:
    """redis-py's arguments; ours win over those that stand in a URL, because the worker's lease depends on
    them. Raises SettingsError.
    """
    try:
        address = read_redis_address(text)
        options: dict[str, Any] = {
            **parse_url(address.url),  # type: ignore[no-untyped-call]
            **address.login,
            "decode_responses": False,
            "encoding": "utf-8",
            "encoding_errors": "surrogateescape",  # ids are whatever somebody pushed
            "max_connections": 100,
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": _CONNECT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "health_check_interval": 0,
        }
        if "path" not in options:
            options["socket_keepalive"] = True
        # not opened: it refuses what this library does not know
        redis.ConnectionPool(**options).make_connection()
        why = _unusable_file(options)
    except AddressMalformed:  # a ValueError, but one that says why
        raise
    except (redis.RedisError, TypeError, ValueError):
        why = "it has an option that redis-py does not know, or with a value that it does not take"
    if why:
        # Outside of the handlers: an error that stays behind as the context of ours would carry what it
        # quotes.
        raise SettingsError(f"{variable} cannot be used: {why}")
    return options


def _unusable_file(options: dict[str, Any]) -> str:
    """Which of the files for TLS is none, "" where all are; found at the start rather than at each
    connection.
    """
    context = ssl.create_default_context()
    try:
        option = "ssl_ca_certs"
        if options.get(option):
            context.load_verify_locations(options[option])
        option = "ssl_certfile or ssl_keyfile"
        if options.get("ssl_certfile"):
            context.load_cert_chain(
                options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password")
            )
        return ""
    except OSError as error:  # also ssl.SSLError, whose own words name no reason that a person knows
        why = (
            "is no certificate or key in PEM"
            if isinstance(error, ssl.SSLError)
            else f"cannot be read: {error.strerror}"
        )
        return f"the file that {option} names {why}"
