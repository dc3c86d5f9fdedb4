"""`rowlock-operator`, or `python -m rowlock_operator`."""

import os
import sys

from rowlock_operator.wiring import run


def main() -> None:
    sys.exit(run(os.environ))


if __name__ == "__main__":
    main()
