"""`rowlock credentials`: the keys under which logins, sessions and API keys are stored."""

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from rowlock_cli import show
from rowlock_cli.cluster import Cluster, connected
from rowlock_cli.connection import Ledger, sql
from rowlock_cli.errors import Failed
from rowlock_cli.key_lines import fingerprint
from rowlock_cli.key_mounts import secret_of
from rowlock_cli.monitored import check_installed
from rowlock_cli.remote import OPERATOR_LABELS, choose_pod, run_in_operator
from rowlock_cli.rotation import Rotation, not_mounted, read_keys
from rowlock_cli.runs import ENDED, find_run
from rowlock_cli.session import (
    CONTEXT,
    NAMESPACE,
    cluster_options,
    ledger,
    ledger_here,
    output_option,
    queue_named,
)

F = TypeVar("F", bound=Callable[..., Any])
_QUEUE, _TASK = "sessions", "rotate_credentials"
_POLL_SECONDS = 0.3
_NEEDS = "get and patch the Secret with the keys, list pods, and exec into those that have it mounted"


def _timeout(what: str) -> Callable[[F], F]:
    return click.option(
        "--timeout",
        "timeout_seconds",
        type=click.FloatRange(min=0),
        default=300,
        show_default=True,
        metavar="SECONDS",
        help=what,
    )


@click.group("credentials")
@cluster_options
def credentials() -> None:
    """Change the keys that logins are encrypted with."""


@credentials.command("rotate")
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
@_timeout("Give up waiting for pods, or for the task, after so long; run it again to go on.")
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
    meta = click.get_current_context().meta
    with connected(namespace=meta.get(NAMESPACE), context=meta.get(CONTEXT), needs=_NEEDS) as cluster:
        name = _secret_name(cluster)
        if check:
            facts = _check(cluster, name, timeout_seconds)
            click.echo(show.to_json(facts) if output == "json" else _check_text(facts))
            return
        rotation = Rotation(
            cluster,
            name,
            encrypt_anew=lambda: _anew_from_here(cluster.namespace, timeout_seconds, check=False),
            tell=lambda line: click.echo(line, err=output == "json"),
            timeout_seconds=timeout_seconds,
        )
        done = rotation.run(despite_unreadable=despite_unreadable)
    if output == "json":
        click.echo(show.to_json({"secret": f"{cluster.namespace}/{name}", **done}))
    else:
        click.echo(
            f"Everything is encrypted with the key {done['key']} now; {done['encrypted_anew']} stored values"
            " were encrypted anew."
        )


@credentials.command("reencrypt")
@click.option("--check", is_flag=True, help="Only count what each key opens.")
@_timeout("Give up waiting for the task after so long; it goes on.")
@output_option
@cluster_options
def reencrypt(check: bool, timeout_seconds: float, output: str) -> None:
    """Encrypt what is stored anew, with the first key.

    Step 3 of `rowlock credentials rotate` alone, for keys that something else keeps (a Git repository, an
    external store).
    """
    with ledger() as opened:
        with opened.transaction() as cur:
            check_installed(cur)
            queue = queue_named(cur, _QUEUE)
        result = _run(opened, queue, timeout_seconds, check=check)
    if output == "json":
        click.echo(show.to_json(result))
    elif check:
        click.echo("\n".join(_opened_lines(result)))
    else:
        click.echo(
            f"{result['encrypted_anew']} of {result['looked_at']} stored values were encrypted anew with the"
            f" key {result['key']}."
        )
    if result["unreadable"] and output == "json":
        raise click.exceptions.Exit(1)
    if result["unreadable"]:
        raise Failed(
            f"{result['unreadable']} stored values are opened by none of the keys: bring back the key, or"
            " change the Secrets of their logins"
        )


def _secret_name(cluster: Cluster) -> str:
    pods = cluster.pods(OPERATOR_LABELS)
    chosen, _ = choose_pod(pods, cluster.namespace)
    return secret_of(next(pod for pod in pods if pod.metadata.name == chosen), cluster.namespace)


def _anew_from_here(namespace: str, timeout_seconds: float, *, check: bool) -> dict[str, Any]:
    """The task's report, asked for where the database is within reach: here, or in the operator's pod."""
    opened = ledger_here()
    if opened is not None:
        try:
            return _run(opened, f"{namespace}/{_QUEUE}", timeout_seconds, check=check)
        finally:
            opened.close()
    answer = bytearray()
    words = [
        "credentials",
        "reencrypt",
        "-n",
        namespace,
        "--timeout",
        str(timeout_seconds),
        "-o",
        "json",
        *(["--check"] if check else []),
    ]
    context = click.get_current_context().meta.get(CONTEXT)
    run_in_operator(words, namespace=namespace, context=context, write=answer.extend)
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError:
        # The pod's own words about it stand on this terminal already.
        raise Failed(
            "encrypting anew did not come to its end; run this again, it goes on where it is"
        ) from None
    return found


def _run(opened: Ledger, queue: str, timeout_seconds: float, *, check: bool) -> dict[str, Any]:
    """Enqueues the task and waits for its report, telling how far it is. Failed where it fails, or takes too
    long.
    """
    key = _TASK + (":check" if check else "")
    with opened.transaction() as cur:
        values = {
            "queue": queue,
            "task": _TASK,
            "args": json.dumps({"check": True} if check else {}),
            "key": key,
            "priority": 0,
            "wait_for_queue": False,
        }
        cur.execute(sql("enqueue"), values)
        ((run_id,),) = cur.fetchall()
        if run_id is None:
            cur.execute(sql("active_with_key"), {"queue": queue, "key": key})
            run_id = next((found for (found,) in cur.fetchall()), None)
    if run_id is None:
        raise Failed(f"a run of {_TASK} ended just now; run this again")
    end, told = time.monotonic() + timeout_seconds, ""
    while True:
        with opened.transaction() as cur:
            run = find_run(cur, run_id)
        if run.state in ENDED:
            break
        if time.monotonic() > end:
            raise Failed(
                f"{_TASK} is still {run.state} after {timeout_seconds:g} s; `rowlock why {run.short_id}`"
                " says why"
            )
        progress = show.progress_text(run.progress)
        if progress and progress != told:
            click.echo(f"  {progress}", err=True)
            told = progress
        time.sleep(_POLL_SECONDS)
    if run.state != "succeeded" or not isinstance(run.result, dict):
        failure = run.failure or {}
        raise Failed(
            f"{_TASK} is {run.state}: {failure.get('reason', 'no reason recorded')}:"
            f" {failure.get('message', '')}".rstrip(": ")
        )
    return {"run": run_id, **run.result}


def _check(cluster: Cluster, name: str, timeout_seconds: float) -> dict[str, Any]:
    seen = read_keys(cluster, name)
    late, count = not_mounted(cluster, name, seen.text)
    report = _anew_from_here(cluster.namespace, timeout_seconds, check=True)
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
            show.table(["KEY", "USE", "OPENS"], lines),
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


def _opened_lines(result: dict[str, Any]) -> list[str]:
    opened = result.get("opened_by") or {}
    return [f"{key} opens {count} of {result['looked_at']}" for key, count in opened.items()] + [
        f"no key opens {result['unreadable']}"
    ]
