"""Requests and limits of a container: the user's, and what the installation says where the user says
nothing.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.pod_template import Resources

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+))([eE][+-]?[0-9]+|[KMGTPE]i|[numkMGTPE])?")
_UNITS = {
    unit: Decimal(10) ** (3 * power)
    for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), start=-3)
}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}


def merged_resources(given: Resources | None, defaults: Mapping[str, Any]) -> Manifest:
    """What the user says stands as it is, and each resource that is not named gets the installation's words.

    A default limit below a request of the user's would make a pod that the API server refuses: it is raised
    to the request. Beside a limit of the user's no request is set: Kubernetes then takes the limit for it.
    """
    requests: Manifest = dict((given and given.requests) or {})
    limits: Manifest = dict((given and given.limits) or {})
    wanted_requests, wanted_limits = dict(requests), dict(limits)
    for name, request in (defaults.get("requests") or {}).items():
        if name not in requests and name not in limits:
            wanted_requests[name] = request
    for name, limit in (defaults.get("limits") or {}).items():
        if name not in limits:
            wanted_limits[name] = _at_least(limit, requests.get(name))
    merged = {
        "requests": wanted_requests,
        "limits": {name: limit for name, limit in wanted_limits.items() if limit is not None},
    }
    return {kind: amounts for kind, amounts in merged.items() if amounts}


def quantity(text: object) -> Decimal | None:
    """A Kubernetes quantity such as 100m, 1.5 or 2Gi as a number; None for what is none."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        return None
    number, unit = found.groups()
    if unit and unit not in _UNITS:
        return Decimal(number + unit)
    return Decimal(number) * _UNITS[unit or ""]


def _at_least(limit: Any, request: Any) -> Any:
    """The larger of the two; None beside a request that cannot be read, about which the API server has the
    word.
    """
    if request is None:
        return limit
    least, most = quantity(request), quantity(limit)
    if least is None or most is None:
        return None
    return max((most, limit), (least, request), key=lambda pair: pair[0])[1]
