"""`python -m tests.services.operator_program`: the operator as its image has it.

The development environment has the official Kubernetes client, which the operator's image has not. kopf
imports it where it is there: half a second and 20 MB that would be measured as the operator's.
"""

import sys

sys.modules["kubernetes"] = None  # type: ignore[assignment]

from rowlock_operator.__main__ import main  # noqa: E402

if __name__ == "__main__":
    main()
