"""`python -m tests.bench.against REVISION [--only NAME ...] [--rounds N]`: another revision beside this tree,
in turns, in one run.

The other revision is cloned and set up (`make setup`) in a folder of its own; a round measures both, and
every second round begins with the other one, so that a machine that slows down meets both alike. Writes
results/against.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.measures import measures

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests/bench/results/against.json"
_ROUND = (
    "import json, sys; from tests.bench.__main__ import run; from tests.bench.measures import measures;"
    " print(json.dumps(run(measures([sys.argv[1]])[0], 1)[0]))"
)


def set_up(revision: str, folder: Path) -> Path:
    """A clone of this repository at `revision`, with an environment of its own. Raises CalledProcessError."""
    tree = folder / "other"
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(tree)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", revision], cwd=tree, check=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")
    }
    subprocess.run(["make", "setup"], cwd=tree, env=environment, check=True, stdout=sys.stderr)
    return tree


def one_round(tree: Path, name: str) -> dict[str, float]:
    """The figures of one round of a measure, by the tree's own code and on servers of its own."""
    done = subprocess.run(
        [".venv/bin/python", "-c", _ROUND, name], cwd=tree, check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def compare(other: Path, names: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """For each figure that both know: its values by tree, in the order of the rounds."""
    seen: dict[str, dict[str, list[float]]] = {}
    for name in names:
        for number in range(rounds):
            trees = [("before", other), ("now", ROOT)]
            found = {
                label: one_round(tree, name) for label, tree in (reversed(trees) if number % 2 else trees)
            }
            for key in found["before"].keys() & found["now"].keys():
                for label, values in found.items():
                    seen.setdefault(key, {}).setdefault(label, []).append(values[key])
    return dict(sorted(seen.items()))


def summary(seen: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, object]]:
    """Medians of both, and the median and span of the ratios now / before of each round."""
    found: dict[str, dict[str, object]] = {}
    for key, values in seen.items():
        ratios = sorted(now / before for now, before in zip(values["now"], values["before"], strict=True))
        found[key] = {label: round(statistics.median(each), 2) for label, each in values.items()}
        found[key] |= {
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(ratio, 3) for ratio in ratios],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.against", description=__doc__)
    parser.add_argument("revision", help="what to compare with: a commit, a tag or a branch")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=["row_to_start", "end_to_end"])
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    chosen = parser.parse_args()
    names = [measure.NAME for measure in measures(chosen.only)]
    with tempfile.TemporaryDirectory(prefix="rowlock-against-") as folder:
        found = summary(compare(set_up(chosen.revision, Path(folder)), names, chosen.rounds))
    RESULTS.write_text(
        json.dumps({"before": chosen.revision, "rounds": chosen.rounds, "figures": found}, indent=1) + "\n"
    )
    for key, figures in found.items():
        print(
            f"{key:32} before {figures['before']:>10}  now {figures['now']:>10}  ratio {figures['ratio']} "
            f" {figures['ratios']}"
        )


if __name__ == "__main__":
    main()
