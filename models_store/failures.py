"""Exceptions of a user's code as one plain line: what was raised, by which line of which file.

It knows nothing of specs: `catalog` and the steps of a training say whose code it was and what to do.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models_store.errors import Error, InvalidSpec

MAX_WORDS = 400
"""Characters of an exception's message; the rest is cut off."""

CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
"""The user and the password in a URL: an answer or a log must not show them."""


def words(error: BaseException) -> str:
    """Return the type and the message of an exception as one line; of an error of ours, the message."""
    if isinstance(error, Error):
        return str(error)
    try:
        text = " ".join(str(error).split())
    except Exception:  # the exception is a class of the user, whose own method fails
        text = ""
    text = CREDENTIALS.sub("***@", text)
    shown = text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def root(error: BaseException) -> BaseException:
    """Return the exception that began it: the cause of the cause."""
    seen = {id(error)}
    while error.__cause__ is not None and id(error.__cause__) not in seen:
        error = error.__cause__
        seen.add(id(error))
    return error


def line(error: BaseException, file: str) -> int | None:
    """Return the last line of a file that an exception passed, None if it passed none."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


@contextmanager
def blamed(model: str, step: str, file: str, remedy: str) -> Iterator[None]:
    """Turn an exception of a spec's code into an `InvalidSpec` of one sentence.

    Parameters
    ----------
    step
        What was done when it was raised, for example "load()".
    file
        The spec's file: the sentence names the line there.
    remedy
        What to do.
    """
    try:
        yield
    except Error:
        raise
    except (Exception, SystemExit) as error:
        number = line(error, file)
        place = f" in {Path(file).name}, line {number}" if number else ""
        raise InvalidSpec(f"{model}: {step} failed{place}: {words(error)}: {remedy}") from error
