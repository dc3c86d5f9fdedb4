"""The hash by which the operator sees that a child is still the one it wants, without asking the API
server.
"""

import hashlib
import json

from rowlock_operator.api.labels import SPEC_HASH
from rowlock_operator.api.manifest import Manifest


def with_fingerprint(manifest: Manifest) -> Manifest:
    """The manifest with its hash as an annotation; the owner's uid does not count, as a restored cluster has
    other ones.
    """
    metadata = manifest["metadata"]
    counted = {
        "spec": manifest["spec"],
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
    }
    drawn = json.dumps(counted, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(drawn.encode()).hexdigest()[:16]
    annotations = {**(metadata.get("annotations") or {}), SPEC_HASH: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}
