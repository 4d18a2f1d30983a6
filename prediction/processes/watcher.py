"""The watcher of the workers: it ends new connections first, and kills workers after the grace period.

BentoML makes the watcher, which is circus's. A worker's own end is in `network/ending.py`.
"""

from __future__ import annotations

import ctypes
import logging
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SO_ATTACH_FILTER = 26
DROP_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
"""A program of the kernel's socket filter (code, jump if true, jump if false, operand): load the byte of
TCP's flags, drop the packet if SYN is set, keep it otherwise."""

_log = logging.getLogger("bentoml.prediction")


def make(make_watcher: Callable[..., Any], grace_seconds: float, *args: Any, **kwargs: Any) -> Any:
    """Make a watcher as BentoML does, but one that waits for its workers as long as the grace period.

    BentoML's waits a day.
    """
    watcher = make_watcher(*args, **kwargs)
    watcher.graceful_timeout = grace_seconds
    watcher.hooks["before_stop"] = stop_listening
    watcher.hooks["after_signal"] = log_kill
    return watcher


def stop_listening(watcher: Any, arbiter: Any, **_: Any) -> bool:
    """Take no new connections when the server ends; kill the workers if Ctrl+C is pressed once more."""
    if arbiter._stopping:  # otherwise it only starts its workers again
        _log.info(
            "the server ends in at most %g s; press Ctrl+C once more to end it now",
            watcher.graceful_timeout,
        )
        for listening in arbiter.sockets.values():
            refuse_new(listening)
            listening.close()
        signal.signal(signal.SIGINT, lambda *_: kill(watcher))
    return True


def refuse_new(listening: socket.socket) -> None:
    """Let no new connection begin at a listening socket, in all processes that share it.

    When the last process closes it, the connections that nobody has accepted yet are reset. So Linux drops
    the first packet of new ones from now on: clients send it again after a second, when the port is closed,
    and are refused. On other systems a few are reset.
    """
    if not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in DROP_SYN))
    with suppress(OSError):  # a kernel without filters
        address = struct.pack("HP", len(DROP_SYN), ctypes.addressof(program))
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, address)


def kill(watcher: Any) -> None:
    """End all workers at once."""
    for process in list(watcher.processes.values()):
        watcher.send_signal_process(process, signal.SIGKILL)


def log_kill(pid: int, signum: int, **_: Any) -> bool:
    """Log that a worker did not end by itself."""
    if signum == signal.SIGKILL:
        _log.warning("worker %d had not ended by itself: killed", pid)
    return True
