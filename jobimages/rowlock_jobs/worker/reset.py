"""What a run leaves in its process and the next one begins without: put back in place, because nobody can
miss it.
"""

import gc
import logging
import random
import signal
import sys
import warnings
from typing import Any

_generator: Any = vars(random)["_inst"]
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Reset:
    """The process as a run should find it; `undo()` brings it back, after every run: about 3 us."""

    def __init__(self) -> None:
        self._gc = (gc.isenabled(), gc.get_threshold(), gc.get_debug())
        self._filters = list(warnings.filters)
        self._logging_disabled = logging.root.manager.disable
        self._own_event_loop = _set_called()
        self._seed()

    def undo(self) -> None:
        """Timers, the garbage collector, warning filters, logging.disable, the random generator, and
        asyncio's memory of a loop that is closed.
        """
        for timer in _TIMERS:
            signal.setitimer(timer, 0)  # it would ring in the next run
        signal.set_wakeup_fd(-1)
        if (gc.isenabled(), gc.get_threshold(), gc.get_debug()) != self._gc:
            enabled, threshold, debug = self._gc
            (gc.enable if enabled else gc.disable)()
            gc.set_threshold(*threshold)
            gc.set_debug(debug)
        if warnings.filters != self._filters:
            warnings.resetwarnings()
            warnings.filters[:] = self._filters  # type: ignore[index]
        if logging.root.manager.disable != self._logging_disabled:
            logging.disable(self._logging_disabled)
        if _generator.gauss_next is not self._draw:
            self._seed()
        if not self._own_event_loop and _set_called():
            # After asyncio.run() a later asyncio.get_event_loop() fails, where in a new process it makes a
            # loop.
            policy = _policy()
            if getattr(policy._local, "_loop", None) is None:
                policy._local = type(policy._local)()

    def _seed(self) -> None:
        """A run that seeded the generator would tell the next one's tokens. To see that, not to pay for a
        seed after each run, the draw that gauss() keeps for its next call is one of ours: seed() and
        setstate() forget it, gauss() uses it up.
        """
        random.seed()
        self._draw = _generator.gauss_next = random.gauss(0.0, 1.0)


def _policy() -> Any:
    events = sys.modules.get("asyncio.events")
    return vars(events).get("_event_loop_policy") if events else None


def _set_called() -> bool:
    return bool(getattr(getattr(_policy(), "_local", None), "_set_called", False))
