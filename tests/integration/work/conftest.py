"""A database with ledger and domain tables, and a documents folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rowlock_jobs.work.migrate import migrate
from tests.services.postgres import connect


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    inside = tmp_path / "documents"
    inside.mkdir()
    monkeypatch.setenv("ROWLOCK_DOCUMENTS_DIR", str(inside))
    return inside


@pytest.fixture
def domain(database: str) -> str:
    """URL of a fresh database with the ledger and the domain tables, one user and one group."""
    migrate(database)
    with connect(database) as cur:
        cur.execute("insert into users(username, email) values ('ada', 'ada@example.org') returning id")
        cur.execute("insert into groups(user_id, name) values (%s, 'group')", (cur.fetchone()[0],))
    return database


@pytest.fixture
def upload(domain: str, folder: Path) -> Callable[[str, bytes], str]:
    """Puts a file into the folder and its row into the database; returns the id of the document."""

    def put(name: str, data: bytes) -> str:
        (folder / name).write_bytes(data)
        with connect(domain) as cur:
            cur.execute(
                "insert into workshop_documents(group_id, user_id, filename, size_bytes, sha256, storage_url)"
                " select g.id, g.user_id, %(name)s, %(size)s, encode(sha256(%(name)s::bytea), 'hex'),"
                " %(name)s from groups g limit 1 returning id::text",
                {"name": name, "size": len(data)},
            )
            return str(cur.fetchone()[0])

    return put
