"""The control plane of tests/services, under the names the tests here ask for."""

from tests.services.kube import kube, kube_control_plane

__all__ = ["kube", "kube_control_plane"]
