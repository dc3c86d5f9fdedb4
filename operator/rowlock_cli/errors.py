"""What ends a command with exit code 1 and a sentence; 2 is click's own, for wrong usage."""

import click


class Failed(click.ClickException):
    """A sentence that names the object, what failed, and the remedy. Errors of the client become one."""

    exit_code = 1
