"""Outside the cluster: the same words, said inside the operator's pod."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rowlock_cli.errors import Failed

Write = Callable[[bytes], None]
OPERATOR_LABELS = "app.kubernetes.io/name=rowlock,app.kubernetes.io/component=operator"


def run_in_operator(
    words: Sequence[str], *, namespace: str | None, context: str | None, write: Write | None = None
) -> int:
    """Runs `rowlock --direct WORDS` in an operator pod, passes its output on, returns its exit code. Failed
    where there is no way in.

    With `write` the output (not the errors) goes there instead.
    """
    # Imported here: inside the operator's pod, where most commands run, the client is neither needed nor
    # cheap.
    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
    except ImportError as error:
        raise Failed(
            "neither ROWLOCK_DATABASE_URL is set nor a Kubernetes client installed: set"
            " ROWLOCK_DATABASE_URL_FILE, or install the extra `cli`"
        ) from error
    from urllib3.exceptions import HTTPError

    try:
        api_client = config.new_client_from_config(kubeconfig(), context=context)
        space = namespace or current_namespace(config, context)
        core = client.CoreV1Api(api_client)
        pods = core.list_namespaced_pod(space, label_selector=OPERATOR_LABELS).items
        name, container = choose_pod(pods, space)
        return exec_in_pod(core, name, space, container, ["rowlock", "--direct", *words], write or _print)
    except ConfigException as error:
        raise Failed(
            f"neither ROWLOCK_DATABASE_URL is set nor a cluster is reachable: {error}; set one of"
            " ROWLOCK_DATABASE_URL_FILE, KUBECONFIG"
        ) from error
    except client.ApiException as error:
        said = error.reason or str(error).splitlines()[0]
        raise Failed(
            f"the cluster refused ({error.status or 'no status'}: {said}); the command needs to list pods and"
            " to exec into the operator's"
        ) from error
    except (HTTPError, OSError) as error:
        raise Failed(f"the cluster does not answer: {error}") from error


def kubeconfig() -> str | None:
    """KUBECONFIG as it is now (the client keeps what it was when it was imported); None = the usual place."""
    return os.environ.get("KUBECONFIG") or None


def choose_pod(pods: Sequence[Any], namespace: str) -> tuple[str, str]:
    """Name and container of an operator pod that is ready (each replica has a database connection). Failed
    with what to do. Pure.
    """
    ready = sorted(
        (pod.metadata.name, pod.spec.containers[0].name)
        for pod in pods
        if pod.status.phase == "Running"
        and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])
    )
    if ready:
        return ready[0]
    if pods:
        raise Failed(
            f"no operator pod in the namespace {namespace} is ready: `kubectl -n {namespace} get pods -l"
            f" {OPERATOR_LABELS}` says why"
        )
    raise Failed(
        f"there is no Rowlock operator in the namespace {namespace}; name its namespace with -n, or set"
        " ROWLOCK_DATABASE_URL_FILE"
    )


def current_namespace(config: Any, context: str | None) -> str:
    """What kubectl would take: the namespace of the context, else default."""
    contexts, active = config.list_kube_config_contexts(kubeconfig())
    chosen = next((item for item in contexts if item["name"] == context), active) if context else active
    return str(chosen["context"].get("namespace") or "default")


def exec_in_pod(
    core: Any,
    pod: str,
    namespace: str,
    container: str,
    command: list[str],
    write: Write,
    write_error: Write | None = None,
) -> int:
    """Runs a program in a container; its exit code. Failed where the connection ends first; else raises what
    the client raises.
    """
    from kubernetes.stream import stream

    socket = stream(
        core.connect_get_namespaced_pod_exec, pod, namespace, container=container, command=command,
        stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False, binary=True,
    )  # fmt: skip
    try:
        while socket.is_open():
            socket.update(timeout=1)
            _pass_on(socket, write, write_error or _print_error)
        _pass_on(socket, write, write_error or _print_error)
        code = socket.returncode
    finally:
        socket.close()
    if code is None:
        raise Failed(
            f"the connection to the pod {namespace}/{pod} ended before the command did; run it again"
        )
    return int(code)


def _pass_on(socket: Any, write: Write, write_error: Write) -> None:
    while socket.peek_stdout():
        write(socket.read_stdout())
    while socket.peek_stderr():
        write_error(socket.read_stderr())


def _print_error(output: bytes) -> None:
    sys.stderr.buffer.write(output)
    sys.stderr.flush()


def _print(output: bytes) -> None:
    sys.stdout.buffer.write(output)
    sys.stdout.flush()
