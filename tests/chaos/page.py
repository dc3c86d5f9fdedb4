"""The result on one page: for a terminal, and for docs/measurements.md between its two markers."""

from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.invariants import WORDS
from tests.chaos.running import Result
from tests.chaos.stage import OPERATORS, WORKERS

BEGIN, END = "<!-- chaos: begin (written by `python -m tests.chaos --write`) -->", "<!-- chaos: end -->"


PROMISES = """\
Checked from outside (the tasks' own append-only log, the users' tables, the history): every row ends as
exactly one run, and its status column says so; no attempt begins twice; the outcome that counts is that of
the attempt and the process that ended it, and what was written in `run.transaction()` is there exactly for
these; an effect after `begin_effect` happens at most once a run, and its run is never tried again; no limit
is exceeded; what begins after a blow ends within 40 s of it even while the blow lasts, and within 40 s of its
return where a store is away; nothing is left over (runs, events, outcomes, runners, slots of limits, ids,
kube jobs).

What a limit promises: the runs that the ledger counts as in hand never exceed it (looked at twice a second),
and attempts whose outcome counts never overlap beyond it. An attempt that was given up may go on beside its
successor until its process notices: at the next renewal, or, frozen, when it wakes. Its outcome does not
count. A rate bounds claims; starts may bunch by as many as the concurrency allows in hand.

What an older etcd has forgotten, Kubernetes starts again; under contract Exit no fence refuses it. There, and
only for starts between the snapshot and its restore, an attempt may begin twice.
"""


def page(result: Result) -> str:
    """Markdown that reads well in a terminal."""
    figures, options = result.figures, result.options
    lines = [
        "## Chaos",
        "",
        f"`{options.command()}`: **{verdict(result)}**",
        "",
        *PROMISES.splitlines(),
        "",
        "| what | figure |",
        "|---|---|",
        (
            f"| rows, runs | {figures.rows} rows; {_counts(figures.runs_by_source)}; ended as"
            f" {_counts(result.states)} |"
        ),
        f"| attempts begun | {result.attempts} |",
        f"| duration | {figures.seconds:.0f} s, {figures.rows / max(1.0, figures.seconds):.0f} rows/s |",
        f"| under fire | {_crew(result)} |",
        f"| blows | {len(result.struck)} |",
        (
            f"| row inserted -> first line of its task (source without limits) | p50 {figures.begin_p50:.2f}"
            f" s, p99 {figures.begin_p99:.1f} s, longest {figures.begin_max:.1f} s |"
        ),
        (
            f"| attempts given up | {figures.given_up}; the next attempt began {figures.again_p50:.1f} s"
            f" (median), at most {figures.again_max:.1f} s after the beginning of the lost one |"
        ),
        f"| started again by the harness | {_counts(dict(Counter(result.restarts))) or 'none'} |",
    ]
    if result.ended_by_itself:
        lines.append(
            "| ended by themselves (exit codes) |"
            f" {', '.join(f'{name} {codes}' for name, codes in result.ended_by_itself.items())} |"
        )
    lines += ["", "| blow | times | what began after it was done: median | longest |", "|---|---|---|---|"]
    lines += [
        f"| {kind} | {n} | {middle:.2f} s | {longest:.1f} s |"
        for kind, (n, middle, longest) in figures.recovery.items()
    ]
    for violation in result.violations:
        lines += ["", f"VIOLATION {violation.what} ({WORDS[violation.what]}): {violation.detail}"]
    return "\n".join(lines) + "\n"


def verdict(result: Result) -> str:
    """One sentence."""
    if not result.violations:
        return "no violation"
    return f"violated: {', '.join(sorted({violation.what for violation in result.violations}))}"


def write(result: Result, path: Path) -> None:
    """Puts the page between the markers; the rest of the file stays as it is."""
    text = path.read_text() if path.exists() else f"# Measurements\n\n{BEGIN}\n{END}\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{page(result)}{END}{rest.partition(END)[2]}")


def as_json(result: Result) -> dict[str, Any]:
    """The whole result for programs."""
    return {
        "seed": result.options.seed,
        "command": result.options.command(),
        "violations": [{"what": each.what, "detail": each.detail} for each in result.violations],
        "blows": [
            {
                "at": s.blow.at,
                "kind": s.blow.kind,
                "victim": s.victim,
                "seconds": s.blow.seconds,
                "silent": s.blow.silent,
            }
            for s in result.struck
        ],
        "figures": (
            vars(result.figures)
            | {"recovery": {kind: list(v) for kind, v in result.figures.recovery.items()}}
        ),
        "attempts": result.attempts,
        "states": result.states,
        "restarts": result.restarts,
        "ended_by_itself": result.ended_by_itself,
    }


def _crew(result: Result) -> str:
    brains = f"{OPERATORS} operators" if result.options.jobs else "2 dispatchers"
    pods = ", the pods of kube jobs" if result.options.jobs else ""
    api = ", API server; a node, an admission webhook, etcd" if result.options.jobs else ""
    return (
        f"{brains}, {sum(WORKERS.values())} worker processes{pods}; PostgreSQL, Redis, and the network to"
        f" them{api}"
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
