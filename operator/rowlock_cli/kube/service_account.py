"""The database address as the operator itself finds it: from the Secret named in its environment. Standard
library only.
"""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from rowlock_cli.errors import Failed

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def secret_url(environment: Mapping[str, str] = os.environ, account: Path = ACCOUNT) -> str | None:
    """Key `url` of the Secret ROWLOCK_DATABASE_SECRET in POD_NAMESPACE; None outside such a pod. Failed where
    the API refuses.
    """
    name, namespace, host = (
        environment.get(key)
        for key in ("ROWLOCK_DATABASE_SECRET", "POD_NAMESPACE", "KUBERNETES_SERVICE_HOST")
    )
    token = account / "token"
    if not (name and namespace and host and token.is_file()):
        return None
    # Imported here: a pod of the chart has the address in a file, and never comes this far.
    import ssl
    import urllib.error
    import urllib.request

    address = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{address}:{environment.get('KUBERNETES_SERVICE_PORT', '443')}"
        f"/api/v1/namespaces/{namespace}/secrets/{name}",
        headers={"Authorization": f"Bearer {token.read_text().strip()}", "Accept": "application/json"},
    )
    try:
        context = ssl.create_default_context(cafile=str(account / "ca.crt"))
        with urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        ).open(request, timeout=10) as answer:
            data = json.load(answer).get("data") or {}
        return base64.b64decode(data["url"]).decode(errors="replace").strip()
    except KeyError as error:
        raise Failed(
            f"the Secret {namespace}/{name} has no key url; add the operator's database address under it"
        ) from error
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise Failed(
            f"the Secret {namespace}/{name} cannot be read ({error}); does the operator's Role allow it?"
        ) from error
