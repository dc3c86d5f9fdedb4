"""`python -m tests.chaos`: one run, one page. Exit code 0: every invariant held; 1: not."""

import argparse
import json
import secrets
import signal
import sys
from pathlib import Path

from tests.chaos.options import GUARDS, Options, guarded_off, plan_lines
from tests.chaos.page import as_json, page, write
from tests.chaos.running import Chaos, Result
from tests.chaos.stage import staged
from tests.services.worker import ROOT

RESULT = "tests/proof/results/chaos.json"


def options_of(arguments: list[str]) -> tuple[Options, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="repeats the rows and blows of a run; a fresh one is drawn and printed"
    )
    parser.add_argument("--runs", type=int, help="rows that flow (2000)")
    parser.add_argument("--minutes", type=float, help="instead of --runs: how long they flow")
    parser.add_argument("--rate", type=float, default=40.0, help="rows a second (40)")
    parser.add_argument("--gap", type=float, default=2.2, help="seconds between two blows, on average (2.2)")
    parser.add_argument("--guard-off", choices=tuple(GUARDS), default="", help="must be seen as a violation")
    parser.add_argument(
        "--without-kubernetes",
        action="store_true",
        help="two dispatchers, no operators, no kube jobs: starts in seconds",
    )
    parser.add_argument(
        "--slow-claim",
        action="store_true",
        help="with --without-kubernetes: two dispatchers meet over the same rows",
    )
    parser.add_argument("--plan", action="store_true", help="prints the blows and ends")
    parser.add_argument("--json", action="store_true", help="the result as JSON, progress on standard error")
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"writes the page into docs/measurements.md, the result into {RESULT}",
    )
    parser.add_argument("--keep", action="store_true", help="keeps the folder with the logs of all processes")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    rows = given.runs or (int(given.minutes * 60 * given.rate) if given.minutes else 2000)
    if given.guard_off:
        return guarded_off(given.guard_off, seed), given
    return Options(
        seed,
        rows=rows,
        rate=given.rate,
        gap_seconds=given.gap,
        slow_claim=given.slow_claim,
        jobs=not given.without_kubernetes,
    ), given


def run(options: Options, *, keep: bool = False) -> Result:
    """One run on a stage of its own; progress goes to standard error."""

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    say(f"seed {options.seed}; repeat with: {options.command()}")
    with staged(jobs=options.jobs, workers=not options.only, guards=options.guards, keep=keep) as stage:
        if keep:
            say(f"logs: {stage.folder}")
        return Chaos(options, stage, say).run()


def main(arguments: list[str]) -> int:
    options, given = options_of(arguments)
    if given.plan:
        print("\n".join(plan_lines(options, options.rows / options.rate)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever ends us must not leave the crew behind
    result = run(options, keep=given.keep)
    print(json.dumps(as_json(result), indent=1) if given.json else page(result))
    if given.write:
        write(result, Path(ROOT) / "docs" / "measurements.md")
        (Path(ROOT) / RESULT).write_text(json.dumps(as_json(result), indent=1) + "\n", encoding="utf-8")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
