"""Of the first act: real PDF files, as rows of document_ingest_jobs, become searchable chunks."""

import hashlib
import io
import json
import sys
import tarfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from tools.demo.session import Session, follow, run, say
from tools.inputs.archive import cache_folder
from tools.inputs.broken import truncated

COUNT = 120
GOOD_AS = "quarterly-report.pdf"


@dataclass(frozen=True)
class Pdf:
    """A file as the corpus' manifest lists it."""

    name: str
    size: int
    sha256: str
    pages: int


def fetch(folder: Path) -> list[Pdf]:
    """The corpus, from the smallest to the largest file."""
    run([sys.executable, "-m", "tools.inputs.pdfs", str(folder), "--count", str(COUNT)])
    listed = json.loads((folder / "manifest.json").read_text())
    entries = listed["files"] if isinstance(listed, dict) else listed
    return [Pdf(e["name"], e["bytes"], e["sha256"], e["pages"]) for e in entries]


def corpus_folder() -> Path:
    return cache_folder() / f"demo-{COUNT}"


def document_id(name: str) -> str:
    """The same file has the same id in every run of the demo."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"rowlock-demo/{name}"))


def load(session: Session, folder: Path, pdfs: list[Pdf]) -> None:
    """Files into the folder that worker pods read, rows into the application's tables."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for pdf in pdfs:
            tar.add(folder / pdf.name, arcname=pdf.name)
    session.kubectl(
        "exec", "-i", "demo-loader", "--", "tar", "-x", "-C", "/documents", data=archive.getvalue()
    )
    values = ",\n".join(
        f"('{document_id(p.name)}', 1, 1, '{p.name}', {p.size}, '{p.sha256}', '/data/documents/{p.name}')"
        for p in pdfs
    )
    session.psql(f"""
        insert into users(id, username, email) values (1, 'demo', 'demo@example.test') on conflict do nothing;
        insert into groups(id, user_id, name) values (1, 1, 'demo') on conflict do nothing;
        delete from document_ingest_jobs; delete from workshop_documents;
        insert into workshop_documents(id, group_id, user_id, filename, size_bytes, sha256, storage_url)
          values {values};
        insert into document_ingest_jobs(document_id) select id from workshop_documents;
        """)


def ingest(session: Session, pdfs: list[Pdf]) -> float:
    """Waits for all of them, telling how far they are; seconds from the first row to the last chunk."""

    def progress() -> tuple[bool, str]:
        counts = dict(session.psql("select status, count(*) from document_ingest_jobs group by 1"))
        chunks = session.number("select count(*) from workshop_chunks")
        done, failed = int(counts.get("done", 0)), int(counts.get("error", 0))
        waiting = len(pdfs) - done - failed
        line = f"documents {done}/{len(pdfs)} ready, {waiting} to go, {failed} failed; {chunks:,} chunks"
        return done + failed >= len(pdfs), line

    return follow("ingest of documents", progress, deadline_seconds=900)


def dead_letter(session: Session, folder: Path, pdfs: list[Pdf]) -> dict[str, object]:
    """A truncated upload ends as a dead letter that says why; the file is replaced, the run requeued. Returns
    what was seen.
    """
    good = folder / pdfs[len(pdfs) // 2].name
    bad = folder.parent / "truncated.pdf"
    truncated(good, bad)
    identity = document_id(GOOD_AS)
    _put(session, bad)
    digest = hashlib.sha256(b"demo" + good.read_bytes()).hexdigest()
    session.psql(
        f"""insert into workshop_documents(id, group_id, user_id, filename, size_bytes, sha256, storage_url)
              values ('{identity}', 1, 1, '{GOOD_AS}', {bad.stat().st_size}, '{digest}',
              '/data/documents/{GOOD_AS}');
            insert into document_ingest_jobs(document_id) values ('{identity}');"""
    )

    def broken() -> tuple[bool, str]:
        status = session.psql(
            f"select status, coalesce(error, '') from document_ingest_jobs where document_id = '{identity}'"
        )[0]
        return status[0] == "error", f"{GOOD_AS}: {status[0]} {status[1]}"

    follow("the truncated document", broken, deadline_seconds=60)
    say(session.rowlock("dead-letters"))
    key = session.psql(f"select id from document_ingest_jobs where document_id = '{identity}'")[0][0]
    run_id, reason = session.psql(
        f"select id, failure->>'reason' from rowlock.run where source_key = '{key}' and source ="
        " 'rowlock/documents' and state = 'dead'"
    )[0]
    say(f"  the file is uploaded again, whole; rowlock requeue {run_id}")
    _put(session, good)
    say("  " + session.rowlock("requeue", run_id).strip())

    def mended() -> tuple[bool, str]:
        status = session.psql(f"select status from document_ingest_jobs where document_id = '{identity}'")[0][
            0
        ]
        return status == "done", f"{GOOD_AS}: {status}"

    follow("the requeued document", mended, deadline_seconds=60)
    return {
        "reason": reason,
        "state": session.psql(f"select state from rowlock.run where id = '{run_id}'")[0][0],
    }


def _put(session: Session, source: Path) -> None:
    session.kubectl(
        "exec", "-i", "demo-loader", "--", "sh", "-c", f"cat > /documents/{GOOD_AS}", data=source.read_bytes()
    )
