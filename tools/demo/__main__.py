"""`python -m tools.demo up|down [--cluster NAME] [--keep-cluster]`."""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.demo import documents, orders, verify
from tools.demo.session import NAMESPACE, RELEASE, DemoFailed, Session, follow, say
from tools.inputs.archive import InputsMissing

IMAGES = {"rowlock-operator": "operator/Dockerfile", "rowlock-worker": "jobimages/Dockerfile"}


def install(session: Session) -> None:
    """Cluster, images, chart; each says what it does and how long it took."""
    began = time.monotonic()
    say(f"1. A cluster ({session.cluster}), built from upstream programs where Docker is not at hand")
    session.tool("up", "--name", session.cluster, quiet=False)
    say("2. The images")
    for name, dockerfile in IMAGES.items():
        session.tool("build", "--name", session.cluster, "-t", f"{name}:0.1.0", "-f", dockerfile, ".", quiet=False)
    say("3. The chart, with its PostgreSQL and Redis for development")
    volume = json.dumps({"hostPath": {"path": session.documents_path, "type": "DirectoryOrCreate"}})
    session.helm(
        "upgrade", "--install", RELEASE, "charts/rowlock", "--create-namespace", "--wait", "--timeout", "240s",
        "--set-json", f"domain.documents.volume={volume}",
    )  # fmt: skip
    # A second run of the demo builds the same tag anew: pods of the first keep their image until they are replaced.
    manifest = (Path(__file__).parent / "manifests/loader.yaml").read_text().replace("DOCUMENTS_PATH", session.documents_path)
    session.kubectl("apply", "-f", "-", data=manifest.encode())
    session.kubectl("wait", "--for=condition=Ready", "pod/demo-loader", "--timeout=60s")
    say(f"  installed after {time.monotonic() - began:.0f} s")


def up(session: Session) -> bool:
    """The whole demo; true where every figure is right."""
    began = time.monotonic()
    install(session)
    folder = documents.corpus_folder()
    say(f"4. {documents.COUNT} real PDF files become searchable chunks, on warm workers")
    pdfs = documents.fetch(folder)
    say(
        f"  {len(pdfs)} files, {sum(p.size for p in pdfs) / 1e6:.0f} MB, {sum(p.pages for p in pdfs):,} pages, the largest {max(p.pages for p in pdfs):,} pages"
    )
    documents.load(session, folder, pdfs)
    seconds = documents.ingest(session, pdfs)
    say(f"  done in {seconds:.0f} s")
    say(
        f"5. {orders.ORDERS:,} rows of an ordinary table: {orders.BY_JOB} by Kubernetes Jobs of an image without any Rowlock code, the rest by workers"
    )
    orders.create(session)
    orders.apply(session)
    seconds = orders.process(session)
    say(f"  done in {seconds:.0f} s")
    say("6. A file that was cut off in the upload")
    dead = documents.dead_letter(session, folder, pdfs)
    hits = verify.search(session, "page layout margin")
    right = verify.report([*verify.checks(session, pdfs, dead), verify.Check("full-text search has hits", True, hits > 0)])
    settled = ("get", "rowsource/documents", "-o", "jsonpath={.status.done} {.status.failed}")
    follow("the figures that kubectl shows", lambda: (session.kubectl(*settled).endswith(" 0"), ""), deadline_seconds=30)
    say("\n  kubectl get workqueues,rowsources")
    say("  " + session.kubectl("get", "workqueues,rowsources").replace("\n", "\n  "))
    say(f"  the demo took {time.monotonic() - began:.0f} s; {'every figure is right' if right else 'A FIGURE IS WRONG'}")
    say(f"  look around: KUBECONFIG={session.kubeconfig} kubectl -n {NAMESPACE} get all; remove it: make demo-down")
    return right


def down(session: Session) -> None:
    """Everything away: the cluster and the files on the node."""
    session.tool("down", "--name", session.cluster, quiet=False)
    shutil.rmtree(session.documents_path, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description="Rowlock's main job on a real cluster.")
    parser.add_argument("verb", choices=["up", "down"])
    parser.add_argument("--cluster", default="dev", help="name of the cluster (default: dev)")
    options = parser.parse_args()
    session = Session(options.cluster)
    try:
        if options.verb == "down":
            down(session)
            return 0
        return 0 if up(session) else 1
    except (DemoFailed, ClusterError, InputsMissing) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
