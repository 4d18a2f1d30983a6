"""Trees of LightGBM and XGBoost as arrays. A model of theirs has imported its package."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from models_store.graphs import nodes, trees
from models_store.graphs.causes import NoConverter
from models_store.graphs.trees import Ensemble, Tree
from models_store.targets.numbered import Numbered

CATEGORICAL, DEFAULT_LEFT = 1, 2
"""Bits of LightGBM's `decision_type`. The next two say what a missing value is."""

AS_ZERO, ONLY_ZERO, ONLY_NAN = range(3)

ZERO = float(np.float32(1e-35))
"""LightGBM takes a value for 0 if it is not farther from it."""

LIGHTGBM = {
    "binary": trees.LOGISTIC,
    "multiclass": trees.SOFTMAX,
    "regression": trees.IDENTITY,
    "regression_l1": trees.IDENTITY,
    "huber": trees.IDENTITY,
    "quantile": trees.IDENTITY,
    "mape": trees.IDENTITY,
    "poisson": trees.EXP,
    "gamma": trees.EXP,
    "tweedie": trees.EXP,
}

XGBOOST = {
    "binary:logistic": trees.LOGISTIC,
    "multi:softprob": trees.SOFTMAX,
    "reg:squarederror": trees.IDENTITY,
    "reg:absoluteerror": trees.IDENTITY,
    "reg:pseudohubererror": trees.IDENTITY,
    "count:poisson": trees.EXP,
    "reg:gamma": trees.EXP,
    "reg:tweedie": trees.EXP,
}
"""How sums become answers, by the names of objectives."""


def register() -> None:
    """Let the converter write the models of the packages that are loaded."""
    if lightgbm := sys.modules.get("lightgbm"):
        nodes.register_classifier(lightgbm.LGBMClassifier, of_lightgbm)
        nodes.register_regressor(lightgbm.LGBMRegressor, of_lightgbm)
    if xgboost := sys.modules.get("xgboost"):
        nodes.register_classifier(xgboost.XGBClassifier, of_xgboost)
        nodes.register_regressor(xgboost.XGBRegressor, of_xgboost)
        nodes.register_classifier(Numbered, lambda numbered: of_xgboost(numbered.estimator))


def of_lightgbm(estimator: Any) -> Ensemble:
    """Read LightGBM. It compares float64."""
    text = estimator.booster_.model_to_string(num_iteration=estimator.best_iteration_ or None)
    head, *blocks = text.split("end of trees")[0].split("\nTree=")
    known = dict(line.partition("=")[::2] for line in head.splitlines())
    if "objective" not in known:
        raise NoConverter("LightGBM with an objective that is a function")
    objective, *parameters = known["objective"].split()
    if objective not in LIGHTGBM or "average_output" in known or "sqrt" in parameters:
        raise NoConverter(f"LightGBM with the objective {known['objective']}")
    if any(word.startswith("sigmoid:") and float(word[8:]) != 1 for word in parameters):
        raise NoConverter("LightGBM with a sigmoid of its own")
    sums = int(known["num_tree_per_iteration"])
    found = [_tree_of_lightgbm(block, number % sums) for number, block in enumerate(blocks)]
    return Ensemble(trees.joined(found), np.float64, np.zeros(sums), LIGHTGBM[objective])


def _tree_of_lightgbm(block: str, target: int) -> Tree:
    known = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
    if known["num_cat"] != "0" or known.get("is_linear", "0") != "0":
        raise NoConverter("LightGBM with categories or with linear trees")
    weight = np.array(known["leaf_value"].split(), np.float64)
    if known["num_leaves"] == "1":
        none = np.zeros(1, np.int64)
        return Tree(none, none, none, none, np.ones(1, bool), none, weight, target)
    read = {
        name: np.array(known[name].split(), np.float64)
        for name in ("split_feature", "threshold", "decision_type", "left_child", "right_child")
    }
    kinds = read["decision_type"].astype(np.int64)
    if ((kinds >> 2) == ONLY_ZERO).any():
        raise NoConverter("LightGBM that takes zeros for missing values")
    # A missing value at a node that has seen none is compared as 0.
    as_zero = (kinds >> 2) == AS_ZERO
    missing = np.where(as_zero, read["threshold"] >= 0, (kinds & DEFAULT_LEFT) > 0)
    threshold = np.where(read["threshold"] == -ZERO, np.nextafter(-ZERO, -1), read["threshold"])
    inner = len(kinds)
    places = [
        np.where(side < 0, inner - 1 - side, side)  # the leaf k is written as -1 - k
        for side in (read["left_child"], read["right_child"])
    ]
    leaves = np.zeros(len(weight))
    return Tree(
        np.append(read["split_feature"], leaves),
        np.append(threshold, leaves),
        np.append(places[0], leaves),
        np.append(places[1], leaves),
        np.append(np.zeros(inner), leaves + 1),
        np.append(missing, leaves),
        np.append(np.zeros(inner), weight),
        target,
    )


def of_xgboost(estimator: Any) -> Ensemble:
    """Read XGBoost. It reads float32, and goes left below a threshold."""
    booster = estimator.get_booster()
    best = getattr(estimator, "best_iteration", None) if estimator.early_stopping_rounds else None
    if best is not None:
        booster = booster[: best + 1]
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective, grown = learner["objective"]["name"], learner["gradient_booster"]
    if objective not in XGBOOST or grown["name"] != "gbtree":
        raise NoConverter(f"XGBoost with the booster {grown['name']} and the objective {objective}")
    model, link = grown["model"], XGBOOST[objective]
    found = [
        _tree_of_xgboost(tree, target)
        for tree, target in zip(model["trees"], model["tree_info"], strict=True)
    ]
    sums = max(1, int(learner["learner_model_param"]["num_class"]))
    given = json.loads(learner["learner_model_param"]["base_score"])
    base = np.resize(np.array(given, np.float32).astype(np.float64), sums)
    if link == trees.LOGISTIC:
        base = np.log(base / (1 - base))
    if link == trees.EXP:
        base = np.log(base)
    return Ensemble(trees.joined(found), np.float32, base, link, is_below=True)


def _tree_of_xgboost(tree: dict[str, Any], target: int) -> Tree:
    if any(tree["split_type"]):
        raise NoConverter("XGBoost with categories")
    left, values = np.array(tree["left_children"]), np.array(tree["split_conditions"], np.float32)
    return Tree(
        np.array(tree["split_indices"]),
        values.astype(np.float64),
        left,
        np.array(tree["right_children"]),
        left < 0,
        np.array(tree["default_left"]),
        np.where(left < 0, values, 0).astype(np.float64),
        target,
    )
