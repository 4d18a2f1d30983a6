"""Cross-validation of the estimators of a proposal, and which of them is chosen: it must compile."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import compiled
from models_store.errors import InvalidSpec
from models_store.spec import Columns, Spec
from models_store.targets.classes import Classes
from prediction.proposals import code
from prediction.proposals.estimators import Estimator

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ROWS, MIN_ROWS = 5_000, 500
CELLS = 400_000
"""Rows times columns that are tried at most."""

SMALL = 500
"""Rows up to which there are five folds, and else three."""

COMPILED_ROWS = 1_000
"""Of a large forest the conversion takes long; training proves it again with all rows."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """How an estimator has done.

    Parameters
    ----------
    losses
        Of each fold: log-loss, or mean absolute error.
    second
        Accuracy, or the share of variance that is explained.
    served
        How it would be served, in words; empty if that was not tried.
    """

    choice: Estimator
    losses: tuple[float, ...]
    second: float
    seconds: float
    served: str = ""

    @property
    def loss(self) -> float:
        """The mean of the folds."""
        return float(np.mean(self.losses))


@dataclass(frozen=True)
class Chosen:
    """The chosen estimator, and the table of all."""

    choice: Estimator
    table: str
    words: str


def sample(rows: int, columns: int) -> NDArray[np.int64]:
    """Choose the rows to try estimators on."""
    most = min(MAX_ROWS, max(MIN_ROWS, CELLS // max(columns, 1)))
    return np.sort(np.random.default_rng(0).permutation(rows)[:most])


def choose(
    spec: Spec,
    columns: Columns,
    labels: Sequence[str],
    pipelines: Sequence[tuple[Estimator, Callable[[int], Any]]],
    tell: Tell,
) -> Chosen:
    """Cross-validate, and choose the simplest one that compiles and is not clearly worse than the best.

    Parameters
    ----------
    columns, labels
        Some rows of the table, and their labels as canonical texts.
    pipelines
        Each estimator and the function that makes its pipeline, the simplest first.
    """
    from threadpoolctl import threadpool_limits

    rows = _frequent(spec, labels)
    kept = {name: [values[row] for row in rows] for name, values in columns.items()}
    X, y = spec.frame(kept), spec.target.as_y([labels[row] for row in rows])
    folds = _folds(spec, y)
    trials = []
    for choice, make in pipelines:
        tell(f"try {choice.name} on {len(y):,} rows")
        # Small fits gain nothing by threads, which spin on a busy machine while they wait for each other.
        with threadpool_limits(1):
            trials.append(_tried(choice, make, X, y, folds))
    made, order = dict(pipelines), _in_order(trials)
    for place, trial in enumerate(order):
        tell(f"compile {trial.choice.name}")
        served = _served(spec, *_first(kept, labels, rows), made[trial.choice])
        order[place] = replace(trial, served=served)
        if served == "onnx":
            return _chosen(spec, order, order[place], trials, len(y))
    return _chosen(spec, order, order[0], trials, len(y))


def _first(kept: Columns, labels: Sequence[str], rows: Sequence[int]) -> tuple[Columns, list[str]]:
    """Return the first rows of those that were tried."""
    few = {name: values[:COMPILED_ROWS] for name, values in kept.items()}
    return few, [labels[row] for row in rows[:COMPILED_ROWS]]


def _frequent(spec: Spec, labels: Sequence[str]) -> list[int]:
    """Return the rows whose class has a row for each fold."""
    if not isinstance(spec.target, Classes):
        return list(range(len(labels)))
    counts = Counter(labels)
    folds = _number_of_folds(len(labels))
    enough = [row for row, label in enumerate(labels) if counts[label] >= folds]
    return enough if len({labels[row] for row in enough}) > 1 else list(range(len(labels)))


def _number_of_folds(rows: int) -> int:
    return 5 if rows <= SMALL else 3


def _folds(spec: Spec, y: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    number = min(_number_of_folds(len(y)), len(y))
    if not isinstance(spec.target, Classes):
        return list(KFold(number, shuffle=True, random_state=0).split(y))
    least = min(Counter(y.tolist()).values())
    if least < 2:
        return list(KFold(number, shuffle=True, random_state=0).split(y))
    return list(StratifiedKFold(min(number, least), shuffle=True, random_state=0).split(y, y))


def _tried(choice: Estimator, make: Callable[[int], Any], X: Any, y: Any, folds: Any) -> Trial:
    started, losses, seconds = time.perf_counter(), [], []
    for learnt, held in folds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that has not converged: its loss says how good it is
            try:
                fitted = make(0).fit(X.iloc[learnt], y[learnt])
                loss, second = _losses(fitted, X.iloc[held], y[held])
            except ValueError:  # numbers that no float32 holds, or a fold without a word
                loss, second = np.inf, np.nan
        losses.append(loss)
        seconds.append(second)
    return Trial(choice, tuple(losses), float(np.mean(seconds)), time.perf_counter() - started)


def _losses(fitted: Any, X: Any, y: Any) -> tuple[float, float]:
    if not hasattr(fitted, "predict_proba"):
        told = fitted.predict(X)
        spread = float(np.square(y - y.mean()).sum())
        explained = 1 - float(np.square(y - told).sum()) / spread if spread else 0.0
        return float(np.abs(y - told).mean()), explained
    known = {label: place for place, label in enumerate(fitted.classes_.tolist())}
    told = np.clip(fitted.predict_proba(X), 1e-6, 1)
    of_true = [told[row, known[label]] if label in known else 1e-6 for row, label in enumerate(y.tolist())]
    return float(-np.log(of_true).mean()), float(np.mean(fitted.predict(X) == y))


def _in_order(trials: Sequence[Trial]) -> list[Trial]:
    """Put first the simplest whose loss is within a standard error of the best one's, then by loss."""
    best = min(trials, key=lambda trial: trial.loss)
    for trial in [each for each in trials if np.isfinite(each.loss)]:
        more = np.array(trial.losses) - np.array(best.losses)
        error = float(more.std(ddof=1) / np.sqrt(len(more))) if len(more) > 1 else 0.0
        if float(more.mean()) <= error:
            return [
                trial,
                *sorted((each for each in trials if each is not trial), key=lambda each: each.loss),
            ]
    return sorted(trials, key=lambda trial: trial.loss)


def _served(spec: Spec, columns: Columns, labels: Sequence[str], make: Callable[[int], Any]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted = make(0).fit(spec.frame(columns), spec.target.as_y(labels))
            found = compiled.build(fitted, spec, columns, 0, labels=labels)
        except (ValueError, InvalidSpec):
            return "nothing"
    return "onnx" if found.onnx is not None else "scikit-learn"


def _chosen(spec: Spec, order: Sequence[Trial], best: Trial, trials: Sequence[Trial], rows: int) -> Chosen:
    served = {trial.choice.name: trial.served for trial in order}
    is_classes = isinstance(spec.target, Classes)
    header = [
        "estimator",
        "log-loss" if is_classes else "MAE",
        "accuracy" if is_classes else "R2",
        "seconds",
        "served by",
    ]
    body = [
        [
            each.choice.name,
            f"{each.loss:.4g}",
            f"{each.second:.3f}",
            f"{each.seconds:.1f}",
            served[each.choice.name],
        ]
        for each in trials
    ]
    folds = len(best.losses)
    gone = [each.choice.name for each in order if each.served not in ("", "onnx") and each is not best]
    beaten = [each for each in trials if each.loss < best.loss and each.choice.name not in gone]
    words = best.choice.name
    words += ", the simplest that is not clearly worse than the best" if beaten else ""
    words += f"; {' and '.join(gone)} can't be compiled to ONNX" if gone else ""
    text = f"Chosen by cross-validation on {rows:,} rows in {folds} folds: {words}."
    return Chosen(best.choice, code.table(header, body), text)
