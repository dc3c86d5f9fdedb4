"""`rowlock credentials rotate`."""

from typing import Any

import click

from rowlock_cli.commands.credentials.key_file import fingerprint
from rowlock_cli.commands.credentials.key_mounts import secret_of
from rowlock_cli.commands.credentials.rotation import Rotation, not_mounted, read_keys
from rowlock_cli.commands.credentials.task import report_from_here, timeout_option
from rowlock_cli.context import context_option, namespace_option
from rowlock_cli.kube.cluster import Cluster, connected
from rowlock_cli.kube.operator_pod import OPERATOR_LABELS, choose_pod
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_cli.terminal.tables import table

_NEEDS = "get and patch the Secret with the keys, list pods, and exec into those that have it mounted"


@click.command(
    "rotate",
    epilog=(
        "Exit codes: 0 done, 1 a step could not be done (the sentence says what to do, then run it again), 2"
        " wrong usage."
    ),
)
@click.option(
    "--check",
    is_flag=True,
    help="Only tell the keys' fingerprints, what each opens, and whether all pods have them.",
)
@click.option(
    "--despite-unreadable",
    is_flag=True,
    help="Remove the old keys also where something stored is opened by none of the keys.",
)
@timeout_option("Give up waiting for pods, or for the task, after so long; run it again to go on.")
@output_option
@cluster_options
def rotate(check: bool, despite_unreadable: bool, timeout_seconds: float, output: str) -> None:
    """Change to a new encryption key, without downtime.

    \b
    1. A new key becomes the last line of the Secret; waits until all pods have it.
    2. It becomes the first line, which encrypts; waits likewise.
    3. What is stored is encrypted anew (the task rotate_credentials).
    4. The old keys are removed from the Secret.

    Works on the Secret with your own rights in Kubernetes. Interrupted anywhere, the same command goes on. No
    key is shown; a key is named by its fingerprint.
    """
    with connected(namespace=namespace_option(), context=context_option(), needs=_NEEDS) as cluster:
        name = _secret_name(cluster)
        if check:
            facts = _check(cluster, name, timeout_seconds)
            click.echo(to_json(facts) if output == "json" else _check_text(facts))
            return
        rotation = Rotation(
            cluster,
            name,
            encrypt_anew=lambda: report_from_here(cluster.namespace, timeout_seconds, check=False),
            tell=lambda line: click.echo(line, err=output == "json"),
            timeout_seconds=timeout_seconds,
        )
        done = rotation.run(despite_unreadable=despite_unreadable)
    if output == "json":
        click.echo(to_json({"secret": f"{cluster.namespace}/{name}", **done}))
    else:
        click.echo(
            f"Everything is encrypted with the key {done['key']} now; {done['encrypted_anew']} stored values"
            " were encrypted anew."
        )


def _secret_name(cluster: Cluster) -> str:
    pods = cluster.pods(OPERATOR_LABELS)
    chosen, _ = choose_pod(pods, cluster.namespace)
    return secret_of(next(pod for pod in pods if pod.metadata.name == chosen), cluster.namespace)


def _check(cluster: Cluster, name: str, timeout_seconds: float) -> dict[str, Any]:
    seen = read_keys(cluster, name)
    late, count = not_mounted(cluster, name, seen.text)
    report = report_from_here(cluster.namespace, timeout_seconds, check=True)
    return {
        "secret": f"{cluster.namespace}/{name}",
        "keys": [fingerprint(key) for key in seen.keys],
        "rotating_to": None if seen.new is None else fingerprint(seen.new),
        "pods": count,
        "pods_with_other_keys": sorted({one.pod for one in late}),
        "opened_by": report.get("opened_by"),
        "unreadable": report["unreadable"],
        "looked_at": report["looked_at"],
    }


def _check_text(facts: dict[str, Any]) -> str:
    """The same for people. Pure."""
    opened = facts["opened_by"] or {}
    lines = [
        [
            key,
            "encrypts and opens" if number == 0 else "opens",
            str(opened.get(key, 0)) if facts["opened_by"] is not None else "?",
        ]
        for number, key in enumerate(facts["keys"])
    ]
    late = facts["pods_with_other_keys"]
    return "\n".join(
        [
            table(["KEY", "USE", "OPENS"], lines),
            "",
            (
                f"{facts['looked_at']} values are stored encrypted; {facts['unreadable'] or 'none'} of them"
                f" {'is' if facts['unreadable'] == 1 else 'are'} opened by no key."
            ),
            (
                f"All {facts['pods']} key files in pods are as the Secret {facts['secret']}."
                if not late
                else (
                    f"These pods have other keys than the Secret {facts['secret']}, or cannot be asked:"
                    f" {', '.join(late)}."
                )
            ),
            *(
                [
                    f"A rotation to {facts['rotating_to']} has begun; `rowlock credentials rotate` goes on"
                    " with it."
                ]
                if facts["rotating_to"]
                else []
            ),
        ]
    )
