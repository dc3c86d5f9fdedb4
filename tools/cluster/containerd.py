"""Images in a host cluster's containerd: which there are, and bringing one in."""

import hashlib
import json
import tarfile
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.cluster.places import ClusterPlace
from tools.cluster.shell import run
from tools.images.archive import images_in

NAMESPACE = "k8s.io"


class ImageStore:
    """The kubelet's image store of one cluster."""

    def __init__(self, place: ClusterPlace, ctr: Path) -> None:
        self._ctr: list[str | Path] = [
            ctr,
            "--address",
            place.containerd_socket,
            "--namespace",
            NAMESPACE,
            "images",
        ]
        self._imported = place.folder / "imported"

    def names(self) -> set[str]:
        """Full names of the images present."""
        return set(run([*self._ctr, "list", "--quiet"]).split())

    def import_archive(self, archive: Path) -> list[str]:
        """Bring in every image of a docker-archive; their full names. Raises ClusterError where it is no such
        archive.
        """
        try:
            images = images_in(archive)
        except (OSError, KeyError, ValueError, tarfile.TarError) as broken:
            raise ClusterError(
                f"{archive} is no image archive ({broken}): make one with `docker save`."
            ) from broken
        run([*self._ctr, "import", archive])
        return images

    def ensure(self, archive: Path) -> bool:
        """Bring in an archive of the cache unless that very one is present; whether anything was done.

        An archive of the cache is known by its path, which holds the hash of its recipe.
        """
        mark = self._imported / hashlib.sha256(str(archive).encode()).hexdigest()[:16]
        if mark.exists() and set(json.loads(mark.read_text())) <= self.names():
            return False
        images = self.import_archive(archive)
        self._imported.mkdir(exist_ok=True)
        mark.write_text(json.dumps(images))
        return True
