"""What was verified of the first act: each figure from the database beside the one expected; and the table
that shows it.
"""

from dataclasses import dataclass
from decimal import Decimal

from tools.demo.documents import GOOD_AS, Pdf
from tools.demo.orders import BY_JOB, ORDERS
from tools.demo.session import Session, say

# Of this act: the schedules of the second one never rest.
_TASKS = "('process_document', 'bill_order', 'ship_order')"


@dataclass(frozen=True)
class Check:
    what: str
    expected: object
    found: object

    @property
    def ok(self) -> bool:
        return str(self.expected) == str(self.found)


def checks(session: Session, pdfs: list[Pdf], dead: dict[str, object]) -> list[Check]:
    """All of them; nothing is skipped because another failed."""

    def one(statement: str) -> str:
        rows = session.psql(statement)
        return rows[0][0] if rows else ""

    mended = f"filename <> '{GOOD_AS}'"
    billed = (Decimal(i) * Decimal("1.5") for i in range(1, ORDERS + 1) if i % (ORDERS // BY_JOB))
    gross = sum((amount * Decimal("1.19")).quantize(Decimal("0.01")) for amount in billed)
    return [
        Check(
            "documents ready",
            len(pdfs),
            one(f"select count(*) from workshop_documents where status = 'ready' and {mended}"),
        ),
        Check(
            "ingest jobs done",
            len(pdfs) + 1,
            one("select count(*) from document_ingest_jobs where status = 'done'"),
        ),
        Check(
            "pages, as the files have them",
            sum(p.pages for p in pdfs),
            one(f"select sum(pages) from workshop_documents where {mended}"),
        ),
        Check(
            "ready documents without a chunk",
            0,
            one(
                "select count(*) from workshop_documents d where status = 'ready' and not exists (select from"
                " workshop_chunks c where c.document_id = d.id)"
            ),
        ),
        Check(
            "chunks over 3,000 characters",
            0,
            one("select count(*) from workshop_chunks where length(content) > 3000"),
        ),
        Check(
            "orders billed by warm workers",
            ORDERS - BY_JOB,
            one("select count(*) from orders where status = 'billed' and not by_job"),
        ),
        Check(
            "orders shipped by Kubernetes Jobs",
            BY_JOB,
            one("select count(*) from orders where status = 'shipped' and by_job"),
        ),
        Check(
            "gross of all bills, from the runs' results",
            f"{gross:.2f}",
            one(
                "select sum((result->>'gross')::numeric) from (select distinct on (source_key) result from"
                " rowlock.run where task = 'bill_order' and state = 'succeeded' order by source_key,"
                " finished_at desc) r"
            ),
        ),
        Check(
            "shipments, from the pods' termination messages",
            BY_JOB,
            one(
                "select count(distinct result->>'shipped') from rowlock.run where task = 'ship_order' and"
                " state = 'succeeded' and result->>'shipped' = source_key"
            ),
        ),
        Check("dead letter's reason", True, dead["reason"] in ("Truncated", "Damaged", "Invalid")),
        Check("dead letter after its requeue", "succeeded", dead["state"]),
        Check(
            "runs that have not ended", 0, one(f"select count(*) from rowlock.active where task in {_TASKS}")
        ),
        Check(
            "runs that wait for a person",
            0,
            one(f"select count(*) from rowlock.done where state in ('dead', 'unknown') and task in {_TASKS}"),
        ),
    ]


def report(found: list[Check]) -> bool:
    """Prints the table; true where everything is as expected."""
    width = max(len(c.what) for c in found)
    say(f"\n  {'verified':<{width}}  {'expected':>15}  {'found':>15}")
    for check in found:
        say(
            f"  {check.what:<{width}}  {check.expected!s:>15}  {check.found!s:>15} "
            f" {'ok' if check.ok else '<-- WRONG'}"
        )
    return all(c.ok for c in found)


def search(session: Session, words: str) -> int:
    """A full-text query as the application would ask it; prints the best hits and returns how many chunks
    match.
    """
    query = f"websearch_to_tsquery('english', '{words}')"
    total = session.number(f"select count(*) from workshop_chunks where tsv @@ {query}")
    say(f"\n  full-text search for “{words}”: {total:,} chunks; the best:")
    for name, page, rank, text in session.psql(
        f"""select d.filename, c.page, round(ts_rank_cd(c.tsv, {query})::numeric, 3),
                   regexp_replace(ts_headline('english', c.content, {query},
                   'MaxWords=14, MinWords=8, StartSel=[, StopSel=]'), '\\s+', ' ', 'g')
              from workshop_chunks c join workshop_documents d on d.id = c.document_id where c.tsv @@ {query}
             order by ts_rank_cd(c.tsv, {query}) desc, d.filename, c.page limit 3"""
    ):
        say(f"    {name} page {page} ({rank}): {text[:110]}")
    return total
