"""`rowlock completion`: what a shell needs to complete words."""

import click
from click.shell_completion import get_completion_class

PROGRAM = "rowlock"
VARIABLE = "_ROWLOCK_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: rowlock completion bash > ~/.local/share/bash-completion/completions/rowlock
    zsh:  rowlock completion zsh > a file named _rowlock in a folder of $fpath
    fish: rowlock completion fish > ~/.config/fish/completions/rowlock.fish
    """
    chosen = get_completion_class(shell)
    assert chosen is not None  # the choices above are click's own
    # Not source(): it starts bash to look at its version, which may be another than the one that will read
    # the script.
    made = chosen(context.find_root().command, {}, PROGRAM, VARIABLE)
    click.echo(made.source_template % made.source_vars())
