"""One loaded version: validated rows in, predictions out. It does not record or swap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import uuid_utils
from pydantic_core import to_json

from models_store import compiled, pipelines, store
from models_store.errors import DamagedVersion, Detail
from models_store.spec import Columns, Feature, Features, Spec
from models_store.validation import clip, listing
from prediction import metrics
from prediction.journal.predictions import Prediction
from prediction.times import now_us

Score = Callable[[Columns], Any]


class Predictor:
    """Answers rows of one spec with one version.

    Parameters
    ----------
    score
        Takes the columns of n rows, returns answers of the spec's kind of target.
    profile
        The profile of the version's training data, as `drift.profile` returns it.
    """

    def __init__(self, spec: Spec, version: store.Version, score: Score, profile: dict[str, Any]) -> None:
        self.spec = spec
        self.version = version
        self.score = score
        self._ranges = _training_ranges(spec, profile)
        self._seen = _training_categories(spec, profile)
        self._answered = {
            name: metrics.PREDICTIONS.labels(spec.name, version.version, name)
            for name in spec.target.counted
        }

    def predict(self, rows: Sequence[Features]) -> list[Prediction]:
        """Answer rows in one vectorised call; the answers have the order of the rows."""
        if not rows:
            return []
        columns = self.spec.columns(rows)
        said = self.spec.target.said(self.score(columns))
        warnings = self._warnings(columns, len(rows))
        at_us = now_us()
        return [
            Prediction(
                prediction_id=str(uuid_utils.uuid7()),
                at_us=at_us,
                model=self.spec.name,
                version=self.version.version,
                features=to_json(row).decode(),
                predicted_class=of_row.predicted_class,
                probabilities=of_row.probabilities,
                warnings=[*warned, *of_row.warnings] if of_row.warnings else warned,
                value=of_row.value,
                low=of_row.low,
                high=of_row.high,
            )
            for row, of_row, warned in zip(rows, said, warnings, strict=True)
        ]

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count answered predictions."""
        for name, rows in _tally([item.predicted_class for item in predictions]):
            self._answered[name].inc(rows)
        warned = [warning["loc"][0] for item in predictions for warning in item.warnings]
        for feature, values in _tally(warned):
            metrics.OUT_OF_RANGE.labels(self.spec.name, feature).inc(values)

    def _warnings(self, columns: Columns, rows: int) -> list[list[Detail]]:
        """Warn of each value that is possible but outside the training data of the version."""
        warnings: list[list[Detail]] = [[] for _ in range(rows)]
        for feature, low, high in self._ranges:
            for row, value in enumerate(columns[feature.name]):
                if value is not None and not low <= value <= high:
                    warnings[row].append(_out_of_range(feature, value, low, high))
        for feature, seen, words in self._seen:
            for row, value in enumerate(columns[feature.name]):
                if value is not None and value not in seen:
                    message = f"{clip(value)} is not in the training data ({words})"
                    warnings[row].append({"loc": [feature.name], "msg": message})
        return warnings


def _tally(names: list[str]) -> Iterable[tuple[str, int]]:
    """Return how often each name occurs; a Counter would take longer than all else that is counted."""
    return Counter(names).items() if len(names) > 1 else [(name, 1) for name in names]


def load(spec: Spec, version: store.Version, digest: str) -> Predictor:
    """Check a version's files against `digest`, load it, and repeat its golden requests.

    A compiled version needs neither scikit-learn nor pandas.

    Raises
    ------
    DamagedVersion
        When a file is missing or changed, or a golden request has another answer.
    """
    store.verify(version, digest)
    profile, golden = version.read_json(store.PROFILE), version.read_json(store.GOLDEN)
    _check_schema(spec, version, profile)
    try:
        decision = spec.target.decision(golden)
        beside = [compiled.Session(version.path / name, spec).first for name in decision.graphs]
        if version.runtime == "onnx":
            score: Score = compiled.Session(version.path / store.ONNX, spec).scorer(decision, beside)
        else:
            pipeline = store.load_pipeline(version, digest)
            score = partial(pipelines.answers, pipeline, spec, decision=decision, beside=beside)
        answers = score(golden["columns"])
    except Exception as error:  # the errors of the runtimes have no common base
        raise DamagedVersion(f"{version.tag} can't be loaded: {type(error).__name__}: {error}") from error
    difference = spec.target.compare(golden, answers)
    if difference:
        raise DamagedVersion(
            f"{version.tag} gives other answers to its golden requests than when it was saved: {difference}"
        )
    return Predictor(spec, version, score, profile)


def _check_schema(spec: Spec, version: store.Version, profile: dict[str, Any]) -> None:
    """Refuse a version that was trained for other features or classes than those of the spec."""
    trained = {name: set(seen.get("counts", ())) for name, seen in profile["features"].items()}
    wanted = {name: set(feature.categories) for name, feature in spec.inputs.items()}
    if trained != wanted or not spec.target.is_of(version.metadata):
        raise DamagedVersion(
            f"{version.model}:{version.version} was trained for other features or classes than the"
            f" catalog has now: run `loop train {spec.name} --promote`"
        )


def _training_ranges(spec: Spec, profile: dict[str, Any]) -> list[tuple[Feature, float, float]]:
    found = []
    for feature in spec.inputs.values():
        seen = profile["features"][feature.name]
        if not feature.categories and seen["min"] is not None:
            found.append((feature, seen["min"], seen["max"]))
    return found


def _training_categories(spec: Spec, profile: dict[str, Any]) -> list[tuple[Feature, frozenset[str], str]]:
    """Return the categories that a version has seen of each feature, as a set and in words."""
    found = []
    for feature in spec.inputs.values():
        if feature.categories:
            counts = profile["features"][feature.name]["counts"]
            seen = frozenset(name for name, count in counts.items() if count)
            found.append((feature, seen, listing(sorted(seen))))
    return found


def _out_of_range(feature: Feature, value: float, low: float, high: float) -> Detail:
    side = "below" if value < low else "above"
    message = f"{value:g} is {side} the training range of {low:g} to {high:g} {feature.unit}".rstrip()
    return {"loc": [feature.name], "msg": message}
