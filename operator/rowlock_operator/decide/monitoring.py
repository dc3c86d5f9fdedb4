"""What to do about a MonitoringProcess: start, stop or nothing; and the document by which the database learns
of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID, uuid5

from rowlock_operator.api.monitoring_process import Login, MonitoringProcess
from rowlock_operator.observed.monitoring import ProcessRow

QUEUES = ("monitoring", "comments", "sessions")
SOURCES = ("monitoring-discovery", "monitoring-articles", "monitoring-generation", "monitoring-posting")
PER_OWNER = 10
_LOGINS = UUID("6f0f3c52-2a39-4f0c-9a3b-6d0a0f4c1b11")  # names of logins become ids in here


class Action(Enum):
    """The next step towards what the user asks for."""

    NONE = "none"
    START = "start"
    STOP = "stop"


@dataclass(frozen=True)
class LoginSecret:
    """A login's words, in clear: between the Secret and the encryption only. `version` changes with the
    Secret.
    """

    username: str
    password: str
    version: str

    def __repr__(self) -> str:
        return f"LoginSecret(version={self.version!r})"


def decide_action(process: MonitoringProcess, row: ProcessRow | None) -> Action:
    """A process that has ended is started again by Running after Stopped, or by another spec.startRequest;
    never by a restart of the operator.
    """
    spec, told = process.spec, process.status
    if row is None:
        return Action.NONE
    if spec.state == "Stopped":
        return Action.STOP if row.alive else Action.NONE
    if row.alive:
        return Action.NONE
    never = row.status == "created" and row.started_at is None
    again = told.last_state == "Stopped" or (
        told.last_start_request is not None and told.last_start_request != spec.start_request
    )
    return Action.START if never or again else Action.NONE


def login_id(process: MonitoringProcess, login: Login) -> str:
    """One account is one login, whatever number of processes uses it: its session, its pace and its uses are
    shared.
    """
    ref = login.secret_ref
    return str(
        uuid5(
            _LOGINS,
            "\n".join(
                (
                    process.metadata.namespace,
                    ref.name,
                    ref.username_key,
                    ref.password_key,
                    process.spec.site.base_url,
                )
            ),
        )
    )


def build_document(
    process: MonitoringProcess,
    *,
    secrets: dict[str, LoginSecret],
    api_key: str | None,
    encrypt: Callable[[str], str],
) -> dict[str, Any]:
    """What monitoring.apply_v1 takes; `secrets` by the login's name. Nothing of it is in clear that was in a
    Secret.
    """
    spec, meta = process.spec, process.metadata
    own = UUID(meta.uid)
    return {
        "id": meta.uid,
        "namespace": meta.namespace,
        "name": meta.name,
        "description": spec.description,
        "owner": spec.owner,
        "site_driver": spec.site.driver,
        "base_url": spec.site.base_url,
        "generate_only": spec.generate_only,
        "hide_comments": spec.hide_comments,
        "category_filter": spec.filter.category,
        "task_filter": spec.filter.task,
        "search_filter": spec.filter.search,
        "tab_filter": spec.filter.tab,
        "sort_option": spec.filter.sort,
        "article_limit": spec.filter.limit,
        "max_duration_minutes": spec.max_duration_minutes,
        "settings": {
            "discovery_interval_seconds": spec.discovery.interval_seconds,
            "discovery_max_interval_seconds": spec.discovery.max_interval_seconds,
            "requests_per_second": spec.site.requests_per_second,
            "comment_prefix": spec.comment.prefix,
            "comment_min_length": spec.comment.min_length,
            "comment_max_length": spec.comment.max_length,
            "login_concurrency": spec.login_concurrency,
            "max_comments": spec.llm.budget.max_comments,
        },
        "logins": [
            {
                "id": login_id(process, login),
                "name": login.name,
                "username_encrypted": encrypt(secrets[login.name].username),
                "password_encrypted": encrypt(secrets[login.name].password),
                "credentials_hash": secrets[login.name].version,
            }
            for login in spec.logins
        ],
        "prompts": [
            {
                "id": str(uuid5(own, f"prompt {prompt.name}")),
                "name": prompt.name,
                "system_prompt": prompt.system,
                "template": prompt.template,
            }
            for prompt in spec.prompts
        ],
        "llm": {
            "id": str(uuid5(own, "llm")),
            "provider": spec.llm.provider,
            "model": spec.llm.model,
            "base_url": spec.llm.base_url,
            "api_key_encrypted": None if api_key is None else encrypt(api_key),
            "max_tokens": spec.llm.max_tokens,
            "temperature": spec.llm.temperature,
            "settings": {
                "timeout_seconds": spec.llm.timeout_seconds,
                "max_total_tokens": spec.llm.budget.max_total_tokens,
            },
        },
    }
