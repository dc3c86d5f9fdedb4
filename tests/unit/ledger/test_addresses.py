"""Addresses out of Secrets: what is read, what is refused, and that an error never says any part of them."""

import traceback
from collections.abc import Iterator

import pytest

import rowlock_ledger.addresses as ours
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.pool import Pool
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.services.passwords import ODD_PASSWORDS, escaped, must_be_escaped, quoted, shows

PASSWORDS = pytest.mark.parametrize("password", ODD_PASSWORDS.values(), ids=ODD_PASSWORDS)


def everything_of(error: BaseException) -> str:
    """What any logger could make of an error: it, what it came from, and what was being handled."""
    chain: list[BaseException] = []

    def walk(one: BaseException | None) -> Iterator[str]:
        if one is not None and one not in chain:
            chain.append(one)
            yield from (str(one), repr(one), repr(one.args), *traceback.format_exception(one))
            yield from walk(one.__cause__)
            yield from walk(one.__context__)

    return "\n".join(walk(error))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("postgresql://u:p@h:5433/d", "user=u password=p host=h port=5433 dbname=d"),
        ("postgres://u@h/d\n", "user=u host=h dbname=d"),
        ("postgresql://", ""),
        ("postgresql:///d", "dbname=d"),
        (
            "postgresql://u@/d?host=/var/run/postgresql&port=6432",
            "user=u host=/var/run/postgresql port=6432 dbname=d",
        ),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/d", "host=/var/run/postgresql dbname=d"),
        (
            "postgresql://u:p@h1:5432,h2,[::1]:5434/d?target_session_attrs=read-write",
            "user=u password=p host=h1,h2,::1 port=5432,,5434 dbname=d target_session_attrs=read-write",
        ),
        (
            "postgresql://h?sslmode=verify-full&sslrootcert=/etc/ca.crt",
            "host=h sslmode=verify-full sslrootcert=/etc/ca.crt",
        ),
        ("postgresql://h/d?ssl=true", "host=h dbname=d sslmode=require"),
        ("postgresql://u:a%40b%2Fc%25d@h/e%2Ff", "user=u password=a@b/c%d host=h dbname=e/f"),
        ("postgresql://a%3Ab:c:d@h/d", "user=a:b password=c:d host=h dbname=d"),
        ("postgresql://u@h/d?password=x%2Fy", "user=u host=h dbname=d password=x/y"),
        (
            "host=h port = 5433 user=u password=p#/?@%zz dbname=d",
            "host=h port=5433 user=u password=p#/?@%zz dbname=d",
        ),
        ("host=h\nuser=u\n", "host=h user=u"),
    ],
)
def test_an_address_is_read_into_libpqs_parameters(text: str, wanted: str) -> None:
    pairs = [word.split("=", 1) for word in wanted.split()]
    assert dict(ours.read_database_address(text).parameters) == dict(pairs)


def test_values_with_spaces_and_quotes_are_read_as_libpq_reads_them() -> None:
    address = ours.read_database_address(r"host=h password='a \'b\\ c' options='-c geqo=off'")
    assert address.parameters == {"host": "h", "password": r"a 'b\ c", "options": "-c geqo=off"}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "h",
        "postgres:/u:p@h/d",
        "mysql://u:p@h/d",
        "postgresql+psycopg2://u:p@h/d",
        "jdbc:postgresql://h/d",
        "host h",
        "host=h user",
        "host='h",
        "host=h password='a'b",
        "host=h host=i",
        "host=h port=five",
        "postgresql://h:0/d",
        "postgresql://h:65536/d",
        "postgresql://h:five/d",
        "postgresql://h:5:6/d",
        "postgresql://[::1/d",
        "postgresql://::1/d",
        "postgresql://u@h/d?x",
        "postgresql://h/a/b",
        "postgresql://u@h/d?a=b=c",
        "postgresql://u@h/d?port=x",
        "postgresql://h/d?user=u&user=v",
        "postgresql://h/d#x",
        "postgresql://u:\x01@h/d",
        "postgresql://u:\udcff@h/d",
        "postgresql://h/\ufffd",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ours.AddressMalformed):
        ours.read_database_address(text)


@PASSWORDS
def test_a_password_is_read_as_it_is_meant_or_refused_without_a_part_of_it(password: str) -> None:
    for form in ("postgresql://app:{}@db.example:5432/shop", "redis://:{}@db.example:6379/0"):
        read = ours.read_database_address if form.startswith("postgresql") else ours.read_redis_address
        if must_be_escaped(password):
            with pytest.raises(ours.AddressMalformed, match="%2F for /") as refused:
                read(form.format(password))
            assert not shows(everything_of(refused.value))
        address = read(form.format(escaped(password) if must_be_escaped(password) else password))
        login = address.parameters if isinstance(address, ours.DatabaseAddress) else address.login
        assert login["password"] == password
        assert not shows(repr(address)), "a log line of it"
    assert (
        ours.read_database_address(f"host=db user=app password={quoted(password)}").parameters["password"]
        == password
    )


@PASSWORDS
def test_what_speaks_to_the_servers_says_secret_malformed_and_no_part_of_it(password: str) -> None:
    if not must_be_escaped(password):
        return
    for make, url in (
        (Pool, f"postgresql://app:{password}@127.0.0.1:1/shop"),
        (RedisQueues, f"redis://:{password}@127.0.0.1:1/0"),
    ):
        with pytest.raises(GiveUp) as refused:
            make(url)
        assert refused.value.reason == "SecretMalformed"
        assert "%2F for /" in str(refused.value)
        assert not shows(everything_of(refused.value))


@pytest.mark.parametrize(
    ("text", "url", "login"),
    [
        ("redis://h", "redis://h", {}),
        ("redis://:p@h:6380/2", "redis://h:6380/2", {"password": "p"}),
        (
            "rediss://u:p%2Fq@[::1]:6380/0?ssl_cert_reqs=none",
            "rediss://[::1]:6380/0?ssl_cert_reqs=none",
            {"username": "u", "password": "p/q"},
        ),
        ("unix://:p@/run/redis.sock?db=1", "unix:///run/redis.sock?db=1", {"password": "p"}),
        ("redis://h/0?password=p%26q&protocol=2", "redis://h/0?protocol=2", {"password": "p&q"}),
    ],
)
def test_an_address_of_redis_is_read_into_server_and_login(
    text: str, url: str, login: dict[str, str]
) -> None:
    address = ours.read_redis_address(text)
    assert (address.url, address.login) == (url, login)


@pytest.mark.parametrize(
    "text",
    ["h:6379", "redis:/h", "redis://h:x/0", "redis://h/x", "redis://a,b/0", "redis://h/0?x", "http://h/"],
)
def test_what_is_no_address_of_redis_is_refused(text: str) -> None:
    with pytest.raises(ours.AddressMalformed):
        ours.read_redis_address(text)


@pytest.mark.parametrize(
    ("make", "url"),
    [
        (Pool, "postgresql://h/d?nonsense=1"),
        (Pool, "host=h dsn=x"),
        (RedisQueues, "redis://h/0?nonsense=1"),
        (RedisQueues, "redis://h/0?db=x"),
    ],
)
def test_an_option_that_nobody_knows_is_refused_before_anything_is_opened(make: type, url: str) -> None:
    with pytest.raises(GiveUp, match="option that") as refused:
        make(url)
    assert refused.value.__context__ is None


def test_redis_answer_to_an_unknown_command_loses_its_arguments() -> None:
    answer = "ERR unknown command 'AUTH', with args beginning with: 'default' 'hunter2'"
    assert ours.without_arguments(answer) == "ERR unknown command 'AUTH'"
