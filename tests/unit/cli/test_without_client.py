"""The command line where no Kubernetes client is installed, as in the operator's image."""

import sys

import pytest

from rowlock_cli.errors import Failed
from rowlock_cli.kube.cluster import connected
from rowlock_cli.kube.operator_pod import run_in_operator


def test_without_a_kubernetes_client_a_sentence_says_where_the_command_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(Failed, match="where your kubeconfig is, with the extra `cli`"):
        with connected(namespace=None, context=None, needs="get secrets"):
            pass
    with pytest.raises(Failed, match="install the extra `cli`"):
        run_in_operator(["runs"], namespace=None, context=None)
