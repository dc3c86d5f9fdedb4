# What Kubernetes writes is taken at its word: exit code 0 is a success whoever asked for the end, and limits
# count from what a node's clock said.
from rowlock_operator.dispatch.sightings import Sightings
from rowlock_operator.observed.pods import PodSeen

PodSeen.ended_unasked = lambda self, suspended_at=None: True  # type: ignore[method-assign]
Sightings._since = lambda self, fact, written: written  # type: ignore[method-assign]
