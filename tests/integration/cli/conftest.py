"""The commands on a ledger with three queues."""

import pytest
from click.testing import CliRunner

from rowlock_cli.main import rowlock
from tests.integration.cli.stage import Invoke, Worker
from tests.services.postgres import connect


@pytest.fixture
def invoke(database: str, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.delenv("ROWLOCK_DATABASE_URL_FILE", raising=False)
    with connect(database) as cur:
        cur.execute(
            "insert into rowlock.queue(name) values ('demo/documents'), ('demo/mail'), ('other/mail')"
        )
    return lambda *words, url=database, answer=None: CliRunner().invoke(
        rowlock, [str(word) for word in words], env={"ROWLOCK_DATABASE_URL": url}, input=answer
    )


@pytest.fixture
def worker(database: str, invoke: Invoke) -> Worker:
    return Worker(database)


@pytest.fixture
def client_url(database: str) -> str:
    """The address of a login that has the role rowlock_client and nothing else."""
    with connect(database) as cur:
        cur.execute("select 1 from pg_roles where rolname = 'a_client'")
        if not cur.fetchone():
            cur.execute("create role a_client login in role rowlock_client")
    return database.replace("//postgres@", "//a_client@")
