"""One loaded version: validated rows in, predictions out. It does not record or swap."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import uuid_utils
from pydantic_core import to_json

from models_store import compiled, pipelines, store
from models_store import layout as layouts
from models_store.errors import DamagedVersion, Detail
from models_store.layout import Layout
from models_store.spec import Columns, Features, Spec
from models_store.targets.said import Said
from models_store.validation import listing
from prediction import metrics
from prediction.figures.features import kinds
from prediction.figures.features.kinds import Check
from prediction.journal.predictions import NO_WARNINGS, Prediction
from prediction.serving.tables import ColumnTable
from prediction.times import now_us

Score = Callable[..., Any]


class Predictor:
    """Answers rows of one spec with one version.

    Parameters
    ----------
    score
        Takes the columns of n rows, returns answers of the spec's kind of target. Their intervals are as
        wide as the training calibrated them. That of a graph takes the sizes of several requests too.
    profile
        The profile of the version's training data, as `profiles.profile` returns it.
    """

    def __init__(self, spec: Spec, version: store.Version, score: Score, profile: dict[str, Any]) -> None:
        self.spec = spec
        self.version = version
        self.score = score
        self.width = 1.0
        """How many times as wide as calibrated the intervals are, by the labels."""
        self._write = spec.features.__pydantic_serializer__.to_json
        self._checks = _checks(spec, profile)
        self._answered = {
            name: metrics.PREDICTIONS.labels(spec.name, version.version, name)
            for name in spec.target.counted
        }

    def predict(self, rows: Sequence[Features], sizes: Sequence[int] = ()) -> list[Prediction]:
        """Answer rows in one vectorised call; the answers have the order of the rows.

        Parameters
        ----------
        sizes
            How many rows each request has, if there are several. Only for a graph, which answers each
            request by a call of its own; all else is done once.
        """
        if not rows:
            return []
        if isinstance(rows, ColumnTable):
            return self._answer(rows.columns, rows.texts())
        write = self._write
        return self._answer(self.spec.columns(rows), [write(row).decode() for row in rows], sizes)

    def _answer(
        self, columns: Columns, texts: Sequence[str], sizes: Sequence[int] = ()
    ) -> list[Prediction]:
        """Answer columns; `texts` are their rows as JSON, for the journal."""
        answers = self.score(columns, sizes) if len(sizes) > 1 else self.score(columns)
        said = self.spec.target.said(answers, self.width)
        warnings = [NO_WARNINGS] * len(texts)
        for row, found in self._warnings(columns, said).items():
            warnings[row] = to_json(found).decode()
        of_each_row = zip(
            [str(uuid_utils.uuid7()) for _ in texts],
            repeat(now_us()),
            repeat(self.spec.name),
            repeat(self.version.version),
            texts,
            said.classes,
            said.probabilities,
            warnings,
            said.values,
            said.low,
            said.high,
        )
        return list(map(Prediction._make, of_each_row))

    def answers(self, columns: Columns) -> Any:
        """Answer the columns of n rows as `predict` does; the answers are of the spec's kind of target."""
        return self.spec.target.adapt(self.score(columns), self.width)

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count answered predictions."""
        for name, rows in _tally([item.predicted_class for item in predictions]):
            self._answered[name].inc(rows)
        unusual = [item for item in predictions if item.warnings != NO_WARNINGS]
        warned = [warning["loc"][0] for item in unusual for warning in item.read_warnings()]
        for feature, values in _tally(warned):
            metrics.OUT_OF_RANGE.labels(self.spec.name, feature).inc(values)

    def _warnings(self, columns: Columns, said: Said) -> dict[int, list[Detail]]:
        """Return, by row, a warning of each value that is possible but unlike the training data.

        Those of the answers come last.
        """
        warnings: defaultdict[int, list[Detail]] = defaultdict(list)
        for name, check in self._checks:
            for row, message in check(columns[name]):
                warnings[row].append({"loc": [name], "msg": message})
        for row, of_answer in said.warnings.items():
            warnings[row] += of_answer
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
    layout = _layout(spec, version, profile)
    try:
        decision = spec.target.decision(golden)
        beside = [compiled.Session(version.path / name, spec, layout).first for name in decision.graphs]
        if version.runtime == "onnx":
            score: Score = compiled.Session(version.path / store.ONNX, spec, layout).scorer(
                decision, beside
            )
        else:
            pipeline = store.load_pipeline(version, digest)
            score = partial(
                pipelines.answers, pipeline, spec, decision=decision, beside=beside, layout=layout
            )
        answers = score(golden["columns"])
    except Exception as error:  # the errors of the runtimes have no common base
        raise DamagedVersion(f"{version.tag} can't be loaded: {type(error).__name__}: {error}") from error
    difference = spec.target.compare(golden, answers)
    if difference:
        raise DamagedVersion(
            f"{version.tag} gives other answers to its golden requests than when it was saved: {difference}"
        )
    return Predictor(spec, version, score, profile)


def _layout(spec: Spec, version: store.Version, profile: dict[str, Any]) -> Layout:
    """Return the layout of a version; refuse one that was trained for other features or classes."""
    layout = layouts.of_profile(profile, spec.inputs)
    others = layouts.misfits(layout, spec.inputs)
    if not spec.target.is_of(version.metadata):
        others.append("the target differs")
    if others:
        raise DamagedVersion(
            f"{version.tag} was trained for other features or classes than the catalog has now"
            f" ({listing(others)}): run `loop train {spec.name} --promote`"
        )
    return layout


def _checks(spec: Spec, profile: dict[str, Any]) -> list[tuple[str, Check]]:
    """Return the check of each feature that the version knows."""
    seen = profile["features"]
    known = {name: feature for name, feature in spec.inputs.items() if name in seen}
    return [(name, kinds.of(feature).unlike(feature, seen[name])) for name, feature in known.items()]
