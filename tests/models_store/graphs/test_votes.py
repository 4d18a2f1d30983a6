"""Votes of classifiers: the mean of their probabilities, by weights or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier, VotingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor

from models_store.graphs import converter


@pytest.mark.parametrize("parameters", [{}, {"weights": [3, 1, 2]}, {"flatten_transform": False}], ids=str)
def test_votes_agree(parameters: dict[str, Any]) -> None:
    """The parameter that the converter refuses changes no probability, and stays as it is."""
    X, y = load_iris(return_X_y=True)
    members = [
        ("lr", LogisticRegression(max_iter=1000)),
        ("rf", RandomForestClassifier(5, random_state=0)),
        ("nb", GaussianNB()),
    ]
    voting = VotingClassifier(members, voting="soft", **parameters).fit(X, y)
    model = converter.convert(voting, [("rows", DoubleTensorType([None, 4]))])
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["probabilities"], {"rows": X})

    np.testing.assert_allclose(found, voting.predict_proba(X), rtol=0, atol=1e-12)
    assert parameters.get("flatten_transform", True) is voting.flatten_transform


@pytest.mark.parametrize("weights", [None, [3, 1, 2]], ids=str)
def test_votes_of_numbers_agree(weights: Any) -> None:
    """Weights are a list, as people write them; a dropped member has one too, which does not count."""
    X, y = load_iris(return_X_y=True)
    members = [("ridge", Ridge()), ("none", "drop"), ("tree", DecisionTreeRegressor(random_state=0))]
    voting = VotingRegressor(members, weights=weights).fit(X, y + X[:, 0])
    model = converter.convert(voting, [("rows", DoubleTensorType([None, 4]))])
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"rows": X})

    np.testing.assert_allclose(found.ravel(), voting.predict(X), rtol=0, atol=1e-12)
