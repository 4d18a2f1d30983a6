"""Votes for the converter, which refuses a parameter that changes no answer, and weights in a list."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from models_store.graphs import nodes


def register() -> None:
    """Let the converter write votes of any parameters."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    update_registered_converter(
        VotingClassifier,
        "MadeVotingClassifier",
        shape_calculator.calculate_linear_classifier_output_shapes,
        _classes,
        options=nodes.CLASSIFIER_OPTIONS,
    )
    update_registered_converter(
        VotingRegressor,
        "MadeVotingRegressor",
        shape_calculator.calculate_linear_regressor_output_shapes,
        _numbers,
    )


def _classes(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.operator_converters.voting_classifier import convert_voting_classifier

    operator.raw_operator = _shown(operator.raw_operator)
    operator.raw_operator.flatten_transform = False  # of `transform` alone
    convert_voting_classifier(scope, operator, container)


def _numbers(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.operator_converters.voting_regressor import convert_voting_regressor

    operator.raw_operator = _shown(operator.raw_operator)
    convert_voting_regressor(scope, operator, container)


def _shown(voting: Any) -> Any:
    """Return a copy of an estimator with the weights of those members only that were not dropped."""
    shown = copy.copy(voting)
    if shown.weights is not None:
        pairs = zip(shown.weights, shown.estimators, strict=True)
        shown.weights = np.array([weight for weight, (_, each) in pairs if each != "drop"], np.float64)
    return shown
