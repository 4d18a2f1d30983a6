"""Exceptions of a user's code as one line, with its place and without secrets."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from models_store import failures
from models_store.errors import InvalidSpec, UnknownModel


class Silent(Exception):
    """An exception that fails when it is printed."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("two\n\n   lines"), "ValueError: two lines"),
        (ValueError("no\n\nStack trace:\n  [bt] (0) lib.so(+0x2e) [0x7f]"), "ValueError: no"),
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit(), "SystemExit"),
        (Silent(), "Silent"),
        (UnknownModel("there is no model x"), "there is no model x"),
        (OSError("https://me:pass@host/a b@c"), "OSError: https://***@host/a b@c"),
    ],
)
def test_an_exception_is_one_line(error: BaseException, expected: str) -> None:
    """Its type and its words; an error of ours is its sentence."""
    assert expected == failures.words(error)


def test_a_long_message_is_cut() -> None:
    """Some repeat a whole frame."""
    told = failures.words(ValueError("x" * 10_000))

    assert len("ValueError: ") + failures.MAX_WORDS == len(told)
    assert told.endswith("x…")


def test_the_root_is_the_first_cause() -> None:
    """Also if the causes go round in a circle."""
    first, second, third = ValueError(1), ValueError(2), ValueError(3)
    second.__cause__, third.__cause__ = first, second

    assert first is failures.root(third)
    assert "ValueError: 1" == failures.first_cause(third)
    first.__cause__ = third
    assert failures.root(third) in (first, second)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TypeError("\n first\nsecond"), "TypeError: first"),
        (TypeError(), "TypeError"),
        (TypeError("x" * 999), "TypeError: " + "x" * 200),
    ],
)
def test_the_first_cause_is_the_first_line(error: Exception, expected: str) -> None:
    """Converters add lines of general help."""
    assert expected == failures.first_cause(error)


def test_the_line_is_the_last_one_of_the_file() -> None:
    """Of the file that is asked for; an exception that passed no line of it has none."""

    def fail() -> None:
        raise ValueError("thorns")  # this line

    with pytest.raises(ValueError, match="thorns") as caught:
        fail()

    number = failures.line(caught.value, __file__)
    assert number is not None
    assert "this line" in Path(__file__).read_text().splitlines()[number - 1]
    assert failures.line(caught.value, "/another.py") is None
    assert failures.line(ValueError(), __file__) is None


def test_a_failure_names_model_step_cause_and_remedy() -> None:
    """In one sentence, with the line of the spec's file; the exception is its cause."""

    def load() -> None:
        raise KeyError("species")

    with (
        pytest.raises(InvalidSpec, match=r"^iris: load\(\) failed in test_failures.py, line") as caught,
        failures.blamed("iris", "load()", load, "mend it"),
    ):
        load()

    assert str(caught.value).endswith(": KeyError: 'species': mend it")
    assert isinstance(caught.value.__cause__, KeyError)


def test_errors_of_ours_and_interrupts_pass() -> None:
    """They have their own sentence, and Ctrl+C is nobody's fault."""
    for error in (UnknownModel("there is no model x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), failures.blamed("iris", "fit", print, "mend it"):
            raise error
    with (
        pytest.raises(InvalidSpec, match="SystemExit: 3"),
        failures.blamed("iris", "fit", print, "mend it"),
    ):
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ModuleNotFoundError("No module named 'xgboost'"),
            r"run `pip install 'prediction-loop\[boosting\]'`",
        ),
        (ModuleNotFoundError("No module named 'catboost'"), "install the package in"),
        (ValueError("Invalid classes inferred from unique values of `y`"), "only whole numbers from 0 on"),
        (ValueError("could not convert string to float: 'Biscoe'"), "an encoder of categories"),
        (ValueError("Input X contains NaN."), "put an imputer before it"),
        (ValueError("Found a category not in the training set for the 0th column"), "no new categories"),
        (pickle.PicklingError("Can't pickle <function <lambda>>"), "at the top of a file"),
        (ValueError("something else"), "mend it"),
    ],
)
def test_failures_that_many_meet_have_a_remedy_of_their_own(error: Exception, words: str) -> None:
    """Another one has the remedy of its step; a callable without a file has no line."""
    with pytest.raises(InvalidSpec, match=words) as caught, failures.blamed("iris", "fit", max, "mend it"):
        raise error

    assert str(caught.value).startswith(f"iris: fit failed: {type(error).__name__}: ")
