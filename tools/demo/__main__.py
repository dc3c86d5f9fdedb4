"""`python -m tools.demo up|monitoring|down [--cluster NAME]`."""

import argparse
import shutil
import sys
import time

from tools.cluster.errors import ClusterError
from tools.demo import monitoring, monitoring_checks, tables, verify
from tools.demo.install import install
from tools.demo.session import NAMESPACE, DemoFailed, Session, say
from tools.demo.standins import StandIns
from tools.inputs.archive import InputsMissing


def first_act(session: Session) -> bool:
    """Rows of tables: documents, orders, a dead letter."""
    right = verify.report(tables.act(session))
    tables.show(session)
    return right


def second_act(session: Session) -> bool:
    """MonitoringProcesses against a stand-in site and a stand-in model."""
    began, standins = time.monotonic(), StandIns(session)
    right = verify.report(monitoring_checks.checks(session, standins, monitoring.act(session, standins)))
    say("\n  kubectl get monitoringprocesses")
    say("  " + session.kubectl("get", "monitoringprocesses").replace("\n", "\n  "))
    say(f"  this act took {time.monotonic() - began:.0f} s")
    return right


ACTS = {"up": (first_act, second_act), "monitoring": (second_act,)}


def play(session: Session, verb: str) -> bool:
    """The acts of a verb, on a cluster that is there afterwards; true where every figure is right."""
    began = time.monotonic()
    install(session)
    right = min([act(session) for act in ACTS[verb]])  # every act, also after a wrong figure
    say(
        f"  the demo took {time.monotonic() - began:.0f} s;"
        f" {'every figure is right' if right else 'A FIGURE IS WRONG'}"
    )
    say(
        f"  look around: KUBECONFIG={session.kubeconfig} kubectl -n {NAMESPACE} get all; remove it: make"
        " demo-down"
    )
    return right


def down(session: Session) -> None:
    """Everything away: the cluster and the files on the node."""
    session.tool("down", "--name", session.cluster, quiet=False)
    shutil.rmtree(session.documents_path, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo", description="Rowlock's main jobs on a real cluster."
    )
    parser.add_argument("verb", choices=[*ACTS, "down"])
    parser.add_argument("--cluster", default="dev", help="name of the cluster (default: dev)")
    options = parser.parse_args()
    session = Session(options.cluster)
    try:
        if options.verb == "down":
            down(session)
            return 0
        return 0 if play(session, options.verb) else 1
    except (DemoFailed, ClusterError, InputsMissing) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
