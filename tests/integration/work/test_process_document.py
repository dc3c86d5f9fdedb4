"""process_document against a real ledger and real tables, as a worker login."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rowlock_jobs.work.documents  # noqa: F401 - registers the task
from rowlock_jobs.work.migrate import DOMAINS
from tests.integration.work.ledger_attempt import QUEUE, LedgerAttempt, enqueue, worker_login
from tests.services.postgres import connect
from tests.unit.work.written_pdf import written_pdf
from tools.inputs.broken import KINDS
from tools.inputs.pdfs import chosen_pdfs

pytestmark = pytest.mark.integration
Upload = Callable[[str, bytes], str]


def attempt_for(url: str, document_id: object) -> LedgerAttempt:
    return LedgerAttempt(url, enqueue(url, "process_document", {"document_id": document_id, "job_id": 1}))


def rows(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        cur.execute(statement, values)
        return list(cur.fetchall())


def document(url: str, document_id: str) -> tuple[Any, ...]:
    return rows(url, "select status, pages, error from workshop_documents where id = %s", document_id)[0]


def chunks(url: str, document_id: str) -> list[tuple[Any, ...]]:
    return rows(
        url,
        "select page, chunk_index, content from workshop_chunks where document_id = %s order by chunk_index",
        document_id,
    )


def failure(url: str, run_id: str) -> tuple[Any, ...]:
    return rows(
        url, "select state, failure->>'class', failure->>'reason' from rowlock.run where id = %s", run_id
    )[0]


def test_a_document_becomes_ready_with_its_chunks_and_its_words_are_found(
    domain: str, upload: Upload
) -> None:
    text = "\n".join(["The quick foxes were jumping."] * 200)
    document_id = upload("a.pdf", written_pdf(["Cover", "", text]))
    attempt = attempt_for(domain, document_id)
    outcome, state = attempt.perform()
    assert (outcome.kind, state) == ("succeeded", "succeeded"), outcome
    assert outcome.result is not None
    assert rows(domain, "select result from rowlock.run where id = %s", attempt.run.id)[0][0] == {
        "pages": 3, "pages_without_text": [2], "pages_without_text_count": 1, "chunks": 4,
    }  # fmt: skip
    assert document(domain, document_id) == ("ready", 3, None)
    assert [(page, index, len(content)) for page, index, content in chunks(domain, document_id)][:3] == [
        (1, 0, 5),
        (3, 1, 3000),
        (3, 2, 3000),
    ]
    assert rows(
        domain,
        "select count(*) from workshop_chunks where tsv @@ websearch_to_tsquery('english', 'fox jump')",
    ) == [(3,)]
    assert attempt.reports == [{"done": n, "total": 3} for n in (1, 2, 3)]


def test_the_same_text_on_two_pages_is_kept_twice(domain: str, upload: Upload) -> None:
    document_id = upload("a.pdf", written_pdf(["same words", "same words"]))
    attempt_for(domain, document_id).perform()
    assert [(page, content.strip()) for page, _, content in chunks(domain, document_id)] == [
        (1, "same words"),
        (2, "same words"),
    ]


def test_a_second_ingest_of_a_changed_file_leaves_nothing_of_the_first(
    domain: str, upload: Upload, folder: Path
) -> None:
    document_id = upload("a.pdf", written_pdf(["old one", "old two"]))
    attempt_for(domain, document_id).perform()
    (folder / "a.pdf").write_bytes(written_pdf(["new"]))
    for _ in range(2):
        assert attempt_for(domain, document_id).perform()[1] == "succeeded"
    assert [content.strip() for _, _, content in chunks(domain, document_id)] == ["new"]
    assert document(domain, document_id) == ("ready", 1, None)


def lose(attempt: LedgerAttempt) -> None:
    """The worker is given up, and the run waits for its next attempt."""
    with connect(attempt.url) as cur:
        cur.execute("select rowlock.goodbye_v1(%s)", (attempt.runner,))


def test_what_a_stale_attempt_wrote_vanishes_with_its_refused_finish(domain: str, upload: Upload) -> None:
    document_id = upload("a.pdf", written_pdf(["words"]))
    attempt = attempt_for(domain, document_id)
    attempt.before_finish = lambda: lose(attempt)
    outcome, state = attempt.perform()
    assert (outcome.kind, state) == ("succeeded", None)
    assert (document(domain, document_id), chunks(domain, document_id)) == (("queued", None, None), [])


def test_without_the_fence_the_stale_attempts_writes_would_stay(domain: str, upload: Upload) -> None:
    """The negative twin: the same attempt, committed although the fence refused."""
    document_id = upload("a.pdf", written_pdf(["words"]))
    attempt = attempt_for(domain, document_id)

    def lose_and_commit() -> None:
        attempt._transaction.commit()
        lose(attempt)

    attempt.before_finish = lose_and_commit
    assert attempt.perform()[1] is None
    assert document(domain, document_id)[0] == "ready"


def test_a_late_verdict_of_a_lost_attempt_does_not_undo_what_a_newer_one_wrote(
    domain: str, upload: Upload, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = upload("a.pdf", written_pdf([""]))
    attempt = attempt_for(domain, document_id)
    report = attempt.progress

    def overtaken(progress_json: str) -> None:
        """While this attempt reads the scanned version, somebody uploads a better one and a newer attempt
        ingests it.
        """
        report(progress_json)
        lose(attempt)
        (folder / "a.pdf").write_bytes(written_pdf(["words"]))
        assert LedgerAttempt(domain, attempt.run.id).perform()[1] == "succeeded"

    monkeypatch.setattr(attempt, "progress", overtaken)
    outcome, state = attempt.perform()
    assert (outcome.reason, state) == ("NoText", None)
    assert document(domain, document_id) == ("ready", 1, None)


def test_a_document_without_any_text_is_an_error_and_never_ready_with_no_chunks(
    domain: str, upload: Upload
) -> None:
    document_id = upload("a.pdf", written_pdf(["", ""]))
    attempt = attempt_for(domain, document_id)
    attempt.perform()
    assert failure(domain, attempt.run.id) == ("dead", "input", "NoText")
    assert document(domain, document_id) == (
        "error",
        None,
        "no text found on any of 2 pages; OCR is not supported yet",
    )


EXPECTED = {
    "zero-bytes": "Empty",
    "truncated": "Truncated",
    "damaged": "Damaged",
    "not-a-pdf": "NotPdf",
    "encrypted": "Encrypted",
    "images-only": "NoText",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_file_ends_the_run_at_once_with_its_own_reason_in_the_documents_row(
    kind: str, domain: str, upload: Upload, folder: Path, tmp_path: Path
) -> None:
    document_id = upload("a.pdf", b"")
    KINDS[kind](chosen_pdfs(120)[30], folder / "a.pdf")
    attempt = attempt_for(domain, document_id)
    attempt.perform()
    assert failure(domain, attempt.run.id) == ("dead", "input", EXPECTED[kind])
    status, _, error = document(domain, document_id)
    assert (status, len(error) > 20) == ("error", True)


def test_a_missing_file_and_another_store_are_written_into_the_documents_row(
    domain: str, upload: Upload, folder: Path
) -> None:
    first, second = upload("a.pdf", b""), upload("b.pdf", b"")
    (folder / "a.pdf").unlink()
    with connect(domain) as cur:
        cur.execute(
            "update workshop_documents set storage_url = 's3://bucket/b.pdf' where id = %s", (second,)
        )
    reasons = []
    for document_id in (first, second):
        attempt = attempt_for(domain, document_id)
        attempt.perform()
        reasons.append(failure(domain, attempt.run.id)[2])
        assert document(domain, document_id)[0] == "error"
    assert reasons == ["Missing", "StorageNotSupported"]


@pytest.mark.parametrize(
    ("document_id", "reason"),
    [
        (None, "BadArguments"),
        ("17", "BadArguments"),
        ("'; drop table users; --", "BadArguments"),
        ("00000000-0000-0000-0000-000000000000", "DocumentGone"),
    ],
)
def test_an_argument_that_names_no_document_is_the_rows_fault(
    document_id: object, reason: str, domain: str
) -> None:
    attempt = attempt_for(domain, document_id)
    attempt.perform()
    assert failure(domain, attempt.run.id) == ("dead", "input", reason)


def test_a_canceled_run_stops_between_pages_and_leaves_the_document_as_it_was(
    domain: str, upload: Upload
) -> None:
    document_id = upload("a.pdf", written_pdf(["words"] * 20))
    attempt = attempt_for(domain, document_id)
    attempt.cancel_after = 3
    outcome, state = attempt.perform()
    assert (outcome.kind, state, len(attempt.reports)) == ("canceled", "canceled", 3)
    assert (document(domain, document_id), chunks(domain, document_id)) == (("queued", None, None), [])


def test_a_missing_volume_is_tried_again_and_not_the_documents_error(
    domain: str, upload: Upload, folder: Path
) -> None:
    document_id = upload("a.pdf", written_pdf(["words"]))
    folder.rename(folder.with_name("away"))
    attempt = attempt_for(domain, document_id)
    attempt.perform()
    assert failure(domain, attempt.run.id)[:2] == ("pending", "app")
    assert document(domain, document_id)[0] == "queued"


def test_a_users_own_tables_with_other_types_and_the_old_dedupe_are_filled_too(
    database: str, folder: Path
) -> None:
    """Group ids are text here, tsv comes from a trigger, ids from a sequence, and the dedupe key lacks the
    page.
    """
    with connect(database) as cur:
        cur.execute(
            "create table workshop_documents(id uuid primary key, group_id text, status text, pages int,"
            " error text, storage_url text);create table workshop_chunks(id bigserial primary key,"
            " document_id uuid, group_id text, page int, chunk_index int, content text, token_count int, tsv"
            " tsvector, content_sha char(64), constraint workshop_chunk_dedupe unique (document_id,"
            " chunk_index, content_sha));create trigger tsv before insert on workshop_chunks for each row"
            " execute function tsvector_update_trigger(tsv, 'pg_catalog.english', content);grant select,"
            " update on workshop_documents to rowlock_worker;grant select, insert, delete on workshop_chunks"
            " to rowlock_worker;grant usage on sequence workshop_chunks_id_seq to rowlock_worker;insert into"
            " workshop_documents(id, group_id, storage_url) values ('11111111-1111-1111-1111-111111111111',"
            " 'team blue', 'a.pdf')"
        )
    (folder / "a.pdf").write_bytes(written_pdf(["same words", "same words"]))
    outcome, state = attempt_for(database, "11111111-1111-1111-1111-111111111111").perform()
    assert state == "succeeded", outcome
    assert rows(database, "select page, group_id, tsv @@ 'word' from workshop_chunks order by id") == [
        (1, "team blue", True),
        (2, "team blue", True),
    ]


def test_real_documents_of_all_sizes_are_ingested_whole(domain: str, upload: Upload) -> None:
    sources = chosen_pdfs(120)
    for source in (sources[0], sources[60], sources[110]):
        document_id = upload(source.name, source.read_bytes())
        outcome, state = attempt_for(domain, document_id).perform()
        assert state == "succeeded", (source.name, outcome)
        status, pages, _ = document(domain, document_id)
        found = chunks(domain, document_id)
        assert status == "ready"
        assert {page for page, _, _ in found} <= set(range(1, pages + 1))
        assert [index for _, index, _ in found] == list(range(len(found)))


def test_the_worker_command_ingests_a_document_with_all_fences(
    domain: str, upload: Upload, folder: Path, tmp_path: Path
) -> None:
    source = chosen_pdfs(120)[40]
    document_id = upload(source.name, source.read_bytes())
    run_id = enqueue(domain, "process_document", {"document_id": document_id})
    rows(domain, "select id from rowlock.round_v1(array(select id from rowlock.queue), array[1])")
    environment = {
        **os.environ,
        "ROWLOCK_DATABASE_URL": worker_login(domain),
        "ROWLOCK_REDIS_URL": "redis://127.0.0.1:1/0",  # one attempt alone needs no Redis
        "ROWLOCK_QUEUE": QUEUE,
        "ROWLOCK_IMPORTS": "rowlock_jobs.work.documents",
        "ROWLOCK_TASKS": "process_document",
        "ROWLOCK_RUN_ID": run_id,
        "ROWLOCK_ATTEMPT": "1",
        "ROWLOCK_ALIVE_FILE": str(tmp_path / "alive"),
    }
    command = [sys.executable, "-m", "rowlock_jobs", "once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert rows(domain, "select state, (result->>'chunks')::int from rowlock.run where id = %s", run_id) == [
        ("succeeded", len(chunks(domain, document_id)))
    ]
    assert document(domain, document_id)[0] == "ready"


def test_the_migrate_command_of_the_worker_makes_the_tables(database: str) -> None:
    environment = {**os.environ, "ROWLOCK_DATABASE_URL": database}
    done = subprocess.run(
        [sys.executable, "-m", "rowlock_jobs", "migrate"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{DOMAINS.build}\n"), done.stderr
