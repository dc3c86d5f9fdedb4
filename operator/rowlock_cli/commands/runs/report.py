"""What was done with each of the runs (or comments) that were named."""

import click

from rowlock_cli.terminal.json_text import to_json


def report(verb: str, told: list[tuple[str, str]], left: list[str], output: str) -> None:
    """What was done, then what was not; exit code 1 where anything was left."""
    if output == "json":
        click.echo(to_json({verb: [run_id for run_id, _ in told], "left": left}))
    else:
        for _, sentence in told:
            click.echo(sentence)
    for sentence in left:
        click.echo(f"Error: {sentence}", err=True)
    if left:
        raise click.exceptions.Exit(1)
