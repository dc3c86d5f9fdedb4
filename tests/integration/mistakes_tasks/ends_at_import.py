"""Ends the process without a word, as a crash in C does."""

import os
import signal

if __name__ != "__main__":
    os.kill(os.getpid(), signal.SIGKILL)
