"""The faults of a spec's parts: each is found, and what is right has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from models_store import faults
from models_store.faults import Fault
from models_store.spec import GateRules


@pytest.mark.parametrize("name", ["a", "iris", "iris_2", "a" * 50])
def test_a_good_name_has_no_fault(name: str) -> None:
    """Lower-case letters, digits and underscores."""
    assert [] == faults.of_name(name)


@pytest.mark.parametrize("name", [None, 1, "", "Iris", "iris\n", "models"])
def test_a_bad_name_has_one(name: Any) -> None:
    """Whatever its type is; the place is the name."""
    (found,) = faults.of_name(name)

    assert ("name",) == found.place


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        (("no", "yes"), []),
        (("no", "no"), ["'no' is there more than once"]),
        (
            (0, "", "yes", "yes"),
            ["each category is a text that is not empty, not 0, ''", "'yes' is there more than once"],
        ),
        ((1, True), ["each category is a text that is not empty, not 1, True"]),
    ],
)
def test_categories_are_texts_each_once(categories: Any, words: list[str]) -> None:
    """Each fault is named."""
    assert words == faults.of_categories(categories)


@pytest.mark.parametrize(
    ("low", "high", "is_good"),
    [
        (0, 1, True),
        (0.5, 0.5, True),
        (1, 0, False),
        (True, 2, False),
        ("0", 1, False),
        (0, float("nan"), False),
        (float("-inf"), 0, False),
        (None, 1, False),
    ],
)
def test_a_range_has_two_finite_ends(low: Any, high: Any, is_good: bool) -> None:
    """The lower one first."""
    assert is_good == (not faults.of_range(low, high))


@pytest.mark.parametrize(
    ("rules", "place", "words"),
    [
        ({"metric": "auc"}, "metric", "'auc' is unknown: give one of macro_f1, accuracy"),
        ({"min_rows": -1}, "min_rows", "give a number from 0 on, not -1"),
        ({"significance": "5 %"}, "significance", "give a number from 0 on, not '5 %'"),
        ({"recall_floor": float("nan")}, "recall_floor", "give a number from 0 on, not nan"),
    ],
)
def test_an_unknown_gate_rule_is_named(rules: dict[str, Any], place: str, words: str) -> None:
    """Its name, the value, and what would be right."""
    assert [Fault(("gate", place), words)] == faults.of_gate(replace(GateRules(), **rules), GateRules)


def test_good_gate_rules_have_no_fault() -> None:
    """Those that a spec has by default."""
    assert [] == faults.of_gate(GateRules(), GateRules)
    assert [Fault(("gate",), "give GateRules(...), not dict")] == faults.of_gate({}, GateRules)


@pytest.mark.parametrize(
    ("group", "time", "expected"),
    [
        (None, None, []),
        ("herd", None, []),
        (None, "day", []),
        ("", None, [Fault(("group",), "give the name of a column of load(), not ''")]),
        (None, 7, [Fault(("time",), "give the name of a column of load(), not 7")]),
        ("herd", "day", [Fault(("time",), "give group= or time=, not both")]),
    ],
)
def test_one_column_says_what_is_held_out(group: Any, time: Any, expected: list[Fault]) -> None:
    """Related rows stay together, or the latest are held out; both at once can't be had."""
    assert expected == faults.of_split(group, time)


def test_functions_and_texts_are_checked() -> None:
    """A model without a title, or a function that is none, is refused."""
    assert [] == faults.of_functions(load=print) + faults.of_texts(title="Iris")
    assert [("load",), ("pipeline",)] == [each.place for each in faults.of_functions(load=1, pipeline=None)]
    assert [("title",), ("unit",)] == [each.place for each in faults.of_texts(title="\n", unit=None)]


def test_one_fault_is_a_sentence_and_many_are_numbered() -> None:
    """The place of each comes first."""
    one, two = Fault(("features", "a"), "give an example"), Fault(("title",), "give a text")

    assert "features.a: give an example" == faults.sentence([one])
    assert "2 faults: (1) features.a: give an example; (2) title: give a text" == faults.sentence(
        [one, two]
    )
    assert {"loc": ["features", "a"], "msg": "give an example"} == one.detail


def test_a_long_annotation_is_cut() -> None:
    """It may list hundreds of categories."""
    words = faults.named(Literal.__getitem__(tuple(f"category {number}" for number in range(200))))

    assert len(words) < 70
    assert words.startswith("`Literal['category 0', 'category 1'")
