"""Addresses of databases and of Redis, as Secrets hold them: read once, strictly, into their parts.

Libraries are handed the parts, never the text: what they make of a broken address (a host, a port, a
fragment) holds pieces of its password, and they quote it in their errors. For the same reason no error here
says any part of an address, or carries a library's error with it. In a URL everything is what RFC 3986 says:
the first / ? or # ends the part with the password, so one that stands there unescaped is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

DATABASE_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
REDIS_FORM = "redis://USER:PASSWORD@HOST:PORT/NUMBER"
UNSUPPORTED_ENCODING = (
    "its encoding is SQL_ASCII, in which nothing says which characters its bytes are; make one with ENCODING"
    " 'UTF8' (pg_dump --encoding says what the old bytes are)"
)
_POSTGRES = ("postgresql://", "postgres://")
_REDIS = ("redis://", "rediss://", "unix://")
_ONE_SERVER = (
    "Redis Sentinel and Redis Cluster are not supported: name one server, such as a Service that leads to the"
    " master"
)
# Of redis-py's arguments those that say how to reach a server; others would change what its answers are made
# of.
# fmt: off
_REDIS_OPTIONS = frozenset({
    "db", "protocol", "client_name", "socket_timeout", "socket_connect_timeout", "socket_keepalive",
    "socket_read_size", "health_check_interval", "max_connections", "retry_on_timeout",
    "ssl_keyfile", "ssl_certfile", "ssl_password", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path",
    "ssl_ca_data", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers",
})
# fmt: on
_NEITHER = (
    f"it is neither a URL such as {DATABASE_FORM} nor libpq's key=value words, or a value with a space has no"
    " quotes"
)
_ESCAPE = "user or password hold a / ? # [ ] or a space that is not percent-encoded"
# One word of libpq's other form: spaces around = count for nothing, a value is quoted or ends at a space, \
# takes the next as it is.
_WORD = re.compile(
    r"\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?)(?=\s|$)", re.DOTALL
)
_OPTION = re.compile(r"[a-z_]+")
_PORT = re.compile(r"[0-9]{1,5}")


class AddressMalformed(ValueError):
    """The address cannot be read. The text says why and what to do, and holds no part of the address."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}; write %40 for @, %2F for /, %3A for :, %3F for ?, %23 for # and %25 for % in user and"
            " password"
        )
        self.why = why


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """`parameters` are libpq's connection parameters; `name` is what may be shown."""

    name: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`url` names the server, without user and password; those are in `login`, as redis-py's arguments.
    `name` is what may be shown.
    """

    name: str
    url: str = field(repr=False)
    login: Mapping[str, str] = field(repr=False)


def read_database_address(text: str) -> DatabaseAddress:
    """From postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE or libpq's key=value words. Raises
    AddressMalformed.
    """
    text = _clean(text)
    prefix = next((prefix for prefix in _POSTGRES if text.startswith(prefix)), None)
    parameters = _words(text) if prefix is None else _postgres_url(text.removeprefix(prefix))
    for port in parameters.get("port", "").split(","):
        _checked_port(port)
    user, database = parameters.get("user", "?"), parameters.get("dbname", "?")
    host = parameters.get("host") or parameters.get("hostaddr") or "localhost"
    return DatabaseAddress(
        _printable(f"{user}@{host}:{parameters.get('port') or 5432}/{database}"), parameters
    )


def read_redis_address(text: str) -> RedisAddress:
    """From redis://USER:PASSWORD@HOST:PORT/NUMBER, rediss:// or unix://. Raises AddressMalformed."""
    text = _clean(text)
    prefix = next((prefix for prefix in _REDIS if text.startswith(prefix)), None)
    if prefix is None:
        scheme = text.partition("://")[0].lower()
        several = "sentinel" in scheme or "cluster" in scheme
        raise AddressMalformed(_ONE_SERVER if several else f"it is no URL such as {REDIS_FORM}")
    login, place, path, query = _split(text.removeprefix(prefix))
    options = _options(query)
    for name, key in (("user", "username"), ("password", "password")):
        given = options.pop(key, None) or login.get(name)
        if given:
            login[name] = given
    if not options.keys() <= _REDIS_OPTIONS:
        raise AddressMalformed("it has an option that is not one of " + ", ".join(sorted(_REDIS_OPTIONS)))
    if prefix != "rediss://" and any(option.startswith("ssl_") for option in options):
        raise AddressMalformed("it has an option that belongs to TLS, which begins with rediss://")
    if not re.fullmatch(r"[0-9]{0,6}", options.get("db", "")):
        raise AddressMalformed("it has an option that is no number of a database: db")
    if prefix == "unix://":
        if place or len(path) < 2:
            raise AddressMalformed(
                "it names no socket: the path of one begins with a /, as in unix:///run/redis.sock?db=0"
            )
        name = path
    else:
        hosts = _hosts(place)
        if len(hosts) != 1:
            raise AddressMalformed(f"it names several servers. {_ONE_SERVER}")
        _checked_port(hosts[0][1])
        if not hosts[0][0]:
            raise AddressMalformed(f"it names no host, as {REDIS_FORM} does")
        if not re.fullmatch(r"(/[0-9]{0,6})?", path):
            raise AddressMalformed(
                f"what follows the / after the host is no number of a database, or {_ESCAPE}"
            )
        name, path = place, f"{place}{path}"
    asked = "&".join(f"{key}={value}" for key, value in _raw_options(query) if key in options)
    url = f"{prefix}{path}" + (f"?{asked}" if asked else "")
    renamed = {"username" if key == "user" else key: value for key, value in login.items() if value}
    return RedisAddress(_printable(name), url, renamed)


def _clean(text: str) -> str:
    """Without what surrounds it in a file; read with errors="replace", it has U+FFFD where it is no text."""
    text = text.lstrip("\ufeff").strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        raise AddressMalformed("it stands in quotes, which belong to it here")
    if "\ufffd" in text:
        raise AddressMalformed("it is no text in UTF-8")
    if any("\ud800" <= letter <= "\udfff" or (not letter.isspace() and ord(letter) < 32) for letter in text):
        raise AddressMalformed("it holds a character that cannot be in an address")
    return text


def _words(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    at = 0
    while at < len(text):
        word = _WORD.match(text, at)
        if word is None:
            raise AddressMalformed(_NEITHER)
        key, quoted, plain = word.groups()
        _put(
            parameters,
            key,
            re.sub(r"\\(.)", r"\1", quoted if quoted is not None else plain or "", flags=re.DOTALL),
        )
        at = word.end()
    return parameters


def _postgres_url(rest: str) -> dict[str, str]:
    login, place, path, query = _split(rest)
    hosts = _hosts(place)
    parameters = {**login, "dbname": _database(path)}
    if any(host for host, _ in hosts):
        parameters["host"] = ",".join(host for host, _ in hosts)
    if any(port for _, port in hosts):
        parameters["port"] = ",".join(port for _, port in hosts)
    # As in libpq, an option says it more exactly than the place does.
    parameters |= _options(query)
    if parameters.pop("ssl", "") == "true":  # as JDBC writes it
        parameters["sslmode"] = "require"
    return {key: value for key, value in parameters.items() if value}


def _split(rest: str) -> tuple[dict[str, str], str, str, str]:
    """What follows the scheme: user and password, the place as written, path, query."""
    if rest.count("@") > 1:
        raise AddressMalformed("it has more than one @")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and "@" not in authority:
        raise AddressMalformed(_ESCAPE)
    login, _, place = authority.rpartition("@")
    if re.search(r"[\s\[\]]", login) or re.search(r"\s", rest) or "#" in rest:
        raise AddressMalformed(_ESCAPE)
    user, _, password = login.partition(":")
    path, _, query = rest[len(authority) :].partition("?")
    parts = {"user": _decoded(user), "password": _decoded(password)}
    return {key: value for key, value in parts.items() if value}, place, path, query


def _hosts(place: str) -> list[tuple[str, str]]:
    """Each host with its port, "" where there is none."""
    hosts = []
    for one in place.split(","):
        found = re.fullmatch(r"(?:\[([0-9A-Za-z:.%_~-]+)\]|([^:\[\]]*))(?::([^:]*))?", one)
        if found is None:
            raise AddressMalformed(
                f"its host cannot be read (an IPv6 address stands in brackets), or {_ESCAPE}"
            )
        bracketed, plain, port = found.groups()
        hosts.append((_decoded(bracketed or plain or ""), port or ""))
    return hosts


def _database(path: str) -> str:
    name = path.removeprefix("/")
    if re.search(r"[/:]", name):
        raise AddressMalformed(
            f"the name of the database holds a / or : that is not percent-encoded, or {_ESCAPE}"
        )
    return _decoded(name)


def _raw_options(query: str) -> list[tuple[str, str]]:
    pairs = []
    for part in query.split("&") if query else []:
        key, equals, value = part.partition("=")
        if not equals or not _OPTION.fullmatch(key) or re.search(r"[?=]", value):
            raise AddressMalformed(f"what follows the ? is not OPTION=VALUE, joined by &, or {_ESCAPE}")
        pairs.append((key, value))
    return pairs


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for key, value in _raw_options(query):
        _put(options, key, _decoded(value))
    return options


def _put(into: dict[str, str], key: str, value: str) -> None:
    if key in into:
        raise AddressMalformed("an option is given twice, or a value with a space has no quotes")
    into[key] = value


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise AddressMalformed("a % is not followed by two hexadecimal digits")
    plain = unquote(text)  # what is no UTF-8 becomes U+FFFD: an error of Python's would carry the text
    if "\0" in plain or "\ufffd" in plain:
        raise AddressMalformed("what is percent-encoded in it is no text in UTF-8")
    return plain


def _checked_port(port: str) -> None:
    if port and not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
        raise AddressMalformed(f"its port is no number from 1 to 65535, or {_ESCAPE}")


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:200]


# What libpq says of a connection that failed -> what we say of it. Its own words stay with it: they quote
# whatever it took for a host.
_CAUSES = (
    ("password authentication failed", "password authentication failed"),
    ("no password supplied", "no password supplied"),
    ("no pg_hba.conf entry", "no pg_hba.conf entry on the server for this user, database and address"),
    ("pg_hba.conf rejects", "no pg_hba.conf entry on the server lets this user, database and address in"),
    ("authentication failed", "password authentication failed"),
    ("not permitted to log in", "the role is not permitted to log in"),
    ("permission denied for database", "the role may not connect to this database"),
    ("no such database", "the database does not exist"),
    ("no such user", "the role does not exist"),
    ("starting up", "the database system is starting up"),
    ("shutting down", "the database system is shutting down"),
    ("recovery mode", "the database system is in recovery mode"),
    ("not accepting connections", "the database system is not accepting connections"),
    ("too many c", "too many connections are open already"),
    ("connection slots", "too many connections are open already"),
    ("not translate host name", "the host name is not known"),
    ("Connection refused", "connection refused: is the server up, and are host and port right?"),
    ("timeout expired", "no answer within the time allowed"),
    ("timed out", "no answer within the time allowed"),
    ("No route to host", "no route to the host"),
    ("Network is unreachable", "the network is unreachable"),
    ("Connection reset", "the connection was closed while it was made"),
    ("closed the connection unexpectedly", "the server closed the connection while it was made"),
    ("No such file or directory", "there is no such socket or file"),
    ("Permission denied", "a socket or file may not be read"),
    ("does not support SSL", "the server does not speak SSL, which sslmode asks for"),
    ("certificate verify failed", "the server's certificate is not to be trusted by sslrootcert"),
    ("certificate", "the certificates of one side do not fit: see sslmode, sslrootcert, sslcert and sslkey"),
    ("SSL", "the two sides do not agree on SSL: see sslmode"),
    ("session is read-only", "no server of the list is one that target_session_attrs asks for"),
    ("standby mode", "no server of the list is one that target_session_attrs asks for"),
    ("could not parse network address", "hostaddr is no address of the Internet"),
    ("conversion between", "the encoding of the database has no conversion to UTF8"),
    ("unrecognized configuration parameter", "options names a parameter that the server does not know"),
    ("invalid", "an option of the address has a value that libpq does not take"),
)
# Those that another login would not meet.
_LOGIN = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "the role",
    "the database does not exist",
)
_MISSING = re.compile(r"(database|role) \".*\" does not exist")


def cause_of(library_text: str) -> str:
    """Why a connection could not be made, in words that hold nothing of the address."""
    missing = _MISSING.search(library_text)
    if missing:
        return f"the {missing.group(1)} does not exist"
    return next(
        (told for words, told in _CAUSES if words in library_text),
        "no connection could be made, and the server's log may say why",
    )


def refuses_login(cause: str) -> bool:
    """Whether a cause (of cause_of) says that the server is there and does not let this user into this
    database.
    """
    return cause.startswith(_LOGIN)


def without_arguments(redis_text: str) -> str:
    """What Redis answered. A server that does not know AUTH quotes its arguments, and with them the
    password.
    """
    return redis_text.split(", with args", maxsplit=1)[0]
