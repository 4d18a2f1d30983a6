"""scikit-learn pipelines compiled to ONNX, and the proof that both give the same answers.

A graph takes all numbers as one matrix, or each feature as an input of its own, in float64 or in
float32. Which layout repeats scikit-learn's arithmetic depends on the estimator: trees compare in
float32, and some ONNX operators only know one type. `build` keeps the first layout that agrees on all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import boosting, pipelines
from models_store.layout import Layout
from models_store.spec import Columns, Spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto
    from sklearn.base import ClassifierMixin

TOLERANCE = 1e-6
"""The largest difference of any probability between ONNX Runtime and scikit-learn."""

RANDOM_ROWS = 10_000

SLICE_ROWS = 1024
"""Rows computed at a time, so few that the intermediate results of a graph stay in the CPU cache."""

MATRIX = "_rows"
"""The input with all features at once, shape (n, features). No feature's name begins with _."""

MISSING = np.array(None, object)
NUMPY_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(double)": np.float64}


@dataclass(frozen=True)
class Agreement:
    """The result of comparing a compiled model with its pipeline."""

    rows: int
    max_difference: float
    other_class: int

    @property
    def holds(self) -> bool:
        """Whether each row has the same class, and no probability differs by more than `TOLERANCE`."""
        return self.other_class == 0 and self.max_difference <= TOLERANCE

    def as_dict(self) -> dict[str, float]:
        """Return the figures as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Compiled:
    """A graph that agrees with its pipeline, or the reason why there is none."""

    onnx: bytes | None
    agreement: Agreement | None
    reason: str


class Session:
    """A loaded compiled model. It computes in one thread.

    Parameters
    ----------
    onnx
        The graph: its bytes or its file.
    layout
        The columns of the frame that the pipeline was fitted on.
    """

    def __init__(self, onnx: bytes | Path, layout: Layout) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = onnx if isinstance(onnx, bytes) else str(onnx)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._inputs = [(node.name, NUMPY_TYPES.get(node.type)) for node in self._session.get_inputs()]
        self._names = list(layout.texts)

    def probabilities(self, columns: Columns) -> NDArray[np.float64]:
        """Return the probability of each class, shape (n, classes), in the spec's class order."""
        feed = {name: self._tensor(name, dtype, columns) for name, dtype in self._inputs}
        rows = len(columns[self._names[0]])
        found = [self._run(feed, start) for start in range(0, rows, SLICE_ROWS)]
        return np.asarray(found[0] if len(found) == 1 else np.concatenate(found), np.float64)

    def _run(self, feed: dict[str, NDArray[Any]], start: int) -> NDArray[Any]:
        some = {name: tensor[start : start + SLICE_ROWS] for name, tensor in feed.items()}
        found: list[NDArray[Any]] = self._session.run(["probabilities"], some)
        return found[0]

    def _tensor(self, name: str, dtype: Any, columns: Columns) -> NDArray[Any]:
        if name == MATRIX:
            return np.array([columns[feature] for feature in self._names], dtype).T
        if dtype is None:
            return _strings(columns[name])
        return np.array(columns[name], dtype)[:, None]


def _strings(values: Sequence[Any] | NDArray[np.object_]) -> NDArray[np.object_]:
    # A string tensor can't hold null. "" is no category, so a one-hot encoder that ignores unknown
    # categories leaves its columns at zero, as scikit-learn's does for a missing value.
    if isinstance(values, np.ndarray):  # NumPy holds Python's global lock for less time than a loop
        return np.where(values == MISSING, "", values)[:, None]
    return np.array(["" if value is None else value for value in values], object)[:, None]


def build(pipeline: ClassifierMixin, spec: Spec, columns: Columns, seed: int) -> Compiled:
    """Compile a fitted pipeline, and compare both on all rows of `columns` and on random rows.

    Parameters
    ----------
    columns
        All rows of the dataset.
    seed
        Of the `RANDOM_ROWS` random rows; they cover the physical ranges and have missing values.
    """
    random = spec.random_columns(RANDOM_ROWS, np.random.default_rng(seed), columns)
    rows = {name: columns[name] + random[name] for name in spec.inputs}
    proof = _Proof(spec, rows, pipelines.probabilities(pipeline, spec.layout, rows))
    tried: list[Compiled] = []
    for inputs in _layouts(spec):
        for attempt in _attempts(pipeline, inputs, proof):
            if attempt.onnx is not None:
                return attempt
            tried.append(attempt)
    closest = next((attempt.agreement for attempt in tried if attempt.agreement), None)
    return Compiled(None, closest, "; ".join(attempt.reason for attempt in tried))


@dataclass(frozen=True)
class _Proof:
    """Rows to compare on, and the pipeline's probabilities for them."""

    spec: Spec
    rows: Columns
    expected: NDArray[np.float64]

    def compare(self, name: str, onnx: bytes) -> Compiled:
        """Run a graph on all rows; it is kept only if it agrees."""
        found = Session(onnx, self.spec.layout).probabilities(self.rows)
        if found.shape != self.expected.shape:
            return Compiled(None, None, f"{name}: probabilities of shape {found.shape}")
        agreement = Agreement(
            rows=len(self.expected),
            max_difference=float(np.nan_to_num(np.abs(found - self.expected), nan=np.inf).max()),
            other_class=int((found.argmax(axis=1) != self.expected.argmax(axis=1)).sum()),
        )
        if not agreement.holds:
            reason = f"{name}: differs by {agreement.max_difference:.1e}, {agreement.other_class} classes"
            return Compiled(None, agreement, reason)
        return Compiled(onnx, agreement, f"{name}: agrees on {agreement.rows} rows")


@dataclass(frozen=True)
class _Inputs:
    matrix: bool
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} {'matrix' if self.matrix else 'columns'}"


def _layouts(spec: Spec) -> list[_Inputs]:
    shapes = [False] if any(spec.layout.texts.values()) else [True, False]
    return [_Inputs(matrix, dtype) for matrix in shapes for dtype in ("float64", "float32")]


def _attempts(pipeline: ClassifierMixin, inputs: _Inputs, proof: _Proof) -> Iterator[Compiled]:
    # Converters and the runtime refuse an estimator with many kinds of exceptions, without a common
    # base. In each case the pipeline is served instead, and the reason is shown.
    try:
        graph = _convert(pipeline, proof.spec, inputs)
        tables = boosting.tabulate(graph)
        for name, found in ((f"{inputs}, trees as tables", tables), (str(inputs), graph)):
            if found is not None:
                yield proof.compare(name, found.SerializeToString())
    except Exception as error:
        first_line = (str(error).strip() or repr(error)).splitlines()[0]
        yield Compiled(None, None, f"{inputs}: {type(error).__name__}: {first_line[:200]}")


def _convert(pipeline: ClassifierMixin, spec: Spec, inputs: _Inputs) -> ModelProto:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    numbers = DoubleTensorType if inputs.dtype == "float64" else FloatTensorType
    if inputs.matrix:
        types = [(MATRIX, numbers([None, len(spec.layout.texts)]))]
    else:
        types = [
            (name, (StringTensorType if is_text else numbers)([None, 1]))
            for name, is_text in spec.layout.texts.items()
        ]
    return to_onnx(pipeline, initial_types=types, options={"zipmap": False})
