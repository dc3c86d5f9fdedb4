"""A new encryption key without downtime, in four steps; each leaves a state from which the same call goes on.

The Secret remembers by an annotation which key is the new one. At every moment every pod opens everything:
the new key encrypts only once all pods can open what it encrypts, and old keys go only once nothing needs
them.
"""

import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rowlock_cli.commands.credentials.key_file import (
    added,
    digest,
    fingerprint,
    keys_of,
    moved_first,
    new_key,
)
from rowlock_cli.commands.credentials.key_mounts import KEY, Mount, mounts_of
from rowlock_cli.errors import Failed

ANNOTATION = "rowlock.dev/rotating-key"
_PASSES, _POLL_SECONDS = 5, 2.0
Tell = Callable[[str], None]


class KeyCluster(Protocol):
    """What of a cluster.Cluster is used here."""

    namespace: str

    def pods(self, labels: str = "") -> list[Any]: ...
    def secret(self, name: str) -> Any: ...
    def write_secret(self, seen: Any, *, data: dict[str, str], annotations: dict[str, str | None]) -> Any: ...
    def sha256_in_pod(self, pod: str, container: str, path: str) -> str: ...


@dataclass(frozen=True)
class Keys:
    """A look at the Secret. `new` is the key that a rotation has brought so far."""

    secret: Any
    text: str
    keys: list[str]
    new: str | None

    def __repr__(self) -> str:
        return f"Keys({[fingerprint(key) for key in self.keys]})"


class Rotation:
    """`encrypt_anew` has everything that is stored encrypted under the first key, and returns what the task
    rotate_credentials reports.
    """

    def __init__(
        self,
        cluster: KeyCluster,
        secret: str,
        *,
        encrypt_anew: Callable[[], dict[str, Any]],
        tell: Tell,
        timeout_seconds: float,
    ) -> None:
        self._cluster, self._name, self._encrypt_anew, self._tell = cluster, secret, encrypt_anew, tell
        self._timeout_seconds = timeout_seconds

    def run(self, *, despite_unreadable: bool) -> dict[str, Any]:
        """Begins or goes on; what was done at the end. Failed, with the remedy, where a step cannot be done:
        run it again then.
        """
        seen = read_keys(self._cluster, self._name)
        if seen.new is None:
            key = new_key()
            seen = self._write(seen, added(seen.text, key), key)
            self._tell(
                f"Step 1 of 4: the new key {fingerprint(key)} stands last in the Secret {self._name}; it"
                " opens, and encrypts nothing yet."
            )
        else:
            key = seen.new
            self._tell(f"Going on with the rotation to the key {fingerprint(key)}.")
        if seen.keys[0] != key:
            self._wait_mounted(seen)
            seen = self._write(seen, moved_first(seen.text, key), key)
            self._tell(f"Step 2 of 4: {fingerprint(key)} stands first: it encrypts from now on.")
        self._wait_mounted(seen)
        self._tell("Step 3 of 4: what is stored is encrypted anew.")
        report, anew = self._anew(key)
        unreadable = int(report["unreadable"])
        if unreadable and not despite_unreadable:
            raise Failed(_unreadable(unreadable, self._name))
        removed = len(seen.keys) - 1
        self._write(seen, f"{key}\n", None)
        self._tell(
            f"Step 4 of 4: {removed} old {'key was' if removed == 1 else 'keys were'} removed from the"
            " Secret."
        )
        return {"key": fingerprint(key), "encrypted_anew": anew, "unreadable": unreadable, "removed": removed}

    def _anew(self, key: str) -> tuple[dict[str, Any], int]:
        """Until a pass finds nothing to do: what was being encrypted with the old key while it lost its place
        is found by the next one.
        """
        total = 0
        for _ in range(_PASSES):
            report = self._encrypt_anew()
            if report["key"] != fingerprint(key):
                raise Failed(
                    f"a worker encrypts with the key {report['key']} instead of {fingerprint(key)}: its pod"
                    f" has another key file than the Secret {self._name}; `rowlock credentials rotate"
                    " --check` tells which, then run this again"
                )
            total += int(report["encrypted_anew"])
            if not report["encrypted_anew"]:
                return report, total
            self._tell(
                f"  {report['encrypted_anew']} of {report['looked_at']} encrypted anew; looking once more."
            )
        raise Failed(
            f"after {_PASSES} passes there is still something under an old key: who writes it? Run this"
            " again; nothing is lost"
        )

    def _write(self, seen: Keys, text: str, new: str | None) -> Keys:
        annotations = {ANNOTATION: None if new is None else fingerprint(new)}
        self._cluster.write_secret(seen.secret, data={KEY: text}, annotations=annotations)
        return read_keys(self._cluster, self._name)

    def _wait_mounted(self, wanted: Keys) -> None:
        """Until every running pod has this Secret as it is. Kubelets look about once a minute."""
        end, told = time.monotonic() + self._timeout_seconds, ""
        while True:
            if read_keys(self._cluster, self._name).text != wanted.text:
                raise Failed(
                    f"somebody else changed the Secret {self._name} while this waited; where a controller or"
                    " Git keeps it, change it there, in the steps of `rowlock credentials rotate --help`."
                    " Else run this again"
                )
            late, count = not_mounted(self._cluster, self._name, wanted.text)
            if not late:
                return
            names = ", ".join(sorted({mount.pod for mount in late}))
            if time.monotonic() > end:
                raise Failed(
                    f"after {self._timeout_seconds:g} s these pods do not have the Secret {self._name} as it"
                    f" is, or no program sha256sum to tell: {names}. Delete them (a Deployment makes new"
                    " ones), then run this again: it goes on where it is"
                )
            said = (
                f"  waiting for {len(late)} of {count} pods to see it (kubelets look about once a minute):"
                f" {names}"
            )
            if said != told:
                self._tell(said)
                told = said
            time.sleep(_POLL_SECONDS)


def read_keys(cluster: KeyCluster, name: str) -> Keys:
    """Failed where the Secret holds no keys, or something else."""
    secret = cluster.secret(name)
    try:
        text = base64.b64decode((secret.data or {})[KEY]).decode()
        keys = keys_of(text)
    except KeyError:
        raise Failed(
            f"the Secret {cluster.namespace}/{name} has no key {KEY!r}: put the encryption keys there, one a"
            " line"
        ) from None
    except UnicodeDecodeError:
        raise Failed(
            f"the Secret {cluster.namespace}/{name} holds no text in {KEY!r}: put the encryption keys there,"
            " one a line"
        ) from None
    except ValueError as error:
        raise Failed(
            f"the Secret {cluster.namespace}/{name} cannot be used: {error}; correct it, keeping every key"
            " that was in use"
        ) from None
    marked = (secret.metadata.annotations or {}).get(ANNOTATION)
    return Keys(secret, text, keys, next((key for key in keys if fingerprint(key) == marked), None))


def not_mounted(cluster: KeyCluster, name: str, text: str) -> tuple[Sequence[Mount], int]:
    """(containers that see something else, how many there are)."""
    mounts, wanted = mounts_of(cluster.pods(), name), digest(text)
    return [one for one in mounts if cluster.sha256_in_pod(one.pod, one.container, one.path) != wanted], len(
        mounts
    )


def _unreadable(count: int, name: str) -> str:
    return (
        f"{count} stored {'value is' if count == 1 else 'values are'} opened by none of the keys, so the old"
        f" keys stay. Bring back the key they were encrypted with, as the last line of the Secret {name}, or"
        " change the Secrets of their logins so that the operator writes them anew; then run this again."
        " --despite-unreadable removes the old keys all the same: they do not open them either"
    )
