"""The Secrets that a MonitoringProcess names: logins and the model's key, read for the moment of their
encryption.
"""

import base64
import binascii

from rowlock_operator.api import reasons
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.monitoring_process import MonitoringProcess
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import SECRETS
from rowlock_operator.decide.monitoring import LoginSecret
from rowlock_operator.errors import Forbidden


class LoginSecrets:
    """Nothing is kept: the words live in the caller's hands until they are encrypted."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def read(
        self, process: MonitoringProcess
    ) -> tuple[dict[str, LoginSecret], str | None, tuple[str, ...]]:
        """(logins by name, API key or None, versions of all Secrets). Raises GiveUp naming Secret, key and
        field.
        """
        namespace, spec = process.metadata.namespace, process.spec
        logins: dict[str, LoginSecret] = {}
        versions: list[str] = []
        for number, login in enumerate(spec.logins):
            field, ref = f"spec.logins[{number}].secretRef", login.secret_ref
            secret = await self._secret(namespace, ref.name, field)
            words = [
                _text(secret, key, f"{namespace}/{ref.name}", field)
                for key in (ref.username_key, ref.password_key)
            ]
            version = f"{secret['metadata'].get('uid', '')}:{secret['metadata'].get('resourceVersion', '')}"
            logins[login.name] = LoginSecret(words[0], words[1], version)
            versions.append(version)
        api_key = None
        if spec.llm.api_key_secret_ref is not None:
            field, key_ref = "spec.llm.apiKeySecretRef", spec.llm.api_key_secret_ref
            secret = await self._secret(namespace, key_ref.name, field)
            api_key = _text(secret, key_ref.key, f"{namespace}/{key_ref.name}", field)
            versions.append(str(secret["metadata"].get("resourceVersion", "")))
        return logins, api_key, tuple(versions)

    async def _secret(self, namespace: str, name: str, field: str) -> Manifest:
        try:
            secret = await self._kube.find(SECRETS, namespace, name)
        except Forbidden as error:
            raise reasons.LOGIN_SECRET_FORBIDDEN.error(
                secret=f"{namespace}/{name}", field=f"{field}.name"
            ) from error
        if secret is None:
            raise reasons.LOGIN_SECRET_MISSING.error(
                secret=f"{namespace}/{name}", fact="does not exist", remedy="create it", field=f"{field}.name"
            )
        return secret


def _text(secret: Manifest, key: str, where: str, field: str) -> str:
    encoded = (secret.get("data") or {}).get(key)
    if not encoded:
        raise reasons.LOGIN_SECRET_MISSING.error(
            secret=where, fact=f"has no key {key}", remedy="add it", field=field
        )
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise reasons.LOGIN_SECRET_MISSING.error(
            secret=where,
            fact=f"holds no text in key {key}",
            remedy="store it as it is typed at the site",
            field=field,
        ) from None
