"""Ctrl+C and SIGTERM as an exception, so that a command that is told to stop leaves nothing half done."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "told to end"}

AGAIN_SECONDS = 0.05
"""After which a `Stopped` that was lost is raised again."""


class Stopped(KeyboardInterrupt):
    """Raised in the main thread of a command that is told to stop; its words say how."""

    def __init__(self, number: int) -> None:
        super().__init__(WORDS[signal.Signals(number)])
        self.number = number

    @property
    def exit_code(self) -> int:
        """The exit code that shells give to what a signal ended."""
        return 128 + self.number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` for SIGINT and SIGTERM meanwhile; one that is ignored, as under `nohup`, stays so.

    Python drops an exception that it meets in a callback, such as those that imports leave for the
    garbage collector. One of ours is raised again, or the command would go on as if nobody had asked.
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
