"""Every command, by the word that is typed: where it is, and what its help begins with (a test compares).

Invariant: a command is commands/<group>/<verb>.py, or commands/<word>.py where it has no group.
"""

from rowlock_cli.lazy import Entry

_HERE = "rowlock_cli.commands"

COMMANDS = {
    "info": Entry(f"{_HERE}.info:info", "Show versions, queues, sources, workers alive."),
    "health": Entry(f"{_HERE}.health:health", "Say whether all is well, and what to do if not."),
    "monitor": Entry(f"{_HERE}.monitor:monitor", "Watch the queues move."),
    "runs": Entry(f"{_HERE}.runs.list:list_command", "List runs, the newest first."),
    "why": Entry(f"{_HERE}.runs.why:why", "Say why a run, a row or a queue waits or moves."),
    "dead-letters": Entry(
        f"{_HERE}.runs.dead_letters:dead_letters", "List runs that wait for a person: dead, and unknown."
    ),
    "enqueue": Entry(f"{_HERE}.runs.enqueue:enqueue", "Run TASK once in QUEUE."),
    "requeue": Entry(f"{_HERE}.runs.requeue:requeue", "Run dead, unknown or canceled runs again."),
    "cancel": Entry(
        f"{_HERE}.runs.cancel:cancel", "End runs: waiting ones at once, running ones within seconds."
    ),
    "delete-runs": Entry(f"{_HERE}.runs.delete:delete_runs", "Delete ended runs for good; asks first."),
    "forget-keys": Entry(
        f"{_HERE}.sources.forget_keys:forget_keys", "Forget that rows of SOURCE were taken; asks first."
    ),
    "process": Entry(f"{_HERE}.process:process", "Start, stop and see MonitoringProcesses."),
    "comments": Entry(f"{_HERE}.comments:comments", "See and decide on AI comments."),
    "sessions": Entry(f"{_HERE}.sessions:sessions", "Show logins at sites, and their sessions."),
    "credentials": Entry(
        f"{_HERE}.credentials:credentials", "Change the keys that logins are encrypted with."
    ),
    "completion": Entry(f"{_HERE}.completion:completion", "Print the completion script of a shell."),
    "version": Entry(f"{_HERE}.version:version", "Print the version of this command."),
}
