"""Brings the cluster's CustomResourceDefinitions to this chart's version by server-side apply. Standard
library only.
"""

import os
import pathlib
import ssl
import sys
import urllib.error
import urllib.request

ACCOUNT = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVER = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"

for file in sorted(pathlib.Path("/definitions").glob("*.yaml")):
    group, _, plural = file.stem.partition("_")
    name = f"{plural}.{group}"
    request = urllib.request.Request(
        # As "helm", who created them: with another manager of the fields the next `helm install` would find a
        # conflict. Force: for hands that edited them.
        f"{SERVER}/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}?fieldManager=helm&force=true",
        data=file.read_bytes(),
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/apply-patch+yaml",
        },
        method="PATCH",
    )
    try:
        with urllib.request.urlopen(
            request, timeout=30, context=ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        ):
            print(f"applied {name}", flush=True)
    except urllib.error.HTTPError as refused:
        sys.exit(f"the API server refused {name} ({refused.code}): {refused.read().decode(errors='replace')}")
