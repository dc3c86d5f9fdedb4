"""Cluster, images, chart: the same for both acts, so that the second may follow the first."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.demo.session import RELEASE, Session, say

IMAGES = {"rowlock-operator": "operator/Dockerfile", "rowlock-worker": "jobimages/Dockerfile"}
_VALUES = Path(__file__).parent / "manifests/values.yaml"


def install(session: Session) -> None:
    """Each step says what it does and how long it took."""
    began = time.monotonic()
    session.step(f"A cluster ({session.cluster}), built from upstream programs where Docker is not at hand")
    session.tool("up", "--name", session.cluster, quiet=False)
    session.step("The images, side by side; the first time it takes a minute or two")
    with ThreadPoolExecutor() as pool:
        for said in pool.map(lambda image: _build(session, *image), IMAGES.items()):
            say(said)
    session.step("The chart, with its PostgreSQL and Redis for development")
    volume = json.dumps({"hostPath": {"path": session.documents_path, "type": "DirectoryOrCreate"}})
    session.helm(
        "upgrade",
        "--install",
        RELEASE,
        "charts/rowlock",
        "--create-namespace",
        "--wait",
        "--timeout",
        "240s",
        "-f",
        str(_VALUES),
        "--set-json",
        f"domain.documents.volume={volume}",
    )
    # A second run of the demo builds the same tag anew: pods of the first keep their image until they are
    # replaced.
    say(f"  installed after {time.monotonic() - began:.0f} s")


def _build(session: Session, name: str, dockerfile: str) -> str:
    """Builds one image into the cluster; the line that says how long it took."""
    began, image = time.monotonic(), f"{name}:0.1.0"
    session.tool("build", "--name", session.cluster, "-t", image, "-f", dockerfile, ".")
    return f"  {time.monotonic() - began:6.1f} s  built {image}"
