"""A yes before something that cannot be taken back."""

import click

from rowlock_cli.errors import Failed


def check_asking(*, yes: bool, dry_run: bool, output: str) -> None:
    """click.UsageError where the answer could not be understood: JSON is read by programs, and those are not
    asked.
    """
    if yes and dry_run:
        raise click.UsageError("say --yes or --dry-run, not both")
    if output == "json" and not (yes or dry_run):
        raise click.UsageError("with -o json say --yes or --dry-run: a program is not asked")


def agree(sentence: str) -> None:
    """Says what would happen and asks. Failed where the answer is not yes."""
    click.echo(sentence, err=True)
    try:
        agreed = click.confirm("Go on?", err=True)
    except click.Abort:
        # No terminal and no answer either.
        raise Failed("nobody answered, so nothing was changed; --yes does it without asking") from None
    if not agreed:
        raise Failed("nothing was changed")
