"""An address that can never be used: one line of the log at the start, which names the variable and no part
of the address.
"""

import json
from pathlib import Path

import pytest

from rowlock_jobs.__main__ import main

DATABASES = {
    "scheme of another database": "mysql://u:hunter2@h/d",
    "SQLAlchemy's scheme": "postgresql+psycopg2://u:hunter2@h/d",
    "one slash": "postgresql:/u:hunter2@h/d",
    "JDBC": "jdbc:postgresql://h/d?password=hunter2",
    "no host": "postgresql://u:hunter2@/d",
    "nothing but a scheme": "postgresql://",
    "words without a host": "dbname=d password=hunter2",
    "port out of range": "postgresql://u:hunter2@h:99999/d",
    "port 0": "postgresql://u:hunter2@h:0/d",
    "port that is no number": "host=h port=five password=hunter2",
    "more ports than hosts": "host=h,i port=1,2,3",
    "IPv6 without brackets": "postgresql://u:hunter2@::1/d",
    "bracket that is not closed": "postgresql://u:hunter2@[::1/d",
    "half an escape": "postgresql://u:hunter2%4@h/d",
    "escape that is none": "postgresql://u:hun%zzter2@h/d",
    "in quotes": '"postgresql://u:hunter2@h/d"',
    "words in quotes": "'host=h password=hunter2'",
    "word without a value": "host=h password=hunter2 dbname",
    "unknown option": "postgresql://u:hunter2@h/d?nonsense=1",
    "option of psycopg2's own": "postgresql://u:hunter2@h/d?async=1",
    "sslmode that is none": "postgresql://u:hunter2@h/d?sslmode=verify",
    "target_session_attrs that is none": "host=h password=hunter2 target_session_attrs=leader",
    "CA that is not there": "postgresql://u:hunter2@h/d?sslmode=verify-full&sslrootcert=/no/such/ca.crt",
    "CA that is none": f"postgresql://u:hunter2@h/d?sslrootcert={__file__}",
    "service that is nowhere": "service=none",
}
REDISES = {
    "scheme of the web": "http://:hunter2@h:6379",
    "no scheme": "h:6379",
    "no host": "redis://:hunter2@:6379/0",
    "nothing but a scheme": "redis://",
    "port out of range": "redis://:hunter2@h:65536/0",
    "database that is no number": "redis://:hunter2@h/zero",
    "database below 0": "redis://:hunter2@h/-1",
    "database that is no number, as an option": "redis://:hunter2@h?db=x",
    "several servers": "redis://:hunter2@a,b/0",
    "Sentinel": "redis+sentinel://:hunter2@h:26379/mymaster/0",
    "Cluster": "rediss+cluster://:hunter2@h/0",
    "IPv6 without brackets": "redis://:hunter2@::1/0",
    "half an escape": "redis://:hunter2%@h/0",
    "in quotes": "'redis://:hunter2@h/0'",
    "unknown option": "redis://:hunter2@h/0?nonsense=1",
    "option that changes answers": "redis://:hunter2@h/0?decode_responses=true",
    "option that is an object of redis-py": "redis://:hunter2@h/0?retry=3",
    "option with a wrong value": "redis://:hunter2@h/0?socket_timeout=soon",
    "TLS without rediss": f"redis://:hunter2@h/0?ssl_ca_certs={__file__}",
    "CA that is not there": "rediss://:hunter2@h/0?ssl_ca_certs=/no/such/ca.crt",
    "CA that is none": f"rediss://:hunter2@h/0?ssl_ca_certs={__file__}",
    "certificate that is not there": "rediss://:hunter2@h/0?ssl_certfile=/no/such.crt",
    "socket without a path": "unix://:hunter2@",
    "socket by a relative path": "unix://run/redis.sock",
}
FILES = {
    "not there": None,
    "empty": b"",
    "blank": b" \n\n",
    "no text": b"postgresql://u:hunter2\xff@h/d",
    "two addresses": b"postgresql://u:hunter2@h/d\npostgresql://u:hunter2@i/d\n",
    "prose": b"changeme",
}


def refusal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str = "run", **variables: str
) -> str:
    """The sentence with which the command refuses these variables."""
    values = {
        "QUEUE": "demo/jobs",
        "DATABASE_URL": "postgresql://u@h/d",
        "REDIS_URL": "redis://h/0",
        **variables,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"ROWLOCK_{name}", value)
    assert main([command]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["command"]) == ("settings_refused", "error", command)
    assert "hun" not in line
    return str(said["error"])


@pytest.mark.parametrize("url", DATABASES.values(), ids=DATABASES)
def test_an_address_of_the_database_that_can_never_be_used_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "ROWLOCK_DATABASE_URL" in refusal(monkeypatch, capfd, DATABASE_URL=url)


@pytest.mark.parametrize("url", REDISES.values(), ids=REDISES)
def test_an_address_of_redis_that_can_never_be_used_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "ROWLOCK_REDIS_URL" in refusal(monkeypatch, capfd, REDIS_URL=url)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize("variable", ["DATABASE_URL_FILE", "REDIS_URL_FILE"])
def test_a_file_that_holds_no_address_is_refused(
    content: bytes | None,
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    said = refusal(monkeypatch, capfd, **{variable: str(file)})
    assert f"ROWLOCK_{variable}" in said
    assert str(file) in said


@pytest.mark.parametrize("command", ["once", "migrate", "tick"])
def test_every_command_refuses_what_libpq_will_never_take(
    command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    more = {
        "RUN_ID": "01a206c0-25ec-7000-8000-000000000000",
        "ATTEMPT": "1",
        "TICK": "t",
        "TICK_SCHEDULE": "s",
        "TICK_TASK": "t",
    }
    said = refusal(
        monkeypatch, capfd, command, DATABASE_URL="postgresql://u:hunter2@h/d?sslmode=verify", **more
    )
    assert "ROWLOCK_DATABASE_URL" in said


@pytest.mark.parametrize(
    "url", ["redis+sentinel://h:26379/m", "sentinel://h", "redis://a,b/0", "redis-cluster://h"]
)
def test_sentinel_and_cluster_are_refused_by_their_names(
    url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "Redis Sentinel and Redis Cluster are not supported" in refusal(monkeypatch, capfd, REDIS_URL=url)
