"""A command that is told to stop: in `python -c`, because a signal is its whole process's."""

from __future__ import annotations

import signal
import sys
from subprocess import run

import pytest

COMMAND = """
import signal, time
from prediction.commands.stopping import Stopped, stoppable

class Callback:
    def __del__(self):
        signal.raise_signal({number})
        time.sleep(0)

{before}
try:
    with stoppable():
        {work}
        time.sleep({seconds})
    print("done")
except Stopped as stopped:
    print(stopped, stopped.exit_code)
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""

SIGNALS = [(signal.SIGINT, "interrupted 130"), (signal.SIGTERM, "terminated 143")]


def said(work: str, number: int, seconds: float = 60, before: str = "") -> tuple[str, list[str]]:
    """Return what a command printed as its errors and its output."""
    text = COMMAND.format(work=work, number=int(number), seconds=seconds, before=before)
    done = run([sys.executable, "-c", text], capture_output=True, text=True, timeout=50, check=True)
    return done.stderr, done.stdout.splitlines()


@pytest.mark.parametrize(("number", "words"), SIGNALS)
def test_a_signal_is_raised(number: int, words: str) -> None:
    """With the word and the exit code for it; afterwards signals do what they did before."""
    assert ("", [words, "True"]) == said(f"signal.raise_signal({int(number)})", number)


@pytest.mark.parametrize(("number", "words"), SIGNALS)
def test_a_signal_that_a_callback_lost_is_raised_again(number: int, words: str) -> None:
    """In silence: Python would print a traceback, and go on."""
    assert ("", [words, "True"]) == said("Callback()", number)


def test_what_is_ignored_stays_ignored() -> None:
    """As under `nohup`."""
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    told = said("signal.raise_signal(signal.SIGINT)", signal.SIGINT, seconds=0, before=ignoring)

    assert ("", ["done", "True"]) == told


def test_another_exception_that_is_lost_is_told() -> None:
    """As Python tells it, and nothing stops."""
    work = "Callback.__del__ = lambda self: 1 / 0; Callback()"
    errors, output = said(work, signal.SIGINT, seconds=0)

    assert errors.startswith("Exception ignored in")
    assert "ZeroDivisionError" in errors
    assert ["done", "True"] == output
