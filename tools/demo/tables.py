"""The first act: rows of two tables become finished work, one row becomes a dead letter and is mended."""

from pathlib import Path

from tools.demo import documents, orders, verify
from tools.demo.session import Session, follow, say

_LOADER = Path(__file__).parent / "manifests/loader.yaml"


def act(session: Session) -> list[verify.Check]:
    """All of it; what there is to verify."""
    session.kubectl(
        "apply",
        "-f",
        "-",
        data=_LOADER.read_text().replace("DOCUMENTS_PATH", session.documents_path).encode(),
    )
    session.kubectl("wait", "--for=condition=Ready", "pod/demo-loader", "--timeout=60s")
    folder = documents.corpus_folder()
    session.step(f"{documents.COUNT} real PDF files become searchable chunks, on warm workers")
    pdfs = documents.fetch(folder)
    say(
        f"  {len(pdfs)} files, {sum(p.size for p in pdfs) / 1e6:.0f} MB, {sum(p.pages for p in pdfs):,}"
        f" pages, the largest {max(p.pages for p in pdfs):,} pages"
    )
    documents.load(session, folder, pdfs)
    seconds = documents.ingest(session, pdfs)
    say(f"  done in {seconds:.0f} s")
    session.step(
        f"{orders.ORDERS:,} rows of an ordinary table: {orders.BY_JOB} by Kubernetes Jobs of an image without"
        " any Rowlock code, the rest by workers"
    )
    orders.create(session)
    orders.apply(session)
    seconds = orders.process(session)
    say(f"  done in {seconds:.0f} s")
    session.step("A file that was cut off in the upload")
    dead = documents.dead_letter(session, folder, pdfs)
    hits = verify.search(session, "page layout margin")
    return [*verify.checks(session, pdfs, dead), verify.Check("full-text search has hits", True, hits > 0)]


def show(session: Session) -> None:
    """What kubectl shows, once its figures have settled."""
    settled = ("get", "rowsource/documents", "-o", "jsonpath={.status.done} {.status.failed}")
    follow(
        "the figures that kubectl shows",
        lambda: (session.kubectl(*settled).endswith(" 0"), ""),
        deadline_seconds=30,
    )
    objects = (
        "workqueue/billing",
        "workqueue/documents",
        "workqueue/shipping",
        "rowsource/documents",
        "rowsource/orders-to-bill",
        "rowsource/orders-to-ship",
    )
    say("\n  kubectl get workqueues,rowsources")
    say("  " + session.kubectl("get", *objects).replace("\n", "\n  "))
