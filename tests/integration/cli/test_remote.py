"""Outside the cluster: the words travel into the operator's pod, its answer and exit code travel back."""

import base64
import getpass
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kubernetes import client, config

from rowlock_cli.commands.credentials.key_file import digest, fingerprint
from rowlock_cli.commands.credentials.key_mounts import mounts_of
from rowlock_cli.kube.cluster import connected
from rowlock_cli.kube.operator_pod import OPERATOR_LABELS
from tests.services.monitoring import KEY
from tests.services.process import wait_until

pytestmark = pytest.mark.cluster

# Stands where the operator's image has `rowlock`: says what it was called with, much, in another alphabet, on
# both streams.
ANSWER = r"""#!/bin/sh
case "$*" in
*comments*--dry-run*)
    echo '{"verb": "approved", "process": "demo/watch", "count": 2,' \
      '"until": "2026-03-01T12:00:00.000000+00:00"}'
    exit 0 ;;
*reencrypt*) exec python3 -c "$REENCRYPT" ;;
*--dry-run*)
    echo '{"verb": "delete", "queue": "demo/documents", "what": "dead", "age": "", "count": 2}'
    exit 0 ;;
*--yes*) echo "$*"; exit 0 ;;
*--ticks*) echo '{"at": "2026-03-01T12:00:00+00:00", "runners_alive": 0, "queues": []}'; exit 4 ;;
esac
printf '%s|' "$@"
printf 'grüße ☃\n'
seq 1 20000
echo 'one sentence' >&2
exit 3
"""
# The task's report, of a worker that has nothing to do: which key its file has first.
REENCRYPT = """
import base64, hashlib, json
key = open("/var/run/encryption/keys").read().split()[0]
name = hashlib.sha256(b"rowlock credentials key id\\0" + base64.urlsafe_b64decode(key)).hexdigest()[:12]
print(json.dumps({"key": name, "encrypted_anew": 0, "unreadable": 0, "looked_at": 0, "opened_by": {name: 0}}))
"""
Rowlock = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def kubeconfig(cluster_kubeconfig: Path) -> str:
    """Of a cluster that tools/cluster made: nobody else's is ever touched."""
    return str(cluster_kubeconfig)


@pytest.fixture(scope="module")
def core(kubeconfig: str) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(kubeconfig))


@pytest.fixture
def namespace(core: client.CoreV1Api) -> Iterator[str]:
    name = f"rowlock-cli-{uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    # The API server makes the account a moment later, and refuses pods until then.
    wait_until(
        lambda: any(a.metadata.name == "default" for a in core.list_namespaced_service_account(name).items),
        "the service account",
    )
    yield name
    core.delete_namespace(name)


@pytest.fixture
def rowlock(kubeconfig: str) -> Rowlock:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ROWLOCK_")} | {
        "KUBECONFIG": kubeconfig
    }
    program = os.path.join(os.path.dirname(sys.executable), "rowlock")
    return lambda *words, answer="", timeout=60: subprocess.run(
        [program, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        input=answer,
    )


@pytest.fixture
def operator_pod(core: client.CoreV1Api, namespace: str) -> str:
    program = "/usr/local/bin/rowlock"
    install = (
        f"mkdir -p /usr/local/bin && cat > {program} <<'END'\n{ANSWER}END\nchmod +x {program}; exec sleep"
        " 3600"
    )
    container = {
        "name": "operator",
        "image": "docker.io/library/python:3.13-slim-trixie",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", install],
        "readinessProbe": {"exec": {"command": ["test", "-x", program]}, "periodSeconds": 1},
        "env": [
            {"name": "ROWLOCK_ENCRYPTION_KEYS_FILE", "value": "/var/run/encryption/keys"},
            {"name": "REENCRYPT", "value": REENCRYPT},
        ],
        "volumeMounts": [{"name": "encryption", "mountPath": "/var/run/encryption", "readOnly": True}],
    }
    core.create_namespaced_secret(
        namespace, {"metadata": {"name": "ours-encryption"}, "stringData": {"keys": f"{KEY}\n"}}
    )
    labels = dict(pair.split("=") for pair in OPERATOR_LABELS.split(","))
    volume = {"name": "encryption", "secret": {"secretName": "ours-encryption"}}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": [volume]}
    core.create_namespaced_pod(
        namespace, {"metadata": {"name": "operator-0", "labels": labels}, "spec": spec}
    )

    def ready() -> bool:
        conditions = core.read_namespaced_pod("operator-0", namespace).status.conditions or []
        return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)

    wait_until(ready, "the pod is ready", 90)
    return "operator-0"


def test_words_output_and_exit_code_pass_through_the_operators_pod(
    operator_pod: str, namespace: str, rowlock: Rowlock
) -> None:
    done = rowlock("why", "-n", namespace, "01 95", "-o", "json")
    numbers = "".join(f"{n}\n" for n in range(1, 20_001))
    assert done.stdout == f"--direct|why|-n|{namespace}|01 95|-o|json|grüße ☃\n{numbers}"
    assert (done.returncode, done.stderr) == (3, "one sentence\n")


def test_wrong_usage_is_told_here_and_never_travels(
    operator_pod: str, namespace: str, rowlock: Rowlock
) -> None:
    done = rowlock("requeue", "-n", namespace)
    assert (done.returncode, "name the runs" in done.stderr) == (2, True)


def test_a_namespace_without_an_operator_is_said_with_the_remedy(namespace: str, rowlock: Rowlock) -> None:
    done = rowlock("runs", "-n", namespace)
    assert (done.returncode, f"there is no Rowlock operator in the namespace {namespace}" in done.stderr) == (
        1,
        True,
    )


def test_the_question_is_asked_here_and_only_a_yes_travels(
    operator_pod: str, namespace: str, rowlock: Rowlock
) -> None:
    no = rowlock("-n", namespace, "delete-runs", "--queue", "documents", answer="n\n")
    assert (no.returncode, no.stdout) == (1, "")
    assert "2 dead runs of demo/documents would be deleted" in no.stderr
    yes = rowlock("-n", namespace, "delete-runs", "--queue", "documents", answer="y\n")
    assert (yes.returncode, yes.stdout) == (
        0,
        f"--direct delete-runs -n {namespace} --queue documents --yes\n",
    )


def test_the_monitor_in_the_pod_ends_by_itself_and_its_exit_code_travels_back(
    operator_pod: str, namespace: str, rowlock: Rowlock
) -> None:
    done = rowlock("monitor", "-n", namespace, "-o", "json")
    assert (done.returncode, done.stdout) == (
        4,
        '{"at": "2026-03-01T12:00:00+00:00", "runners_alive": 0, "queues": []}\n',
    )


def test_who_approves_and_what_was_counted_travel_with_the_yes(
    operator_pod: str, namespace: str, rowlock: Rowlock
) -> None:
    done = rowlock("comments", "approve", "--process", "watch", "--all", "-n", namespace, answer="y\n")
    assert "2 comments of demo/watch would be approved and posted" in done.stderr
    words = (
        f"comments approve --process watch --all -n {namespace} --by {getpass.getuser()} --yes --until"
        " 2026-03-01T12:00:00.000000+00:00"
    )
    assert (done.returncode, done.stdout) == (0, f"--direct {words}\n")
    one = rowlock("-n", namespace, "comments", "reject", "01", "--by", "bea")
    assert one.stdout.startswith(f"--direct|comments|-n|{namespace}|reject|01|--by|bea|grüße")


def test_the_digest_of_a_mounted_secret_is_seen_and_follows_the_secret(
    kubeconfig: str, core: client.CoreV1Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `credentials rotate` waits for: a real kubelet brings a changed Secret into the pod, within its
    minute.
    """
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    core.create_namespaced_secret(namespace, {"metadata": {"name": "ours"}, "stringData": {"keys": "one\n"}})
    container = {
        "name": "worker",
        "image": "docker.io/library/python:3.13-slim-trixie",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "3600"],
        "volumeMounts": [{"name": "keys", "mountPath": "/var/run/encryption"}],
    }
    volume = {"name": "keys", "secret": {"secretName": "ours", "items": [{"key": "keys", "path": "keys"}]}}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": [volume]}
    core.create_namespaced_pod(namespace, {"metadata": {"name": "worker-0"}, "spec": spec})
    with connected(namespace=namespace, context=None, needs="everything") as cluster:
        wait_until(lambda: mounts_of(cluster.pods(), "ours"), "the pod runs", 90)
        (mount,) = mounts_of(cluster.pods(), "ours")

        def seen() -> str:
            return cluster.sha256_in_pod(mount.pod, mount.container, mount.path)

        assert seen() == digest("one\n")
        assert cluster.sha256_in_pod(mount.pod, mount.container, "/nowhere") == ""
        assert cluster.sha256_in_pod("gone-0", mount.container, mount.path) == ""
        cluster.write_secret(cluster.secret("ours"), data={"keys": "two\n"}, annotations={})
        wait_until(lambda: seen() == digest("two\n"), "the kubelet brought it", 180)


@pytest.mark.slow(240)
@pytest.mark.timeout(600)  # a kubelet looks about once a minute, and it has to twice
def test_the_encryption_key_is_changed_with_real_kubelets(
    operator_pod: str, namespace: str, rowlock: Rowlock, core: client.CoreV1Api
) -> None:
    check = rowlock("credentials", "rotate", "--check", "-n", namespace, "-o", "json")
    assert (
        check.returncode,
        json.loads(check.stdout)["keys"],
        json.loads(check.stdout)["pods_with_other_keys"],
    ) == (
        0,
        [fingerprint(KEY)],
        [],
    )
    done = rowlock("credentials", "rotate", "-n", namespace, timeout=290)
    assert done.returncode == 0, done.stdout + done.stderr
    keys = (
        base64.b64decode(core.read_namespaced_secret("ours-encryption", namespace).data["keys"])
        .decode()
        .split()
    )
    assert (len(keys), KEY in keys, keys[0] in done.stdout + done.stderr) == (1, False, False)
    assert f"Everything is encrypted with the key {fingerprint(keys[0])} now" in done.stdout
