"""`python -m tests.bench [--only NAME ...] [--rounds N] [--json] [--quick]`: measures, writes
results/summary.json and the table of the page.

Needs a quiet machine: everything (servers, dispatcher, workers) shares its cores.
"""

import argparse
import json
import os
import signal
import sys
import time

from tests.bench import summary, table
from tests.bench.frame import Measure, servers
from tests.bench.measures import measures


def run(measure: Measure, rounds: int, *, quick: bool = False) -> list[dict[str, float]]:
    """Every round of one measure, on servers of its own."""
    values: list[dict[str, float]] = []

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {measure.NAME}: {text}", file=sys.stderr, flush=True)

    with servers(say, quick=quick) as bench:
        for number in range(1, rounds + 1):
            values.append(measure.measure(bench))
            say(
                f"round {number} of {rounds}: "
                + ", ".join(f"{key} {table.number(value)}" for key, value in values[-1].items())
            )
    return values


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these measures alone")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="rounds of each measure (default: what each says, mostly 3)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON at the end")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, nothing is written: only to see that it runs"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # so that the servers end, too
    for measure in measures(chosen.only):
        load = os.getloadavg()[1]
        values = run(measure, chosen.rounds or getattr(measure, "ROUNDS", 3), quick=chosen.quick)
        if not chosen.quick:
            figures = summary.merged(summary.read(), measure.NAME, values, summary.origin(), load=load)
            summary.write(figures)  # after each measure: one that is cut off keeps those before it
            table.PAGE.write_text(table.replaced(table.PAGE.read_text(), table.render(figures, measures())))
    if not chosen.quick:
        figures = summary.read()
        print(json.dumps(figures, indent=1) if chosen.json else table.render(figures, measures()))


if __name__ == "__main__":
    main()
