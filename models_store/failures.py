"""Exceptions of a user's code as one plain line: what was raised, by which line of which file.

It knows nothing of specs: `catalog` and the steps of a training say whose code it was and what to do.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models_store.errors import Error, InvalidSpec

MAX_WORDS = 400
"""Characters of an exception's message; the rest is cut off."""

TRACE = "\nStack trace:"
"""What follows in messages of XGBoost are addresses of its functions."""

CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
"""The user and the password in a URL: an answer or a log must not show them."""

KNOWN = (
    (
        r"^ModuleNotFoundError: No module named '(lightgbm|xgboost)'",
        "run `pip install 'prediction-loop[boosting]'` in the environment of this command and of the"
        " server",
    ),
    (
        r"^ModuleNotFoundError",
        "install the package in the environment of this command and of the server, and add it to"
        " requirements.txt",
    ),
    (
        r"cannot open shared object file",
        "install the system's package with that library: a Python package needs it",
    ),
    (
        r"Invalid classes inferred",  # XGBoost
        "it takes only whole numbers from 0 on as labels: declare these as classes, or wrap it in a class"
        " that translates the labels",
    ),
    (
        r"a category not in the training set",  # XGBoost
        "it takes no new categories: put an encoder before it that does, such as"
        ' OneHotEncoder(handle_unknown="ignore")',
    ),
    (r"could not convert string to float", "it takes only numbers: put an encoder of categories before it"),
    (r"contains NaN|contains missing", "it takes no missing values: put an imputer before it"),
    (
        r"[Cc]an't (get local|pickle)|[Cc]annot pickle",
        "define each function and class at the top of a file: not as a lambda, and not inside a function",
    ),
)
"""Exceptions that many meet, and what to do about each."""


def words(error: BaseException) -> str:
    """Return the type and the message of an exception as one line; of an error of ours, the message."""
    if isinstance(error, Error):
        return str(error)
    try:
        text = " ".join(str(error).partition(TRACE)[0].split())
    except Exception:  # the exception is a class of the user, whose own method fails
        text = ""
    text = CREDENTIALS.sub("***@", text)
    shown = text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def first_cause(error: BaseException) -> str:
    """Return the exception that began it as one plain line: its type and its first line."""
    began = root(error)
    lines = str(began).strip().splitlines() or [""]
    return f"{type(began).__name__}: {lines[0][:200]}".removesuffix(": ")


def advice(told: str, remedy: str) -> str:
    """Return what to do about an exception, told in words: `remedy`, unless it is one of `KNOWN`."""
    return next((better for pattern, better in KNOWN if re.search(pattern, told)), remedy)


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


def file_of(function: Any) -> str:
    """Return the file that defines a function; an empty text for other callables."""
    return str(getattr(getattr(function, "__code__", None), "co_filename", ""))


@contextmanager
def blamed(model: str, step: str, function: Any, remedy: str) -> Iterator[None]:
    """Turn an exception of a spec's code into an `InvalidSpec` of one sentence.

    Parameters
    ----------
    step
        What was done when it was raised, for example "load()".
    function
        The spec's function that the step is about: the sentence names the line in its file.
    remedy
        What to do, unless the exception is one of `KNOWN`.
    """
    try:
        yield
    except Error:
        raise
    except (Exception, SystemExit) as error:
        file, told = file_of(function), words(error)
        number = line(error, file)
        place = f" in {Path(file).name}, line {number}" if number else ""
        raise InvalidSpec(f"{model}: {step} failed{place}: {told}: {advice(told, remedy)}") from error
