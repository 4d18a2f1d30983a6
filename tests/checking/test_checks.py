"""What `loop check` finds out about one spec."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from models_store.catalog import Broken, file, iris, planes
from prediction.checking import checks
from prediction.checking.checks import Check, Finding
from prediction.checking.places import Places


def checked(**changes: Any) -> Check:
    """Check the irises with other functions."""
    found = Check("iris", file("iris"))
    checks._check_rows(replace(iris.SPEC, **changes), found)
    return found


def test_a_good_spec_has_no_fault() -> None:
    """The notes say how it would be served."""
    found = checks.check("iris")

    assert [] == found.faults
    assert "4 features, 150 of 150 rows checked" == found.notes[0]
    assert "served by onnx (float64 matrix: agrees on 350 rows)" in found.notes[1]


def test_moments_may_be_times_of_pandas() -> None:
    """As a table of Parquet has them: a training turns them into texts."""

    def load() -> Any:
        X, y = planes.load()
        return X.assign(departs_at=pd.to_datetime(X.departs_at, utc=True))[:200], y[:200]

    found = Check("planes", file("planes"))
    checks._check_rows(replace(planes.SPEC, load=load), found)

    assert [] == found.faults
    assert "served by onnx" in found.notes[-1]


def test_what_does_not_compile_is_a_note() -> None:
    """With the reason."""
    estimator = make_pipeline(FunctionTransformer(abs), LogisticRegression(max_iter=1000))
    found = checked(pipeline=lambda _: make_pipeline(*(step for _, step in estimator.steps)))

    assert [] == found.faults
    assert "served by scikit-learn, because no graph agrees (" in found.notes[-1]


def broken_load() -> Any:
    """Raise in the third line."""
    content = {"a": 1}
    return content["b"]


def bare_load() -> Any:
    """Return no labels."""
    return pd.DataFrame()


@pytest.mark.parametrize(
    ("changes", "words", "offset"),
    [
        ({"load": broken_load}, "load() failed in test_checks.py", 3),
        ({"load": bare_load}, "load() returns DataFrame: return two things", 0),
        ({"pipeline": lambda _: LinearRegression()}, "LinearRegression predicts a number", 0),
    ],
)
def test_a_fault_has_the_line_of_its_function(changes: dict[str, Any], words: str, offset: int) -> None:
    """Or that of the exception."""
    (fault,) = checked(**changes).faults
    (function,) = changes.values()

    assert words in fault.words
    assert function.__code__.co_firstlineno + offset == fault.line


def test_rows_and_fit_are_checked_both() -> None:
    """Bad rows do not hide that the pipeline is wrong."""

    def load() -> Any:
        X, y = iris.load()
        X.iloc[0, 0] = -1
        return X, y

    found = checked(load=load, pipeline=lambda _: LinearRegression())

    assert ["load(): row 0: sepal_length_cm", "LinearRegression"] == [
        each.words.split(" must")[0].split(" predicts")[0] for each in found.faults
    ]


def test_a_dataset_that_can_not_be_split_is_a_fault() -> None:
    """A training would end with it."""

    def load() -> Any:
        X, y = iris.load()
        return X.iloc[[0, 60, 120]], y.iloc[[0, 60, 120]]

    assert "no row of load() can be held out" in checked(load=load).faults[0].words


def test_faults_of_a_broken_file_have_their_lines() -> None:
    """Those that `Spec` names, and calls with wrong arguments."""
    parsed = Places(
        ast.parse("from models_store.spec import Spec, number\na = number()\nSPEC = Spec(\n title=1)")
    )
    known = Broken("a", file("iris"), 3, "all", ({"loc": ["title"], "msg": "give a text"},))

    assert [Finding(4, "title: give a text")] == checks._of_broken(known, parsed)
    other = Broken("a", file("iris"), 2, "TypeError: number() missing")
    assert [2, 3] == [each.line for each in checks._of_broken(other, parsed)]
    assert [Finding(2, "TypeError: number() missing")] == checks._of_broken(other, None)
