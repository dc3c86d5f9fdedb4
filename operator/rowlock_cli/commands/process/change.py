"""`rowlock process`: start and stop a MonitoringProcess, look at it, have it look for articles now."""

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from rowlock_cli import show
from rowlock_cli.cluster import Cluster, connected
from rowlock_cli.connection import sql
from rowlock_cli.errors import Failed
from rowlock_cli.figures import database_now
from rowlock_cli.following import Step, has_started, has_stopped, start_changes, stop_changes
from rowlock_cli.monitored import check_installed, list_logins, process_status
from rowlock_cli.monitored_show import process_text
from rowlock_cli.session import CONTEXT, NAMESPACE, cluster_options, ledger, output_option, process_named

_POLL_SECONDS = 0.5
_NEEDS = "get and patch monitoringprocesses.rowlock.dev (the role edit of its namespace may)"


@click.group("process")
@cluster_options
def process() -> None:
    """Start, stop and see MonitoringProcesses."""


def _waiting(command: Any) -> Any:
    for option in (
        click.option("--no-wait", is_flag=True, help="Do not wait until the operator has done it."),
        click.option(
            "--timeout",
            "timeout_seconds",
            type=click.FloatRange(min=0),
            default=120,
            show_default=True,
            metavar="SECONDS",
            help="Give up waiting after so long; what was asked for stays asked for.",
        ),
    ):
        command = option(command)
    return command


@process.command("start")
@click.argument("name", metavar="[NAMESPACE/]NAME")
@_waiting
@output_option
@cluster_options
def start(name: str, no_wait: bool, timeout_seconds: float, output: str) -> None:
    """Start a process, also one that has ended.

    Works in the namespace of -n, else the current one, with your own rights in Kubernetes: sets spec.state to
    Running and, where the process has ended, another spec.startRequest; waits until it runs. Its duration
    counts anew. What keeps your manifests in Git may set the fields back.
    """
    request = datetime.now(UTC).isoformat(timespec="microseconds")
    _change(
        name,
        lambda found: start_changes(found, request),
        has_started,
        "start",
        no_wait,
        timeout_seconds,
        output,
    )


@process.command("stop")
@click.argument("name", metavar="[NAMESPACE/]NAME")
@_waiting
@output_option
@cluster_options
def stop(name: str, no_wait: bool, timeout_seconds: float, output: str) -> None:
    """Stop a process: nothing more is sent to the site.

    Works in the namespace of -n, else the current one, with your own rights in Kubernetes: sets spec.state to
    Stopped; waits until the process has ended. Comments that wait for approval can be approved and posted
    later, too.
    """
    _change(name, stop_changes, has_stopped, "stop", no_wait, timeout_seconds, output)


def _change(
    name: str,
    changes: Callable[[dict[str, Any]], dict[str, Any]],
    look: Callable[[dict[str, Any], int], Step],
    verb: str,
    no_wait: bool,
    timeout_seconds: float,
    output: str,
) -> None:
    meta = click.get_current_context().meta
    given, _, last = name.rpartition("/")
    with connected(
        namespace=given or meta.get(NAMESPACE), context=meta.get(CONTEXT), needs=_NEEDS
    ) as cluster:
        found = cluster.process(cluster.namespace, last)
        wanted = changes(found)
        if wanted:
            found = cluster.change_process(cluster.namespace, last, wanted)
        generation = int(found["metadata"]["generation"])
        full = f"{cluster.namespace}/{last}"
        if no_wait:
            step = Step(True, True, f"is asked to {verb}" if wanted else f"was asked to {verb} already")
        else:
            found, step = _follow(cluster, last, lambda now: look(now, generation), timeout_seconds)
    if output == "json":
        facts = {
            "process": full,
            "changed": wanted,
            "well": step.well,
            "said": step.sentence,
            "status": found.get("status") or {},
        }
        click.echo(show.to_json(facts))
    elif step.well:
        click.echo(f"{full} {step.sentence}" + ("" if wanted or no_wait else " (nothing had to be changed)"))
    if not step.well and not step.over:
        more = f"`kubectl -n {cluster.namespace} describe monitoringprocess {last}` tells more"
        raise Failed(f"after {timeout_seconds:g} s {full} {step.sentence.rstrip('.')}; {more}")
    if not step.well:
        raise Failed(f"{full} {step.sentence}")


def _follow(
    cluster: Cluster, name: str, look: Callable[[dict[str, Any]], Step], timeout_seconds: float
) -> tuple[dict[str, Any], Step]:
    end = time.monotonic() + timeout_seconds
    while True:
        found = cluster.process(cluster.namespace, name)
        step = look(found)
        if step.over or time.monotonic() > end:
            return found, step
        time.sleep(_POLL_SECONDS)


@process.command("status")
@click.argument("name", metavar="[NAMESPACE/]NAME")
@output_option
@cluster_options
def status(name: str, output: str) -> None:
    """Show how a process is, and its logins.

    Phase, progress, counters, the next look for articles, the last error; each login with its session.
    """
    with ledger() as opened, opened.transaction() as cur:
        check_installed(cur)
        found = process_status(cur, process_named(cur, name).id)
        logins = list_logins(cur, found.id)
        now = database_now(cur)
    if output == "json":
        click.echo(show.to_json({**asdict(found), "logins": [asdict(login) for login in logins]}))
    else:
        click.echo(process_text(found, logins, now))


@process.command("run-now")
@click.argument("name", metavar="[NAMESPACE/]NAME")
@output_option
@cluster_options
def run_now(name: str, output: str) -> None:
    """Look for new articles now instead of later.

    The pauses between looks begin anew, too, where they had grown.
    """
    with ledger() as opened, opened.transaction() as cur:
        check_installed(cur)
        found = process_named(cur, name)
        cur.execute(sql("run_now"), {"id": found.id})
        if not cur.fetchall()[0][0]:
            phase = process_status(cur, found.id).phase
            raise Failed(
                f"{found.full} does not run (it is {phase}); `rowlock process start {found.full}` starts it"
            )
    click.echo(
        show.to_json({"process": found.full, "id": found.id})
        if output == "json"
        else f"{found.full} looks for articles now"
    )
