"""Small readers of Kubernetes' JSON."""

from datetime import UTC, datetime

from rowlock_operator.api.manifest import Manifest


def instant(text: str | None) -> datetime | None:
    """A Kubernetes timestamp as aware UTC; None for none, and for what is none."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None


def condition(manifest: Manifest, kind: str) -> Manifest | None:
    """The condition of that type while it is True."""
    found: list[Manifest] = (manifest.get("status") or {}).get("conditions") or []
    return next((one for one in found if one.get("type") == kind and one.get("status") == "True"), None)


def label(manifest: Manifest, name: str) -> str | None:
    """A label's value."""
    value = (manifest["metadata"].get("labels") or {}).get(name)
    return None if value is None else str(value)
