"""Lines of the parts of a spec, and calls with wrong arguments."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from prediction.checking import places
from prediction.checking.places import Places
from tests.servers import PROJECT

WRONG = '''\
from models_store.spec import Cost, Features, Spec, category as chosen, classes, number


class Wine(Features):
    """Wine."""

    alcohol: float = number("Alcohol", unit="%", lowest=5, high=25, example=14)
    colour: str = chosen("Colour", example="red", **more)
    proline: float = number("Proline")


SPEC = Spec(
    name="wine",
    features=Wine,
    target=classes("a", "b", positive="b", cost=Cost(1, 2, 3, 4)),
    pipe=None,
)
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (["features", "alcohol"], 7),
        (["features", "proline", "example"], 9),
        (["features", "unknown"], 14),
        (["target"], 15),
        (["gate", "metric"], 12),
        ([], 12),
    ],
)
def test_a_part_has_a_line(place: list[str], line: int) -> None:
    """That of `Spec(...)` if it is not in the file."""
    assert line == Places(ast.parse(WRONG)).line(place)


def test_a_file_without_a_spec_has_no_line() -> None:
    """Nothing is found in it."""
    assert Places(ast.parse("SPEC = 1")).line(["target"]) is None


def test_all_wrong_calls_are_found_at_once() -> None:
    """Python itself ends at the first one."""
    found = dict(Places(ast.parse(WRONG)).wrong_calls())

    assert [7, 9, 12, 15] == list(found)
    assert found[7].startswith("number() does not know lowest: it takes description, ")
    assert found[9].startswith("number() has missing a required ")
    assert found[12].startswith("Spec() does not know pipe: it takes name, title, ")


def test_the_shipped_specs_have_none(tmp_path: Path) -> None:
    """Nor has a file that can't be parsed."""
    for file in (PROJECT / "models_store" / "catalog").glob("*.py"):
        parsed = places.parse(file)
        assert parsed is not None
        assert [] == parsed.wrong_calls()
    (tmp_path / "a.py").write_text("def")
    assert places.parse(tmp_path / "a.py") is None
