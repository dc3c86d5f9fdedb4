"""The kernel's word for "my parent died": a fork that outlived it would work for nobody, and nobody would end
it.
"""

import ctypes
import os

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl  # found once: a fork that looks for it anew pays 0.3 ms


def end_with_parent(signal_number: int, parent_pid: int) -> bool:
    """This process gets that signal when its parent dies. False where the parent had died before the kernel
    was told.
    """
    _prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    return os.getppid() == parent_pid
