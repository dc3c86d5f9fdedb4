"""A yes before something that cannot be taken back."""

from typing import Any

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


def ask(facts: dict[str, Any]) -> None:
    """Says what would happen and asks. Ends the command (exit code 0) where there is nothing to do; Failed
    where the answer is not yes.
    """
    if not facts["count"]:
        click.echo(nothing(facts))
        raise click.exceptions.Exit(0)
    agree(would(facts))


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


def would(facts: dict[str, Any]) -> str:
    """What is going to happen, as a sentence. Pure."""
    count = facts["count"]
    which = f"{count:,} {facts['what']} {'run' if count == 1 else 'runs'} of {facts['queue']}{facts['age']}"
    if facts["verb"] == "purge":
        return (
            f"{which} would be deleted with {'its' if count == 1 else 'their'} arguments and results; deleted"
            " runs cannot be requeued."
        )
    return f"{which} would be canceled; canceled runs can be requeued."


def nothing(facts: dict[str, Any]) -> str:
    """Nothing matched, as a sentence. Pure."""
    return f"{facts['queue']} has no {facts['what']} run{facts['age']}: nothing to {facts['verb']}."
