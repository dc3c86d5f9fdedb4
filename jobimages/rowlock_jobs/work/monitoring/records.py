"""What the tasks know of a process, a comment and a model, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A monitoring process. `settings` as docs/monitoring.md lists them."""

    id: str
    namespace: str
    name: str
    status: str
    is_active: bool
    requested: bool
    """It was asked to start and does not run yet."""
    site_driver: str
    base_url: str
    generate_only: bool
    hide_comments: bool
    tab_filter: str | None
    category_filter: int | None
    task_filter: int | None
    search_filter: str | None
    sort_option: str | None
    article_limit: int
    discovery_empty_streak: int
    settings: Mapping[str, Any]
    generation_stopped: str | None
    """Why the model is asked no more, as `Reason: sentence`; None = it may be asked."""

    @property
    def site(self) -> str:
        """What the pace of the site is counted by: its host and port."""
        return urlsplit(self.base_url).netloc.lower()

    @property
    def running(self) -> bool:
        return self.is_active and self.status == "running"

    def setting(self, name: str, default: float) -> float:
        value = self.settings.get(name)
        return default if value is None else float(value)

    @property
    def prefix(self) -> str:
        """The disclosure; a process without one can comment nothing."""
        return str(self.settings.get("comment_prefix") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentRow:
    """One row: an article as one login sees it, and the comment by one prompt."""

    id: str
    article_id: str
    process_id: str
    login_id: str | None
    status: str
    approval: str
    approved_by: str | None
    title: str
    author: str
    content: str | None
    html: str | None
    category: str
    url: str
    published_at: datetime | None
    comment: str | None
    posting_started: bool
    system_prompt: str
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The model of a process."""

    provider: str
    model: str
    base_url: str | None
    api_key_encrypted: str | None = field(repr=False)
    max_tokens: int | None
    temperature: float | None
    settings: Mapping[str, Any]
