"""Processes that end with their parent: the workers of a server, however the server's process ended.

The kernel ends them on Linux. On every system a thread of the worker looks once a second.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

VARIABLE = "PREDICTION_SERVER_PROCESS"
"""The id of the server's process, in the environment of its workers. It is no setting."""

CHECK_SECONDS = 1.0
PR_SET_PDEATHSIG = 1
"""An option of `prctl(2)`: the signal that a process gets when its parent ends. `exec` keeps it."""


def bind_children() -> None:
    """Let the processes that this one forks from now on end with it, before they run Python's first line.

    SIGKILL ends also one that is stopped or hangs. `subprocess` calls the hooks of a fork only if it was
    given a function to call in the child, as BentoML's watcher does.
    """
    os.environ[VARIABLE] = str(os.getpid())
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    forking = 0

    def note() -> None:
        nonlocal forking
        forking = os.getpid()

    def bind() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != forking:  # the parent ended before the call
            os._exit(1)

    os.register_at_fork(before=note, after_in_child=bind)


def follow() -> bool:
    """End this process soon after its server's process; return whether it is a worker of a server."""
    server = os.environ.get(VARIABLE, "")
    if not server.isdigit():
        return False
    threading.Thread(target=_watch, args=(int(server),), daemon=True).start()
    return True


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os._exit(1)
