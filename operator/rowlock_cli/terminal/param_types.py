"""How durations, moments and lists are typed. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from rowlock_client.runs import STATES

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_seconds(text: str) -> float:
    """Seconds of `90s`, `10m`, `1h30m`, `7d`, `2w`. ValueError for anything else: a bare number has no unit,
    so it is refused.
    """
    compact = text.strip().lower().replace(" ", "")
    if not re.fullmatch(r"([0-9]+(\.[0-9]+)?[smhdw])+", compact):
        raise ValueError(f"{text!r} is not a duration: write 90s, 10m, 1h30m, 7d or 2w")
    return sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(r"([0-9.]+)([smhdw])", compact))


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """Seconds as a float."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            seconds = parse_seconds(str(value))
            timedelta(seconds=seconds)
        except OverflowError:
            self.fail(f"{value!r} is too long", param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return seconds


class Since(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """A moment with a time zone, or seconds before now (the database's now, so it is resolved later)."""

    name = "since"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | datetime:
        if isinstance(value, float | datetime):
            return value
        try:
            return parse_seconds(str(value))
        except ValueError:
            try:
                moment = datetime.fromisoformat(str(value))
            except ValueError:
                self.fail(
                    f"{value!r} is neither a duration (10m, 7d) nor a moment (2026-03-01T12:00:00+00:00)",
                    param,
                    ctx,
                )
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no time zone: write {value}+00:00 or {value}Z for UTC", param, ctx)
        return moment


class States(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """One state or several, with commas between them."""

    name = "states"

    def __init__(self, allowed: tuple[str, ...] = STATES) -> None:
        self.allowed = allowed

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join(self.allowed)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        states = tuple(part.strip() for part in str(value).split(","))
        for state in states:
            if state not in self.allowed:
                self.fail(f"{state!r} is not one of {', '.join(self.allowed)}", param, ctx)
        return states

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        done, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{done}{comma}{state}") for state in self.allowed if state.startswith(last)]


def ago(now: datetime, seconds: float) -> datetime:
    """So many seconds before now; the first moment there is where that would be before it."""
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def flat(groups: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The states of a repeated option, each once, in the order they were typed."""
    return tuple(dict.fromkeys(state for group in groups for state in group))
