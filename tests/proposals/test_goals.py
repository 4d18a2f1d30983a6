"""The target: classes or a quantity, said in words with the option that says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from models_store.errors import InvalidInput
from models_store.spec import classes, quantity
from prediction.proposals import goals, kinds
from prediction.proposals.goals import Goal


def found(values: list[Any], wish: str | None = None) -> Goal:
    """Find the target of a column."""
    return goals.find("Tip (usd)", kinds.read(values), wish)


@pytest.mark.parametrize(
    ("values", "target"),
    [
        (["no", "yes", "no", ""], classes("no", "yes", positive="yes")),
        (["b", "a", "b", "a"], classes("a", "b")),
        (["true", "false", "true", "true"], classes(False, True, positive=True)),
        (["0", "1", "1", "0"], classes(0, 1, positive=1)),
        (["0.0", "1.0", "", "1.0"], classes(0, 1, positive=1)),
        ([1, 2, 3] * 10, classes(1, 2, 3)),
        ([1, 2, 3, 4], quantity("Tip", unit="usd", low=0, high=20)),
        (["1.5", "2"], quantity("Tip", unit="usd", low=0, high=10)),
    ],
)
def test_the_values_say_what_the_target_is(values: list[Any], target: Any) -> None:
    """Texts, booleans and few integers are classes; other numbers a quantity."""
    assert target == found(values).target


def test_the_user_may_say_otherwise() -> None:
    """And the words name the option."""
    whole = [1, 2, 3] * 10

    assert quantity("Tip", unit="usd", low=0, high=10) == found(whole, "quantity").target
    assert classes(1, 2, 3, 4) == found([1, 2, 3, 4] * 3, "classes").target
    assert classes("0.5", "1.5") == found([0.5, 1.5, 0.5, 1.5], "classes").target
    assert "3 classes: 1 (10), 2 (10), 3 (10): say --as quantity for a number" in found(whole).words
    assert "is a quantity, 1 to 4: say --as classes for classes" in found([1, 2, 3, 4]).words


@pytest.mark.parametrize(
    ("values", "wish", "words"),
    [
        (["", None], None, "has no values: name another column"),
        (["a", "a"], None, "has one class, a: there is nothing to learn"),
        ([1.5, 1.5], None, "is 1.5 in each row: there is nothing to learn"),
        (
            [f"v{n}" for n in range(30)],
            None,
            "has 30 different values in 30 rows: a class needs several rows",
        ),
        (["2024-01-31", "2024-02-01"], None, "can be no target: times"),
        (["a", "b"], "quantity", "holds no numbers: leave out --as quantity"),
        (["x" * 300, "x" * 300, "y", "y"], None, "is longer than 255 characters: it is no class"),
    ],
)
def test_what_can_be_no_target_is_one_sentence(values: list[Any], wish: str | None, words: str) -> None:
    """With what to do."""
    with pytest.raises(InvalidInput, match=words):
        found(values, wish)
