"""`python -m tools.tilt.ready --context CONTEXT --namespace NAMESPACE PLURAL/NAME ...`: returns once all of
them are Ready.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client, config

from tools.cluster.errors import ClusterError
from tools.cluster.steps import say, wait_until

GROUP, VERSION = "rowlock.dev", "v1alpha1"


@dataclass(frozen=True)
class Standing:
    """What one object says of itself."""

    ready: bool
    sentence: str


def standing(name: str, found: Mapping[str, Any] | None) -> Standing:
    """The object's own Ready condition; an answer to an older spec counts as none."""
    if found is None:
        return Standing(False, f"{name} is not there yet")
    status = found.get("status", {})
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return Standing(False, f"the operator has not looked at {name} yet")
    for condition in status.get("conditions", []):
        if condition["type"] == "Ready":
            return Standing(
                condition["status"] == "True", f"{name}: {condition['reason']}: {condition['message']}"
            )
    return Standing(False, f"{name} has no Ready condition")


class Watcher:
    """Looks at all objects, and says what changed since it last looked."""

    def __init__(self, names: Iterable[str], read: Callable[[str], Mapping[str, Any] | None]) -> None:
        self._names = list(names)
        self._read = read
        self._said: dict[str, Standing] = {}

    def all_ready(self) -> bool:
        """Whether every object is ready at this moment."""
        for name in self._names:
            now = standing(name, self._read(name))
            if self._said.get(name) != now:
                self._said[name] = now
                say(f"  {now.sentence}")
        return all(s.ready for s in self._said.values())

    def missing(self) -> str:
        """Sentences of the objects that are not ready."""
        return "; ".join(s.sentence for s in self._said.values() if not s.ready)


def reader(context: str, namespace: str) -> Callable[[str], Mapping[str, Any] | None]:
    """Reads `plural/name` from the cluster of this context; None for what does not exist."""
    api = client.CustomObjectsApi(config.new_client_from_config(context=context))

    def read(name: str) -> Mapping[str, Any] | None:
        plural, _, object_name = name.partition("/")
        try:
            found: Mapping[str, Any] = api.get_namespaced_custom_object(
                GROUP, VERSION, namespace, plural, object_name
            )
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise ClusterError(
                f"{name} in {namespace} cannot be read: the API server answered {error.status}"
                f" {error.reason}."
            ) from error
        return found

    return read


def main(arguments: Sequence[str] | None = None) -> int:
    """Waits; 1 with the objects' own sentences where the time is up."""
    parser = argparse.ArgumentParser(prog="python -m tools.tilt.ready", description=__doc__)
    parser.add_argument("--context", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--deadline-seconds", type=float, default=180)
    parser.add_argument("names", nargs="+", metavar="PLURAL/NAME")
    words = parser.parse_args(arguments)
    watcher = Watcher(words.names, reader(words.context, words.namespace))
    try:
        wait_until(
            "all of them Ready",
            watcher.all_ready,
            deadline_seconds=words.deadline_seconds,
            explain=watcher.missing,
            look_every_seconds=1,
        )
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
