"""Imputers and encoders as nodes, with gaps, unknown, rare and dropped categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from models_store.graphs import converter

ROWS = 60


def texts(*, gaps: bool) -> pd.DataFrame:
    """Make two columns of texts; some are rare."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.choice(["x", "y", "z", "rare"], ROWS, p=[0.4, 0.4, 0.15, 0.05]),
            "b": rng.choice(["left", "right"], ROWS),
        },
        dtype=object,
    )
    return frame.mask(rng.random(frame.shape) < 0.2) if gaps else frame


def of_texts(step: Any, frame: pd.DataFrame) -> Any:
    """Ask the graph of a step; a missing text is an empty one."""
    types = [(name, StringTensorType([None, 1])) for name in frame]
    session = onnxruntime.InferenceSession(converter.convert(step, types).SerializeToString())
    feed = {name: frame[[name]].fillna("").to_numpy(object) for name in frame}
    return session.run(None, feed)[0]


def of_numbers(step: Any, X: Any) -> Any:
    """Ask the graph of a step."""
    model = converter.convert(step, [("rows", DoubleTensorType([None, X.shape[1]]))])
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"rows": X})[0]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
        OneHotEncoder(sparse_output=False, drop="first", handle_unknown="ignore"),
        OneHotEncoder(sparse_output=False, drop="if_binary"),
        OneHotEncoder(sparse_output=False, min_frequency=10, handle_unknown="infrequent_if_exist"),
        OrdinalEncoder(),
        OrdinalEncoder(encoded_missing_value=-2),
        OrdinalEncoder(min_frequency=10),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
def test_encoders_of_texts_agree(encoder: Any, gaps: bool) -> None:
    """On all rows of the fit, and on an unknown category where it is allowed."""
    frame = texts(gaps=gaps)
    encoder.fit(frame)
    if encoder.handle_unknown != "error":
        frame = pd.concat([frame, pd.DataFrame({"a": ["new", "x"], "b": ["left", "new"]}, dtype=object)])

    np.testing.assert_array_equal(of_texts(encoder, frame), encoder.transform(frame))


@pytest.mark.parametrize("encoder", [OneHotEncoder(sparse_output=False), OrdinalEncoder()], ids=str)
def test_encoders_of_numbers_agree(encoder: Any) -> None:
    """No number is equal to a missing one."""
    X = np.random.default_rng(0).choice([0.5, 1.0, 2.0, np.nan], (ROWS, 2))

    np.testing.assert_array_equal(of_numbers(encoder.fit(X), X), encoder.transform(X))


@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(strategy="most_frequent"),
        SimpleImputer(strategy="constant", fill_value="none"),
    ],
    ids=str,
)
def test_imputers_of_texts_agree(imputer: Any) -> None:
    """An empty text is filled."""
    frame = texts(gaps=True)

    np.testing.assert_array_equal(of_texts(imputer.fit(frame), frame), imputer.transform(frame))


@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(),
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(strategy="constant", fill_value=-1.0),
        SimpleImputer(keep_empty_features=True),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
def test_imputers_of_numbers_agree(imputer: Any) -> None:
    """Also where a column has no value at all, and to the last bit."""
    X = np.random.default_rng(0).normal(size=(ROWS, 3))
    X[::3, 0] = np.nan
    X[:, 1] = np.nan

    np.testing.assert_array_equal(of_numbers(imputer.fit(X), X), imputer.transform(X))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (SimpleImputer(missing_values=-1), "missing_values=-1"),
        (OneHotEncoder(drop="first", min_frequency=2, handle_unknown="ignore"), "drops a category"),
    ],
)
def test_it_says_what_it_does_not_write(step: Any, words: str) -> None:
    """The table of a training shows these words."""
    X = np.array([[1.0], [1.0], [2.0], [3.0]])

    with pytest.raises(NotImplementedError, match=words):
        of_numbers(step.fit(X), X)
