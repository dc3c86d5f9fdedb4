"""generate_comments_for_process: has the model write one comment."""

import os
from typing import Any, NoReturn

from rowlock_jobs.task import InputError, Run, TaskError, task
from rowlock_jobs.work.monitoring.records import CommentRow, Model, Process
from rowlock_jobs.work.monitoring.settings import MonitoringSettings, settings_from
from rowlock_jobs.work.monitoring.store import ask, execute, login_of, model_of, process_of
from rowlock_jobs.work.monitoring.tasks.arguments import (
    optional_uuid,
    put_back,
    row_of,
    uuid_argument,
    whole_process,
)
from rowlock_llm.budget import Budget, may_generate
from rowlock_llm.client import LlmClient
from rowlock_llm.comment import CommentRules
from rowlock_llm.errors import DEGRADES
from rowlock_llm.settings import LlmSettings
from rowlock_llm.templates import PromptValues, build_prompt
from rowlock_llm.usage import Meter
from rowlock_llm.writing import Written, write_comment
from rowlock_web.vault.vault import open_vault

_USERNAME_PLACEHOLDER = "mymoment_username"
"""As the prompts in tables that were taken over call the login's name at the site, whichever site it is."""


@task("generate_comments_for_process")
def generate_comments_for_process(run: Run) -> dict[str, Any]:
    """One comment (`comment_id`); with `process_id` alone, the process's rows are handed to the source that
    does them.
    """
    if optional_uuid(run, "comment_id") is None:
        return whole_process(run, uuid_argument(run, "process_id"))
    row, why = row_of(run, "generating", "prepared", "failed")
    if row is None:
        return {"skipped": why}
    process = process_of(run, row.process_id)
    if not process.running:
        raise put_back("NotRunning")
    if process.generation_stopped is not None:
        # this row was claimed before the others were stopped
        _stop_generating(run, process, process.generation_stopped)
    model = model_of(run, process.id)
    _within_budget(run, process, model, row)
    meter = Meter()
    try:
        written = _written(run, process, model, row, meter)
    except TaskError as error:
        if meter.usage.tokens:
            ask(run, "tokens", comment_id=row.id, tokens=meter.usage.tokens)
        ask(run, "generation_ends", comment_id=row.id)
        if error.reason in DEGRADES:
            _stop_generating(run, process, f"{error.reason}: {error}")
        raise
    with run.transaction() as cur:
        kept = execute(
            cur,
            "generated",
            comment_id=row.id,
            comment=written.comment.html,
            reasoning=written.reasoning,
            model=meter.usage.model,
            provider=model.provider,
            tokens=meter.usage.tokens,
            ms=meter.usage.ms,
        )
        execute(cur, "active", process_id=process.id)
    if not kept:
        raise put_back("the row was changed meanwhile")
    return {
        "characters": len(written.comment.text),
        "tokens": meter.usage.tokens,
        "ms": meter.usage.ms,
        "repaired": written.repaired,
        "approval": kept[0][0],
    }


def _written(run: Run, process: Process, model: Model, row: CommentRow, meter: Meter) -> Written:
    settings = settings_from(os.environ)
    vault = open_vault(settings.keys_file)
    username = vault.decrypt(login_of(run, row.login_id).username_encrypted) if row.login_id else ""
    values = PromptValues(
        article_title=row.title,
        article_content=row.content or "",
        article_author=row.author,
        article_raw_html=row.html or "",
        category=row.category,
        published_at=row.published_at.isoformat() if row.published_at else "",
        url=row.url,
        further={_USERNAME_PLACEHOLDER: username},
    )
    try:
        rules = CommentRules(
            prefix=process.prefix,
            min_characters=int(process.setting("comment_min_length", 50)),
            max_characters=int(process.setting("comment_max_length", 5000)),
        )
        llm = _llm_settings(model, settings)
    except ValueError as error:
        raise InputError("BadSettings", str(error)) from error
    key = vault.decrypt(model.api_key_encrypted) if model.api_key_encrypted else ""
    return write_comment(
        LlmClient(llm, key),
        build_prompt(row.system_prompt, row.template, values),
        rules,
        meter=meter,
        check=run.check,
    )


def _llm_settings(model: Model, settings: MonitoringSettings) -> LlmSettings:
    return LlmSettings(
        provider=model.provider,  # type: ignore[arg-type]
        model=model.model,
        base_url=model.base_url or "",
        temperature=model.temperature,
        max_tokens=model.max_tokens or 2_000,
        timeout_seconds=float(model.settings.get("timeout_seconds") or 60),
        allow_private=settings.allow_private,
    )


def _within_budget(run: Run, process: Process, model: Model, row: CommentRow) -> None:
    """Gives the row back where the process may spend no more, and stops asking."""
    max_comments = process.settings.get("max_comments")
    budget = Budget(max_tokens=model.settings.get("max_total_tokens"), max_comments=max_comments)
    if budget.max_tokens is None and budget.max_comments is None:
        return
    with run.connection() as connection, connection.cursor() as cur:
        ((tokens, comments),) = execute(cur, "spent", process_id=process.id, comment_id=row.id)
        decision = may_generate(budget, tokens=int(tokens), comments=int(comments))
        if decision.allowed:
            execute(cur, "generation_begins", comment_id=row.id)
    if not decision.allowed:
        _stop_generating(run, process, f"{decision.reason}: {decision.sentence}")


def _stop_generating(run: Run, process: Process, why: str) -> NoReturn:
    """What concerns every comment of the process: told once, nothing more is asked until the process is
    changed.
    """
    ask(run, "stop_generating", process_id=process.id, error=why[:1000])
    raise put_back(why.partition(":")[0])
