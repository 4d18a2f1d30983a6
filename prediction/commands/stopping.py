"""Turns Ctrl+C and SIGTERM into an exception, so that a stopped command leaves no half-written file."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

AGAIN_SECONDS = 0.05
"""Delay before a lost `Stopped` is raised again."""


class Stopped(KeyboardInterrupt):
    """Raised in the main thread by SIGINT and SIGTERM; the message says which."""

    def __init__(self, number: int) -> None:
        super().__init__(WORDS[signal.Signals(number)])
        self.number = number

    @property
    def exit_code(self) -> int:
        """The exit code of shells for a process that a signal ended."""
        return 128 + self.number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` on SIGINT and SIGTERM inside the block; an ignored signal (`nohup`) stays ignored.

    Python drops exceptions that are raised in callbacks, such as those of the garbage collector. A dropped
    `Stopped` is raised again; otherwise the command would not stop.
    """
    numbers = [number for number in WORDS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _stop) for number in numbers}
    hook = sys.unraisablehook

    def raise_again(lost: Any) -> None:
        if isinstance(lost.exc_value, Stopped):
            thread = threading.main_thread().ident
            arguments = (thread, lost.exc_value.number)
            threading.Timer(AGAIN_SECONDS, signal.pthread_kill, arguments).start()
        else:
            hook(lost)

    sys.unraisablehook = raise_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: object) -> None:
    raise Stopped(number)
