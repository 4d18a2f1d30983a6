"""scikit-learn pipelines compiled to ONNX, and the proof that both give the same answers.

A graph takes all numbers as one matrix, or each feature as an input of its own, in float64 or in
float32. Which layout repeats scikit-learn's arithmetic depends on the estimator: trees compare in
float32, and some ONNX operators only know one type. `build` keeps the first layout that agrees on all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import blocks, failures, pipelines
from models_store.graphs import causes, converter, tables, thresholds, vectorizers
from models_store.layout import Layout
from models_store.spec import Columns, Spec
from models_store.targets.kinds import Target, TargetProof

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

RANDOM_ROWS = 10_000

SLICE_ROWS = 1024
"""Rows computed at a time, so few that the intermediate results of a graph stay in the CPU cache."""

MAX_ENSEMBLES = 10
"""Of ensembles inside one estimator, the first ones are looked at beside their thresholds."""

MATRIX = "_rows"
"""The input with all features at once, shape (n, features). No feature's name begins with _."""

MISSING = np.array(None, object)
NUMPY_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(double)": np.float64}


@dataclass(frozen=True)
class Compiled:
    """A graph that agrees with its pipeline, or the reason why there is none.

    Parameters
    ----------
    agreement
        How both compare, as the kind of target measures it; None if there was nothing to compare.
    decision
        The rule that makes answers of the outputs of the graph, or of the pipeline if there is no graph.
    """

    onnx: bytes | None
    agreement: Any
    reason: str
    decision: Any


class Session:
    """A loaded compiled model. It computes in one thread.

    Parameters
    ----------
    onnx
        The graph: its bytes or its file.
    spec
        Gives the target.
    layout
        That of the frame that the pipeline was fitted on; by default the spec's.
    """

    def __init__(self, onnx: bytes | Path, spec: Spec, layout: Layout | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = onnx if isinstance(onnx, bytes) else str(onnx)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._inputs = [(node.name, NUMPY_TYPES.get(node.type)) for node in self._session.get_inputs()]
        self._layout = layout or spec.layout
        self._names = list(self._layout.texts)
        self._target = spec.target

    @property
    def outputs(self) -> list[str]:
        """The outputs of the graph that answers may be made of."""
        return self._target.outputs_of([node.name for node in self._session.get_outputs()])

    def scorer(self, decision: Any, beside: Sequence[Callable[..., Any]] = ()) -> Callable[..., Any]:
        """Return the function that answers rows by a decision, as the spec's kind of target does.

        It takes columns, and the sizes of `run`.

        Parameters
        ----------
        beside
            The graphs that the decision names.
        """
        read, outputs = self._target.reader(decision), decision.outputs or self.outputs

        def score(columns: Columns, sizes: Sequence[int] = ()) -> Any:
            return read([*self.run(columns, outputs, sizes), *(ask(columns, sizes) for ask in beside)])

        return score

    def first(self, columns: Columns, sizes: Sequence[int] = ()) -> Any:
        """Return the first output for n rows."""
        return self.run(columns, self.outputs, sizes)[0]

    def run(
        self, columns: Columns, outputs: Sequence[str], sizes: Sequence[int] = ()
    ) -> list[NDArray[Any]]:
        """Return outputs for n rows, each of shape (n, ...).

        Parameters
        ----------
        sizes
            How many rows each request has, if there are several: the graph computes each alone. Together,
            the last bit of an answer would depend on the other requests.
        """
        if self._layout.is_spread:
            columns = self._layout.spread(columns)
        feed = {name: self._tensor(name, dtype, columns) for name, dtype in self._inputs}
        rows = len(columns[self._names[0]])
        sizes = sizes or [min(SLICE_ROWS, rows - start) for start in range(0, rows, SLICE_ROWS)]
        if len(sizes) < 2:
            return self._run(outputs, feed)
        ends = zip(sizes, accumulate(sizes), strict=True)
        slices = [slice(end - size, end) for size, end in ends if size]
        parts = [
            self._run(outputs, {name: tensor[some] for name, tensor in feed.items()}) for some in slices
        ]
        return [np.concatenate(of_output) for of_output in zip(*parts, strict=True)]

    def _run(self, outputs: Sequence[str], feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = self._session.run(outputs, feed)
        return found

    def _tensor(self, name: str, dtype: Any, columns: Columns) -> NDArray[Any]:
        if name == MATRIX:
            return np.array([columns[feature] for feature in self._names], dtype).T
        if dtype is None and name.startswith(vectorizers.LOWERED):
            return _strings(vectorizers.lower(columns[name.removeprefix(vectorizers.LOWERED)]))
        if dtype is None:
            return _strings(columns[name])
        return np.array(columns[name], dtype)[:, None]


def _strings(values: Sequence[Any] | NDArray[np.object_]) -> NDArray[np.object_]:
    # A string tensor can't hold null. "" is no category, so a one-hot encoder that ignores unknown
    # categories leaves its columns at zero, as scikit-learn's does for a missing value.
    if isinstance(values, np.ndarray):  # NumPy holds Python's global lock for less time than a loop
        return np.where(values == MISSING, "", values)[:, None]
    return np.array(["" if value is None else value for value in values], object)[:, None]


def build(
    pipeline: Any,
    spec: Spec,
    columns: Columns,
    seed: int,
    *,
    labels: Sequence[str] = (),
    target: Target | None = None,
    random_rows: int = RANDOM_ROWS,
) -> Compiled:
    """Compile a fitted pipeline, and compare both on all rows of `columns` and on random rows.

    Parameters
    ----------
    columns
        All rows of the dataset.
    seed
        Of the random rows. Half of them cover the physical ranges and have missing values; the others are
        made of values of the dataset, because answers hardly differ in most of a wide range.
    labels
        Those of the dataset, as canonical texts.
    target
        What the pipeline predicts, by default the target of the spec.
    """
    target = target or spec.target
    rng, half = np.random.default_rng(seed), random_rows // 2
    random = spec.random_columns(random_rows - half, rng, columns)
    nearby = spec.nearby_columns(half, rng, columns)
    step, remedy = (
        "predict on random rows of the ranges and on their ends",
        "each row that the features allow must get an answer",
    )
    parts = (columns, random, nearby)
    with failures.blamed(spec.name, step, spec.pipeline, remedy), pipelines.named(spec):
        proof = _Proof.of(target, pipeline, spec, _Rows(list(spec.inputs), parts), labels)
    tried: list[Compiled] = []
    for inputs in _layouts(spec):
        for attempt in _attempts(pipeline, inputs, proof):
            if attempt.onnx is not None:
                return attempt
            tried.append(attempt)
    closest = next((attempt.agreement for attempt in tried if attempt.agreement), None)
    return Compiled(None, closest, _joined([attempt.reason for attempt in tried]), proof.own)


def _joined(reasons: Sequence[str]) -> str:
    """Join the reasons of all attempts, each once: "float64 matrix, float32 matrix: why"."""
    attempts: dict[str, list[str]] = {}
    for reason in reasons:
        name, _, cause = reason.partition(": ")
        attempts.setdefault(cause, []).append(name)
    return "; ".join(f"{', '.join(names)}: {cause}" for cause, names in attempts.items())


@dataclass(frozen=True)
class _Rows:
    """Rows to compare on; they are asked in blocks, so that those of a large dataset need little memory."""

    names: Sequence[str]
    parts: Sequence[Columns]

    def __len__(self) -> int:
        return sum(len(part[self.names[0]]) for part in self.parts)

    def blocks(self) -> Iterator[Columns]:
        """Cut the rows into blocks."""
        for part in self.parts:
            for _, block in blocks.of({name: part[name] for name in self.names}):
                yield block


class _Asked:
    """A pipeline that answers the rows to compare on, block by block."""

    def __init__(self, pipeline: Any, spec: Spec) -> None:
        self._pipeline, self._spec = pipeline, spec

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def predict(self, rows: _Rows) -> Any:
        frames = map(self._spec.frame, rows.blocks())
        return np.concatenate([self._pipeline.predict(frame) for frame in frames])

    def predict_proba(self, rows: _Rows) -> Any:
        frames = map(self._spec.frame, rows.blocks())
        return np.concatenate([self._pipeline.predict_proba(frame) for frame in frames])


@dataclass(frozen=True)
class _Proof:
    """Rows to compare on, what the pipeline answers to them, and the rule that it follows itself."""

    spec: Spec
    target: Target
    rows: _Rows
    labels: Sequence[str]
    answers: TargetProof
    own: Any

    @classmethod
    def of(cls, target: Target, pipeline: Any, spec: Spec, rows: _Rows, labels: Sequence[str]) -> _Proof:
        """Ask the pipeline."""
        answers = target.prove(_Asked(pipeline, spec), rows, labels)
        return cls(spec, target, rows, labels, answers, answers.own())

    def compare(self, name: str, onnx: bytes) -> Compiled:
        """Run a graph on all rows; it is kept only if it agrees."""
        session = Session(onnx, self.spec)
        parts = [session.run(block, session.outputs) for block in self.rows.blocks()]
        whole = [each for each in zip(*parts, strict=True) if len(each[0]) == len(parts[0][0])]
        raw = [np.concatenate(of_output) for of_output in whole]  # the labels of some graphs lie in one row
        agreement, decision, words = self.answers.compare(raw)
        is_kept = agreement is not None and agreement.holds
        return Compiled(onnx if is_kept else None, agreement, f"{name}: {words}", decision)


@dataclass(frozen=True)
class _Inputs:
    matrix: bool
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} {'matrix' if self.matrix else 'columns'}"


def _layouts(spec: Spec) -> list[_Inputs]:
    shapes = [False] if any(spec.layout.texts.values()) else [True, False]
    return [_Inputs(matrix, dtype) for matrix in shapes for dtype in ("float64", "float32")]


def _attempts(pipeline: Any, inputs: _Inputs, proof: _Proof) -> Iterator[Compiled]:
    # Converters and the runtime refuse an estimator with many kinds of exceptions, without a common
    # base. In each case the pipeline is served instead, and the reason is shown.
    try:
        graph = _convert(pipeline, proof.spec, inputs)
        small = tables.tabulate(graph)
        beside = _beside_thresholds(pipeline, graph, proof)
        for name, found in ((f"{inputs}, trees as tables", small), (str(inputs), graph)):
            if found is not None:
                yield _at_thresholds(proof.compare(name, found.SerializeToString()), beside)
    except Exception as error:
        yield Compiled(None, None, f"{inputs}: {causes.words(error)}", proof.own)


def _beside_thresholds(pipeline: Any, graph: ModelProto, proof: _Proof) -> _Proof | None:
    """Return the proof on rows one step beside the thresholds of the trees of a graph, if it has trees."""
    spec, rows = proof.spec, proof.rows
    ensembles = thresholds.of(graph)[:MAX_ENSEMBLES]
    if not ensembles:
        return None
    part = Session(thresholds.before(graph, ensembles).SerializeToString(), spec)
    rng = np.random.default_rng(len(rows))
    found = (
        thresholds.beside(
            each, lambda columns, name: part.run(columns, [name])[0], rows.parts[0], spec.inputs, rng
        )
        for each in ensembles
    )
    parts = [each for each in found if each is not None]
    if not parts:
        return None
    return _Proof.of(proof.target, pipeline, spec, _Rows(rows.names, parts), proof.labels)


def _at_thresholds(attempt: Compiled, proof: _Proof | None) -> Compiled:
    """Keep a graph only if it also agrees beside the thresholds of its trees."""
    if attempt.onnx is None or proof is None:
        return attempt
    beside = proof.compare("", attempt.onnx)
    if beside.onnx is not None:
        return attempt
    words = f"{attempt.reason}, but one step beside a threshold{beside.reason.lstrip(':')}"
    return Compiled(None, beside.agreement, words, attempt.decision)


def _convert(pipeline: Any, spec: Spec, inputs: _Inputs) -> ModelProto:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    numbers = DoubleTensorType if inputs.dtype == "float64" else FloatTensorType
    if inputs.matrix:
        types = [(MATRIX, numbers([None, len(spec.layout.texts)]))]
    else:
        types = [
            (name, (StringTensorType if is_text else numbers)([None, 1]))
            for name, is_text in spec.layout.texts.items()
        ]
    made = spec.target.convertible(pipeline)
    return vectorizers.lower_outside(converter.convert(made, types, vectorizers.options(made)))
