"""MonitoringProcess: watches a site for new articles, writes AI comments, posts them when allowed."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from rowlock_operator.api.model import (
    DAY,
    ApiModel,
    DnsLabel,
    DnsName,
    Rule,
    SecretKey,
    keyed,
    rule,
    rules,
    shaped,
)
from rowlock_operator.api.monitoring_process_status import MonitoringProcessStatus
from rowlock_operator.api.user_object import UserObject

DISCLOSURE = "[Dieser Kommentar stammt von einem KI-ChatBot.]"
PLACEHOLDERS = (
    *("article_title", "article_content", "article_author", "article_raw_html"),
    *("category", "published_at", "url", "mymoment_username"),
)
# what others wrote never reaches the system message
SYSTEM_PLACEHOLDERS = ("category", "published_at", "url", "mymoment_username")
_URL = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
_URL_ADVICE = "write an address such as https://www.example.org, without user, password, ? and #"
BaseUrl = Annotated[str, shaped(_URL, _URL_ADVICE, at_most=500)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


def _said(names: tuple[str, ...]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _placeholders(field: str, names: tuple[str, ...]) -> Rule:
    """The rule that a template names no placeholder that does not exist."""
    known = ", ".join(f"'{{{name}}}'" for name in names)
    return rule(
        f"!has(self.{field}) || self.{field}.findAll('[{{][A-Za-z_]+[}}]').all(p, p in [{known}])",
        f"{field} may hold the placeholders {_said(names)}: correct or remove the other one",
        f".{field}",
    )


class SecretRef(ApiModel):
    """The Secret with a login's name and password, in the same namespace."""

    name: DnsName = Field(description="Name of the Secret.")
    username_key: SecretKey = Field(default="username", description="Key with the user name.")
    password_key: SecretKey = Field(default="password", description="Key with the password.")


class ApiKeyRef(ApiModel):
    """The Secret with a model's API key, in the same namespace."""

    name: DnsName = Field(description="Name of the Secret.")
    key: SecretKey = Field(default="apiKey", description="Key with the API key.")


class Site(ApiModel):
    """The site that is watched."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.driver == oldSelf.driver && self.baseURL == oldSelf.baseURL",
                "site.driver and site.baseURL cannot be changed, since articles and sessions belong to the"
                " site: create another MonitoringProcess",
            )
        )
    )
    driver: Literal["mymoment", "generic-rss"] = Field(
        description="How the site is spoken to: mymoment, or generic-rss (reads only)."
    )
    base_url: BaseUrl = Field(alias="baseURL", description="Where the site is. Cannot be changed.")
    requests_per_second: float = Field(
        default=2,
        ge=0.05,
        le=50,
        description=(
            "Requests a second of all pods together; the lowest of all processes of a site counts for each."
        ),
    )


class Login(ApiModel):
    """An account at the site; each comments in its own name."""

    name: DnsLabel = Field(description="What it is called here.")
    secret_ref: SecretRef = Field(description="Where its name and password are.")


class Prompt(ApiModel):
    """What the model is asked; every prompt comments on every article."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _placeholders("template", PLACEHOLDERS), _placeholders("system", SYSTEM_PLACEHOLDERS)
        )
    )
    name: DnsLabel = Field(description="What it is called here.")
    system: Annotated[str, Field(max_length=4000)] | None = Field(
        default=None,
        description=f"The system message: role, tone, language. Placeholders: {_said(SYSTEM_PLACEHOLDERS)}.",
    )
    template: str = Field(
        min_length=1, max_length=4000, description=f"The user message. Placeholders: {_said(PLACEHOLDERS)}."
    )


class Budget(ApiModel):
    """What a process may cost."""

    max_total_tokens: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="Tokens, prompts and answers together; then nothing more is generated."
    )
    max_comments: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Comments that are generated at most."
    )


class Llm(ApiModel):
    """The model that writes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.provider in ['openai', 'mistral', 'gemini'] || has(self.baseURL)",
                "provider ollama and compatible need baseURL: the address of the OpenAI-compatible endpoint,"
                " for example http://ollama:11434/v1",
                ".baseURL",
            ),
            rule(
                "!(self.provider in ['openai', 'mistral', 'gemini']) || has(self.apiKeySecretRef)",
                "this provider needs apiKeySecretRef: the Secret with its API key",
                ".apiKeySecretRef",
            ),
        )
    )
    provider: Literal["openai", "mistral", "gemini", "ollama", "compatible"] = Field(
        description="Who serves it; compatible = any OpenAI-compatible one."
    )
    model: Text = Field(description="The model's name, as the provider calls it.")
    base_url: BaseUrl | None = Field(
        default=None, alias="baseURL", description="The endpoint, where it is not the provider's usual one."
    )
    api_key_secret_ref: ApiKeyRef | None = Field(default=None, description="Where the API key is.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, description="Absent: the model's own."
    )
    max_tokens: int = Field(default=1000, ge=16, le=100_000, description="Tokens of one answer.")
    timeout_seconds: int = Field(default=60, ge=1, le=290, description="Patience with one answer.")
    budget: Budget = Field(default_factory=Budget, description="What the process may cost in all.")


class Filter(ApiModel):
    """Which articles are looked at."""

    tab: Text | None = Field(
        default=None,
        description="mymoment: home, alle, or the id of a class. Absent: the driver's whole list.",
    )
    category: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="mymoment: number of the Kategorie."
    )
    task: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="mymoment: number of the Aufgabe."
    )
    search: Text | None = Field(
        default=None, description="Only articles whose title holds this, upper and lower case alike."
    )
    sort: Literal["newest", "oldest"] = Field(default="newest", description="Which come first.")
    limit: int = Field(default=20, ge=1, le=100, description="Articles a discovery takes for each login.")


class Comment(ApiModel):
    """What a comment must be."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.minLength + self.prefix.size() < self.maxLength",
                "minLength and the prefix must leave room below maxLength: lower minLength or raise"
                " maxLength",
                ".minLength",
            ),
            rule(
                "!self.prefix.matches('^\\\\s*$')",
                "prefix must not be empty: it tells readers that an AI wrote the comment",
                ".prefix",
            ),
            rule(
                "!self.prefix.contains('\\n') && self.prefix.trim() == self.prefix",
                "prefix must be one line without blanks around it: remove them",
                ".prefix",
            ),
        )
    )
    prefix: str = Field(
        default=DISCLOSURE,
        min_length=1,
        max_length=500,
        description="Stands before every comment: the AI disclosure.",
    )
    min_length: int = Field(
        default=50, ge=1, le=10_000, description="Shortest comment, in characters without the prefix."
    )
    max_length: int = Field(
        default=5000, ge=1, le=20_000, description="Longest comment, in characters with the prefix."
    )


class Discovery(ApiModel):
    """How often new articles are looked for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.intervalSeconds <= self.maxIntervalSeconds",
                "intervalSeconds must not exceed maxIntervalSeconds: lower one or raise the other",
                ".intervalSeconds",
            )
        )
    )
    interval_seconds: int = Field(
        default=60, ge=5, le=DAY, description="After a discovery that found something."
    )
    max_interval_seconds: int = Field(
        default=600,
        ge=5,
        le=DAY,
        description="Longest pause; it doubles with every discovery that finds nothing.",
    )


class MonitoringProcessSpec(ApiModel):
    """What the user asks for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.generateOnly || self.site.driver != 'generic-rss'",
                "driver generic-rss cannot post: set generateOnly to true, or use a driver that can",
                ".generateOnly",
            ),
            rule(
                "self.owner == oldSelf.owner",
                "owner cannot be changed: create another MonitoringProcess",
                ".owner",
            ),
        )
    )
    description: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, description="For people."
    )
    owner: str = Field(
        default="",
        max_length=100,
        description="Whose it is; at most 10 processes of one owner run at once. Cannot be changed.",
    )
    site: Site = Field(description="The site that is watched.")
    logins: list[Login] = Field(
        min_length=1,
        max_length=20,
        json_schema_extra=keyed("name"),
        description="Accounts; each comments on what it sees.",
    )
    prompts: list[Prompt] = Field(
        min_length=1,
        max_length=20,
        json_schema_extra=keyed("name"),
        description="Each comments on every article.",
    )
    llm: Llm = Field(description="The model that writes.")
    filter: Filter = Field(default_factory=Filter, description="Which articles are looked at.")
    comment: Comment = Field(default_factory=Comment, description="What a comment must be.")
    generate_only: bool = Field(
        default=True, description="true: comments wait for approval. false: they are posted by themselves."
    )
    hide_comments: bool = Field(
        default=False, description="Posted comments are hidden from readers (where the site can)."
    )
    max_duration_minutes: int = Field(
        default=60, ge=1, le=1440, description="The process ends after so many minutes."
    )
    discovery: Discovery = Field(
        default_factory=Discovery, description="How often new articles are looked for."
    )
    login_concurrency: int = Field(
        default=2, ge=1, le=20, description="Steps that use one login at the same time."
    )
    state: Literal["Running", "Stopped"] = Field(
        default="Running", description="Stopped ends it; Running after Stopped starts it again."
    )
    start_request: str = Field(
        default="",
        max_length=64,
        description="Any text; a changed one starts a process again that has ended.",
    )


class MonitoringProcess(UserObject):
    """Watches a site for new articles, writes AI comments and posts them when allowed."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
                "the name of a MonitoringProcess must have at most 63 characters and no dot: choose another",
            )
        )
    )
    spec: MonitoringProcessSpec
    status: MonitoringProcessStatus = Field(default_factory=MonitoringProcessStatus)
