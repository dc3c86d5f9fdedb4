"""MonitoringProcess at the real API server: right ones get their defaults, wrong ones a sentence."""

from typing import Any

import pytest

from rowlock_operator.api.monitoring_process import DISCLOSURE, PLACEHOLDERS, MonitoringProcess
from tests.services.kube import KubeControlPlane
from tests.services.manifests import monitoring_process

pytestmark = pytest.mark.integration
PATH = "/apis/rowlock.dev/v1alpha1/namespaces/default/monitoringprocesses"
LOGIN = {"name": "ada", "secretRef": {"name": "login-ada"}}
SITE = {"driver": "mymoment", "baseURL": "https://site.example"}
LLM = {"provider": "compatible", "model": "small", "baseURL": "http://llm:8080/v1"}


def prompt(template: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "kind", "template": template, **more}]


# what is wrong -> (manifest, words the refusal must hold)
WRONG: dict[str, tuple[Any, ...]] = {
    "no login": (monitoring_process(logins=[]), "spec.logins", "at least 1"),
    "logins missing": (monitoring_process(logins=None), "spec.logins", "Required"),
    "login twice": (monitoring_process(logins=[LOGIN, LOGIN]), "spec.logins[1]", "Duplicate"),
    "login without its Secret": (monitoring_process(logins=[{"name": "ada"}]), "secretRef", "Required"),
    "no prompt": (monitoring_process(prompts=[]), "spec.prompts", "at least 1"),
    "empty template": (monitoring_process(prompts=prompt("")), "spec.prompts[0].template", "at least 1"),
    "unknown placeholder": (
        monitoring_process(prompts=prompt("About {article_titel}")),
        "spec.prompts[0].template",
        "{article_title}",
    ),
    "unknown placeholder in system": (
        monitoring_process(prompts=prompt("x", system="You are {who}")),
        "spec.prompts[0].system",
        "correct",
    ),
    "duration of none": (
        monitoring_process(maxDurationMinutes=0),
        "spec.maxDurationMinutes",
        "greater than or equal to 1",
    ),
    "duration over a day": (
        monitoring_process(maxDurationMinutes=1441),
        "spec.maxDurationMinutes",
        "less than or equal to 1440",
    ),
    "unknown driver": (
        monitoring_process(site=SITE | {"driver": "facebook"}),
        "spec.site.driver",
        '"mymoment", "generic-rss"',
    ),
    "site without scheme": (
        monitoring_process(site=SITE | {"baseURL": "site.example"}),
        "spec.site.baseURL",
        "https://",
    ),
    "password in the address": (
        monitoring_process(site=SITE | {"baseURL": "https://u:p@site.example"}),
        "baseURL",
        "without user",
    ),
    "too fast": (
        monitoring_process(site=SITE | {"requestsPerSecond": 1000}),
        "requestsPerSecond",
        "less than or equal to 50",
    ),
    "empty prefix": (monitoring_process(comment={"prefix": ""}), "spec.comment.prefix", "at least 1"),
    "blank prefix": (
        monitoring_process(comment={"prefix": "   "}),
        "spec.comment.prefix",
        "an AI wrote the comment",
    ),
    "prefix of two lines": (
        monitoring_process(comment={"prefix": "an AI\nwrote"}),
        "spec.comment.prefix",
        "one line",
    ),
    "text of others in system": (
        monitoring_process(prompts=prompt("x", system="{article_content}")),
        "spec.prompts[0].system",
        "remove",
    ),
    "shortest over longest": (
        monitoring_process(comment={"minLength": 600, "maxLength": 500}),
        "minLength",
        "lower minLength or raise maxLength",
    ),
    "unknown provider": (
        monitoring_process(llm=LLM | {"provider": "oracle"}),
        "spec.llm.provider",
        '"openai"',
    ),
    "no model": (monitoring_process(llm={"provider": "openai"}), "spec.llm.model", "Required"),
    "openai without a key": (
        monitoring_process(llm={"provider": "openai", "model": "m"}),
        "spec.llm.apiKeySecretRef",
        "needs apiKeySecretRef",
    ),
    "ollama without an address": (
        monitoring_process(llm={"provider": "ollama", "model": "m"}),
        "spec.llm.baseURL",
        "endpoint",
    ),
    "interval over its maximum": (
        monitoring_process(discovery={"intervalSeconds": 700}),
        "intervalSeconds",
        "raise the other",
    ),
    "posting by RSS": (
        monitoring_process(site=SITE | {"driver": "generic-rss"}, generateOnly=False),
        "spec.generateOnly",
        "cannot post",
    ),
    "unknown state": (monitoring_process(state="Paused"), "spec.state", '"Running", "Stopped"'),
    "no article": (
        monitoring_process(filter={"limit": 0}),
        "spec.filter.limit",
        "greater than or equal to 1",
    ),
    "misspelled field": (monitoring_process(generate_only=True), "unknown field", "spec.generate_only"),
    "dotted name": (monitoring_process("a.b"), "no dot", "choose another"),
}


@pytest.mark.parametrize(
    ("manifest", "words"), [pytest.param(case[0], case[1:], id=wrong) for wrong, case in WRONG.items()]
)
def test_a_wrong_process_is_refused_with_what_to_change(
    kube_control_plane: KubeControlPlane, manifest: dict[str, Any], words: tuple[str, ...]
) -> None:
    status, answer = kube_control_plane.request("POST", f"{PATH}?dryRun=All&fieldValidation=Strict", manifest)
    assert status in (400, 422), answer
    assert [word for word in words if word not in answer["message"]] == [], answer["message"]


def test_the_smallest_process_gets_safe_defaults(kube_control_plane: KubeControlPlane) -> None:
    status, made = kube_control_plane.request(
        "POST", f"{PATH}?dryRun=All&fieldValidation=Strict", monitoring_process()
    )
    assert status == 201, made
    spec = MonitoringProcess.parse(made).spec
    assert spec.generate_only
    assert spec.comment.prefix == DISCLOSURE
    assert (spec.max_duration_minutes, spec.site.requests_per_second, spec.state) == (60, 2, "Running")


def test_every_placeholder_and_braces_of_other_kinds_are_accepted(
    kube_control_plane: KubeControlPlane,
) -> None:
    template = " ".join(f"{{{name}}}" for name in PLACEHOLDERS) + ' {"json": 1} { } {1} p { color: red }'
    status, made = kube_control_plane.request(
        "POST", f"{PATH}?dryRun=All&fieldValidation=Strict", monitoring_process(prompts=prompt(template))
    )
    assert status == 201, made


@pytest.mark.parametrize(
    "site", [SITE | {"baseURL": "https://other.example"}, SITE | {"driver": "generic-rss"}]
)
def test_the_site_of_a_process_cannot_be_changed(
    kube_control_plane: KubeControlPlane, site: dict[str, Any]
) -> None:
    status, made = kube_control_plane.request("POST", PATH, monitoring_process("fixed"))
    assert status == 201, made
    try:
        made["spec"]["site"] = site
        status, answer = kube_control_plane.request("PUT", f"{PATH}/fixed", made)
        assert status == 422
        assert "create another MonitoringProcess" in answer["message"]
    finally:
        kube_control_plane.request("DELETE", f"{PATH}/fixed")
