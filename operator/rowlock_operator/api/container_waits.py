"""Why a container waits in vain: Kubernetes' word -> ours, in conditions of a WorkQueue and in failures of
its runs alike.
"""

from collections.abc import Mapping
from types import MappingProxyType

from rowlock_operator.api import reasons
from rowlock_operator.api.reasons import Reason

NEVER_STARTS: Mapping[str, Reason] = MappingProxyType(
    {
        "ImagePullBackOff": reasons.IMAGE_PULL_FAILED,
        "ErrImagePull": reasons.IMAGE_PULL_FAILED,
        "ErrImageNeverPull": reasons.IMAGE_PULL_FAILED,
        "InvalidImageName": reasons.IMAGE_PULL_FAILED,
        "CreateContainerConfigError": reasons.CONFIG_MISSING,
        "CreateContainerError": reasons.CONTAINER_REFUSED,
        "RunContainerError": reasons.CONTAINER_REFUSED,
    }
)
