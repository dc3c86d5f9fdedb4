"""The domain tables."""

import threading
from typing import Any

import pytest

from rowlock_jobs.work.migrate import DOMAINS, MigrationFailed, migrate
from tests.integration.work.ledger_attempt import worker_login
from tests.services.postgres import PostgresServer, connect

pytestmark = pytest.mark.integration
WHOLE = [DOMAINS.build]
DOCUMENTS = {"users", "groups", "workshop_documents", "workshop_chunks", "document_ingest_jobs"}
MONITORING = {
    "monitoring_processes",
    "monitoring_process_logins",
    "monitoring_process_prompts",
    "ai_comments",
    "prompt_templates",
} | {
    "mymoment_logins",
    "mymoment_sessions",
    "llm_provider_configurations",
}
TABLES = DOCUMENTS | MONITORING


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        cur.execute(statement)
        return list(cur.fetchall())


def test_tables_are_made_once_and_a_second_migration_does_nothing(database: str) -> None:
    assert migrate(database) == WHOLE
    assert {
        name for (name,) in rows(database, "select tablename from pg_tables where schemaname = 'public'")
    } == TABLES
    assert migrate(database) == []


def test_several_at_once_apply_everything_exactly_once(database: str) -> None:
    results: list[list[str]] = []
    failures: list[Exception] = []

    def one() -> None:
        try:
            results.append(migrate(database))
        except MigrationFailed as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert sorted(results) == [[], [], [], [], [], WHOLE]


def test_tables_that_exist_already_stay_exactly_as_they_are(database: str) -> None:
    with connect(database) as cur:
        cur.execute(
            "create table workshop_documents(id uuid primary key, group_id uuid, status text, unique (id,"
            " group_id))"
        )
        cur.execute("create table workshop_chunks(id int, document_id uuid, tsv text)")
    columns = (
        "select table_name, column_name, data_type, is_nullable, column_default from"
        " information_schema.columns where table_name in ('workshop_documents', 'workshop_chunks') order by"
        " 1, 2"
    )
    indexes = (
        "select indexname, indexdef from pg_indexes where tablename in ('workshop_documents',"
        " 'workshop_chunks') order by 1"
    )
    triggers = (
        "select tgname from pg_trigger where tgrelid in ('workshop_documents'::regclass,"
        " 'workshop_chunks'::regclass) and not tgisinternal"
    )
    before = [rows(database, statement) for statement in (columns, indexes, triggers)]
    migrate(database)
    assert [rows(database, statement) for statement in (columns, indexes, triggers)] == before


def test_a_failed_migration_changes_nothing_and_says_which_one(database: str) -> None:
    with connect(database) as cur:
        cur.execute("create table users(id text primary key)")
    with pytest.raises(MigrationFailed, match="documents failed: foreign key constraint"):
        migrate(database)
    assert rows(
        database, "select tablename from pg_tables where schemaname in ('public', 'rowlock_domain')"
    ) == [("users",)]


def test_an_address_that_does_not_answer_is_said_without_its_password() -> None:
    with pytest.raises(MigrationFailed, match="connecting failed") as failed:
        migrate("postgresql://somebody:hidden@127.0.0.1:1/none")
    assert "hidden" not in str(failed.value)


def test_the_worker_may_do_what_its_tasks_need_and_nothing_more(database: str) -> None:
    migrate(database)
    worker = worker_login(database)
    with connect(worker) as cur:
        cur.execute("select count(*) from workshop_documents")
        cur.execute("delete from workshop_chunks")
        for refused in (
            "select * from users",
            "delete from workshop_documents",
            "truncate workshop_chunks",
            "create table public.mine()",
        ):
            with pytest.raises(Exception, match="permission denied|must be owner"):
                cur.execute(refused)


def test_grants_come_with_a_later_migration_where_the_role_is_made_later(postgres: PostgresServer) -> None:
    url = postgres.new_database(ledger=False)
    with connect(url) as cur:
        cur.execute("select count(*) from pg_roles where rolname = 'rowlock_worker'")
        # roles belong to the whole server: another test may have made it
        assert cur.fetchone() in [(0,), (1,)]
    migrate(url)
    with connect(url) as cur:
        cur.execute("select 1 from pg_roles where rolname = 'rowlock_worker'")
        if not cur.fetchone():
            cur.execute("create role rowlock_worker nologin")
        cur.execute("revoke all on workshop_chunks from rowlock_worker")
    assert migrate(url) == []
    assert rows(url, "select has_table_privilege('rowlock_worker', 'workshop_chunks', 'insert')") == [(True,)]


def test_a_login_that_may_not_create_extensions_goes_on_without_trigrams(postgres: PostgresServer) -> None:
    url = postgres.new_database(ledger=False)
    with connect(url) as cur:
        cur.execute("select 1 from pg_roles where rolname = 'an_owner'")
        if not cur.fetchone():
            cur.execute("create role an_owner login")
        # pg_trgm is trusted: who may create in the database may create it. Here it may be made in no schema
        # that is left.
        cur.execute(
            "create schema rowlock_domain authorization an_owner; create schema monitoring authorization"
            " an_owner"
        )
        cur.execute("grant create on schema public to an_owner")
    assert migrate(url.replace("//postgres@", "//an_owner@")) == WHOLE
    assert rows(url, "select extname from pg_extension where extname = 'pg_trgm'") == []
    assert rows(url, "select 1 from pg_indexes where indexname = 'workshop_chunks_trigram'") == []


def test_a_login_with_a_schema_of_its_own_name_still_makes_the_tables_in_public(
    postgres: PostgresServer,
) -> None:
    url = postgres.new_database(ledger=False)
    with connect(url) as cur:
        cur.execute("create schema postgres")
    migrate(url)
    assert {
        name for (name,) in rows(url, "select tablename from pg_tables where schemaname = 'public'")
    } == TABLES
