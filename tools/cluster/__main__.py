"""`python3 -m tools.cluster VERB`."""

import sys

from tools.cluster.cli import main

sys.exit(main())
