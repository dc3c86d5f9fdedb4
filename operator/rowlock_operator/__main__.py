"""`rowlock-operator`, or `python -m rowlock_operator`."""

import os
import sys

# kopf imports the official client where there is one (the command line uses it): 20 MB of memory that nothing
# in this process needs.
sys.modules.setdefault("kubernetes", None)  # type: ignore[arg-type]

from rowlock_operator.wiring import run  # noqa: E402

if sys.modules["kubernetes"] is None:
    del sys.modules["kubernetes"]


def main() -> None:
    sys.exit(run(os.environ))


if __name__ == "__main__":
    main()
