"""`rowlock health`: is there anything that somebody has to look at."""

import click

from rowlock_cli.context import ledger_client
from rowlock_cli.errors import Failed
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_cli.terminal.param_types import Duration
from rowlock_client import ClientError, LedgerMissing
from rowlock_client.health import Finding, judge, take_vitals


@click.command(
    "health", epilog="Exit codes: 0 well, 1 there is a problem (the sentence says which), 2 wrong usage."
)
@click.option(
    "--max-wait",
    "max_wait_seconds",
    type=Duration(),
    default="1h",
    show_default=True,
    help="A startable run older than this is a problem.",
)
@click.option(
    "--max-dead",
    type=click.IntRange(min=0),
    help="More dead and unknown runs than this are a problem (else they are a note).",
)
@output_option
@cluster_options
def health(max_wait_seconds: float, max_dead: int | None, output: str) -> None:
    """Say whether all is well, and what to do if not.

    Looks at the database alone; Redis and Kubernetes are not asked (see the conditions of the WorkQueues for
    those).
    """
    try:
        with ledger_client() as client, client.transaction() as cursor:
            findings = judge(take_vitals(cursor), max_wait_seconds=max_wait_seconds, max_dead=max_dead)
    except (ClientError, Failed) as error:
        about = "ledger" if isinstance(error, LedgerMissing) else "database"
        findings = [Finding(level="problem", about=about, sentence=f"{str(error).rstrip('.')}.")]
    well = all(finding.level != "problem" for finding in findings)
    if output == "json":
        click.echo(to_json({"well": well, "findings": [vars(finding) for finding in findings]}))
    else:
        for finding in findings:
            click.echo(f"{finding.level + ':':<9}{finding.sentence}")
    if not well:
        raise click.exceptions.Exit(1)
