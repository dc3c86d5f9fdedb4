"""Runs the Tiltfile in a Starlark interpreter whose built-ins are Tilt's, with Tilt's signatures, and records
what they were asked.

What the real Tilt refuses for another reason than a call's form is in rules.py, each rule with its source.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

from tests.unit.tilt import rules

ROOT = Path(__file__).parents[3]
OWN_KUBECONFIG = "/state/clusters/dev/kubeconfig"

Document = dict[str, Any]


def documents_of(text: str) -> list[Document]:
    """The documents of a YAML stream, by the C parser: the definitions are long."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def stream(documents: list[Document]) -> str:
    """A YAML stream of these documents."""
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper)


class Blob:
    """Content, where a plain string would be the name of a file. As in Tilt it has no methods: only `str()`
    opens it.
    """

    def __init__(self, text: str) -> None:
        self.text = text


@dataclass
class Recording:
    """Everything the Tiltfile asked Tilt for, in order."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)  # what Tilt would say and go on

    def of(self, *names: str) -> list[dict[str, Any]]:
        """Arguments of every call of these built-ins."""
        return [arguments for name, arguments in self.calls if name in names]

    def resources(self) -> dict[str, dict[str, Any]]:
        """Every resource by the name that Tilt shows."""
        named = [(call["new_name"] or call["workload"], call) for call in self.of("k8s_resource")]
        named += [(call["name"], call) for call in self.of("local_resource")]
        assert len(dict(named)) == len(named), "a name stands for two resources"
        return dict(named)

    @functools.cached_property
    def documents(self) -> list[Document]:
        """Every Kubernetes object handed over, in order."""
        return [document for call in self.of("k8s_yaml") for document in objects_of(call["yaml"])]


def objects_of(given: Any) -> list[Document]:
    """The objects of one argument of k8s_yaml: content, names of files, or a list of them."""
    parts = given if isinstance(given, list) else [given]
    texts = [part.text if isinstance(part, Blob) else (ROOT / part).read_text() for part in parts]
    return [document for text in texts for document in documents_of(text)]


# Tilt's own words for what the Tiltfile uses: a parameter that Tilt does not have is a TypeError here, too.
SIGNATURES = {
    "version_settings": "check_updates=True, constraint=''",
    "analytics_settings": "enable",
    "ci_settings": "k8s_grace_period='', timeout='30m', readiness_timeout='5m'",
    "allow_k8s_contexts": "contexts",
    "docker_build": (
        "ref, context, build_args={}, dockerfile='Dockerfile', dockerfile_contents='', live_update=[],"
        " match_in_env_vars=False, ignore=[], only=[], entrypoint=[], target='', ssh='', network='',"
        " secret='', extra_tag='', container_args=None, cache_from=[], pull=False, platform='',"
        " extra_hosts=[]"
    ),
    "custom_build": (
        "ref, command, deps, tag='', disable_push=False, skips_local_docker=False, live_update=[],"
        " match_in_env_vars=False, ignore=[], entrypoint=[], command_bat_val='', outputs_image_ref_to='',"
        " command_bat='', image_deps=[], env={}, dir=''"
    ),
    "k8s_yaml": "yaml, allow_duplicates=False",
    "k8s_resource": (
        "workload='', new_name='', port_forwards=[], extra_pod_selectors=[], trigger_mode=None,"
        " resource_deps=[], objects=[], auto_init=True, pod_readiness='', links=[], labels=[],"
        " discovery_strategy=''"
    ),
    "local_resource": (
        "name, cmd, deps=None, trigger_mode=None, resource_deps=[], ignore=[], auto_init=True, serve_cmd='',"
        " cmd_bat='', serve_cmd_bat='', allow_parallel=False, links=[], labels=[], env={}, serve_env={},"
        " readiness_probe=None, dir='', serve_dir=''"
    ),
    "port_forward": "local_port, container_port=None, name=None, link_path=None, host=None",
    "local": "command, quiet=False, command_bat='', echo_off=False, env={}, dir='', stdin=None",
    "helm": "paths, name='', namespace='', values=[], set=[], kube_version='', skip_crds=False",
    "filter_yaml": "yaml, labels=None, name=None, namespace=None, kind=None, api_version=None",
    "decode_yaml_stream": "yaml",
    "encode_yaml": "obj",
    "read_yaml": "path, default=None",
}


def _signature(text: str) -> inspect.Signature:
    return inspect.signature(eval(f"lambda {text}: None", {}))  # our own constants above


def cluster_tool(words: list[str]) -> str:
    """What tools/cluster prints on a machine whose cluster `dev` is up."""
    if words[0] == "kubeconfig":
        return f"{OWN_KUBECONFIG}\n"
    return "".join(f"{name}\t/programs/{name}/{name}\n" for name in words[1:])


@dataclass(frozen=True)
class Machine:
    """Where the Tiltfile runs: what answers when it asks for something outside itself."""

    context: str
    helm: Callable[[Mapping[str, Any]], str]
    local: Callable[[list[str]], str]
    environment: Mapping[str, str] = field(default_factory=dict)
    cluster: str | None = None  # the cluster of that context in the kubeconfig; None = of the same name
    files: frozenset[str] = frozenset({".venv/bin/python"})


def run_tiltfile(machine: Machine, text: str | None = None) -> Recording:
    """The recording of one load; raises starlark.StarlarkError where the Tiltfile fails."""
    recording = Recording(environment={"PATH": "/usr/bin", **machine.environment})
    known: list[Document] = []  # objects handed over so far
    cluster = machine.context if machine.cluster is None else machine.cluster

    def allowed() -> bool:
        given = [call["contexts"] for call in recording.of("allow_k8s_contexts")]
        return rules.is_allowed(
            cluster,
            machine.context,
            [name for one in given for name in (one if isinstance(one, (list, tuple)) else [one])],
        )

    module = starlark.Module()

    def answer(name: str, call: dict[str, Any]) -> Any:
        if name == "local":
            return _blob(machine.local(list(call["command"])))
        if name == "helm":
            return _blob(machine.helm(call))
        if name == "filter_yaml":
            matching, rest = _split(call["yaml"].text, call["kind"])
            return (_blob(matching), _blob(rest))
        if name == "decode_yaml_stream":
            return documents_of(call["yaml"].text)
        if name == "read_yaml":
            return yaml.safe_load((ROOT / call["path"]).read_text())
        if name == "encode_yaml":
            return _blob(stream([call["obj"]]))
        return dict(call) if name == "port_forward" else None

    def built_in(name: str) -> Callable[..., Any]:
        signature = _signature(SIGNATURES[name])

        def called(*positional: Any, **named: Any) -> Any:
            bound = signature.bind(*positional, **named)
            bound.apply_defaults()
            if name == "local":
                rules.refuse(
                    not allowed(),
                    f"Refusing to run 'local' because {machine.context} might be a production kube context",
                )
            rules.check_call(name, bound.arguments, calls=recording.calls, root=ROOT)
            if name == "k8s_yaml":
                objects = objects_of(bound.arguments["yaml"])
                rules.check_objects(objects, known, allow_duplicates=bound.arguments["allow_duplicates"])
                known.extend(objects)
            recording.calls.append((name, dict(bound.arguments)))
            return answer(name, bound.arguments)

        return called

    for name in SIGNATURES:
        module.add_callable(name, built_in(name))
    module.add_callable("k8s_context", lambda: machine.context)
    module.add_callable("str", lambda value: value.text if isinstance(value, Blob) else str(value))
    module.add_callable("_getenv", lambda name, default=None: recording.environment.get(name, default))
    module.add_callable("_putenv", recording.environment.__setitem__)
    module.add_callable("_exists", lambda path: path in machine.files)
    module.add_callable("_dirname", lambda path: str(Path(path).parent))

    # Tilt's interpreter (Go) has neither f-strings nor types.
    dialect = starlark.Dialect.extended()
    dialect.enable_f_strings = False
    dialect.enable_types = starlark.DialectTypes.DISABLE
    library = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
    prelude = "os = struct(getenv=_getenv, putenv=_putenv, path=struct(exists=_exists, dirname=_dirname))"
    starlark.eval(module, starlark.parse("prelude", prelude, dialect), library)
    source = (ROOT / "Tiltfile").read_text() if text is None else text
    starlark.eval(module, starlark.parse("Tiltfile", source, dialect), library)
    recording.warnings = rules.check_end(recording.calls, known)
    rules.refuse(known and not allowed(), f"Stop! {machine.context} might be production.")
    return recording


def _blob(text: str) -> Any:
    return starlark.OpaquePythonObject(Blob(text))


def _split(text: str, kind: str) -> tuple[str, str]:
    assert (kind[0], kind[-1]) == ("^", "$"), "without both ends filter_yaml finds a part of the word, too"
    documents = documents_of(text)
    matching = [d for d in documents if d["kind"].lower() == kind[1:-1].lower()]
    return stream(matching), stream([d for d in documents if d not in matching])
