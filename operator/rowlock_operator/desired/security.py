"""The restricted security contexts, over which a user's own words are laid key by key."""

from rowlock_operator.api.manifest import Manifest

USER_ID = 65532  # the "nonroot" of common base images, and of ours


def pod_security(given: Manifest | None) -> Manifest:
    """Of pods with our image; the group lets the unprivileged user read the mounted Secrets."""
    restricted: Manifest = {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return restricted | (given or {})


def foreign_pod_security(given: Manifest | None) -> Manifest:
    """Of pods with an image that is not ours: whoever asks for root by `runAsNonRoot: false` gets the image's
    own user.
    """
    given = given or {}
    restricted: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if given.get("runAsNonRoot", True) and "runAsUser" not in given:
        restricted["runAsUser"] = USER_ID
    return restricted | given


def container_security(given: Manifest | None, *, pod: Manifest, read_only_root: bool) -> Manifest:
    """Of the one container; says again that it is not root, since some policies look for it here."""
    restricted: Manifest = {
        **({"runAsNonRoot": True} if pod.get("runAsNonRoot") else {}),
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only_root,
        "capabilities": {"drop": ["ALL"]},
    }
    return restricted | (given or {})
