"""A renewed child leaves beside the next one's work, and whoever reaps it: the worker goes on."""

import os
import socket
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from rowlock_jobs.settings import Limits
from rowlock_jobs.worker.attempts import Attempts
from rowlock_jobs.worker.heartbeat import reap_orphans
from rowlock_jobs.worker.prefork import Child


def leaves_at_the_end(channel: socket.socket, *_: object, inherited: Iterable[int]) -> NoReturn:
    for descriptor in inherited:
        os.close(descriptor)
    while channel.recv(1000):
        pass
    os._exit(0)


def renewing() -> Attempts:
    """Renews its child after each hand, also after an empty one."""
    nobody: Any = None
    limits = replace(Limits(), tasks_per_child=0)
    return Attempts(lambda: Child(leaves_at_the_end, lambda: []), limits, nobody, nobody, lambda now: None)


def left_zombies(attempts: Attempts) -> set[int]:
    """The processes of two renewed children, once both have ended and before anybody reaped them."""
    for _ in range(2):
        attempts.run([], lambda hand: None)
    pids = attempts.own_pids
    for pid in pids:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pids


def test_whoever_reaps_orphans_leaves_children_that_are_on_their_way_out_to_their_owner() -> None:
    attempts = renewing()
    pids = left_zombies(attempts)
    assert len(pids) == 2
    reap_orphans(attempts.own_pids)
    for pid in pids:
        assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None, (
            "it is its owner's to reap"
        )
    attempts.reap()
    assert attempts.own_pids == set()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_child_that_somebody_else_reaped_ends_no_worker() -> None:
    attempts = renewing()
    left_zombies(attempts)
    reap_orphans(())
    attempts.reap()
    assert attempts.own_pids == set()
    attempts.close()
