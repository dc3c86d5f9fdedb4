"""Asking a fence until it answers: an outcome that is not recorded is work that is done again."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from rowlock_jobs import logs
from rowlock_jobs.errors import FenceAway, FenceRefused
from rowlock_jobs.fence.values import FinishedRun
from rowlock_jobs.outcome import in_ascii, with_note

_T = TypeVar("_T")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0


def insist(ask: Callable[[], _T], pause: Callable[[float], None]) -> _T:
    """Asks until there is an answer. FenceRefused passes; so does what `pause(seconds)` raises to end it."""
    pause_seconds, away = FIRST_PAUSE_SECONDS, False
    while True:
        try:
            answer = ask()
        except FenceAway as error:
            logs.emit(logs.DATABASE_AWAY, logging.WARNING, error=str(error))
            away = True
            pause(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        else:
            if away:
                logs.emit(logs.DATABASE_BACK)
            return answer


def storable(finished: FinishedRun, finish: Callable[[FinishedRun], _T]) -> _T:
    """`finish(finished)`; where the ledger refuses its values, the same in ASCII, and then the same kind of
    outcome with a note in their place.

    Raises FenceRefused where the ledger refuses the note as well.
    """
    try:
        return finish(finished)
    except FenceRefused as error:
        why = str(error)
    with suppress(FenceRefused):
        if (plain := in_ascii(finished.outcome)) is not None:
            return finish(FinishedRun(finished.ref, plain))
    return finish(FinishedRun(finished.ref, with_note(finished.outcome, why)))
