"""`VotingClassifier` for the converter, which refuses the default of a parameter that changes no answer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from models_store.graphs import nodes


def register() -> None:
    """Let the converter write votes of any parameters."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from sklearn.ensemble import VotingClassifier

    update_registered_converter(
        VotingClassifier,
        "MadeVotingClassifier",
        calculate_linear_classifier_output_shapes,
        _voting,
        options=nodes.CLASSIFIER_OPTIONS,
    )


def _voting(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.operator_converters.voting_classifier import convert_voting_classifier

    shown = copy.copy(operator.raw_operator)
    shown.flatten_transform = False  # of `transform` alone
    if shown.weights is not None:
        pairs = zip(shown.weights, shown.estimators, strict=True)
        shown.weights = np.array([weight for weight, (_, each) in pairs if each != "drop"], np.float64)
    operator.raw_operator = shown
    convert_voting_classifier(scope, operator, container)
