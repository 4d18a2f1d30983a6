"""Why a pipeline did not become a graph, in words."""

from __future__ import annotations

import pytest

from models_store.graphs import causes
from models_store.graphs.causes import NoConverter


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            RuntimeError(
                "Unable to find a shape calculator for type '<class 'sklearn.a._b.Spline'>'.\nHelp"
            ),
            "no converter knows Spline",
        ),
        (
            ValueError("invalid literal for int() with base 10: 'x'"),
            "its converter takes only whole numbers",
        ),
        (
            RuntimeError("Unable to find column name 'k' among names ['_rows']. Make sure the input names"),
            "it chooses columns by name, and a matrix has none",
        ),
        (
            RuntimeError(
                "Type (tensor(double)) of output arg (p) of node (Exp) does not match expected type"
            ),
            "its converter mixes numbers of 64 and of 32 bits",
        ),
        (NoConverter("trees of wood"), "no converter knows trees of wood"),
        (ValueError("something new\nand help"), "ValueError: something new"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_cause_is_one_plain_line(error: Exception, expected: str) -> None:
    """What the converter says is translated if it is known, and shortened if not."""
    found = causes.words(error)

    assert found.startswith(expected)
    assert "\n" not in found


def test_the_true_cause_is_behind_the_others() -> None:
    """Converters wrap exceptions in others."""
    outer = RuntimeError("conversion failed")
    outer.__cause__ = NoConverter("trees of wood")

    assert "no converter knows trees of wood" == causes.words(outer)
