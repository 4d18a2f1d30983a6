"""scikit-learn to ONNX, and the proof that both agree.

A graph takes all numbers as one matrix, or each feature as an input of its own, in float64 or in
float32. Which of them repeats scikit-learn's arithmetic depends on the estimator (trees read float32
themselves, some operators of ONNX compute in nothing else), so `build` tries them in turn and keeps
the first that agrees everywhere it looked. Nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import boosting
from models_store.spec import Columns, Spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto
    from sklearn.base import ClassifierMixin

TOLERANCE = 1e-6
"""The largest difference of any probability between ONNX Runtime and scikit-learn."""

RANDOM_ROWS = 10_000

SLICE_ROWS = 1024
"""Rows computed at a time: what lies between two steps of a graph then stays in the cache."""

MATRIX = "_rows"
"""The input of a graph that takes all features at once, shape (n, features). No feature begins with _."""

MISSING = np.array(None, object)
NUMPY_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(double)": np.float64}


@dataclass(frozen=True)
class Agreement:
    """How a compiled model compared with its pipeline."""

    rows: int
    max_difference: float
    other_class: int

    @property
    def holds(self) -> bool:
        """Same class everywhere, and no probability off by more than `TOLERANCE`."""
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
    """A compiled model, ready to answer, on one thread.

    Parameters
    ----------
    onnx
        The graph: its bytes or its file.
    spec
        Names the inputs and says which are categories.
    """

    def __init__(self, onnx: bytes | Path, spec: Spec) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = onnx if isinstance(onnx, bytes) else str(onnx)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._inputs = [(node.name, NUMPY_TYPES.get(node.type)) for node in self._session.get_inputs()]
        self._names = list(spec.inputs)

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
    # A string tensor holds no null: "" is no category, so a one-hot that ignores unknown ones leaves
    # its columns at zero, as scikit-learn's does for a missing value.
    if isinstance(values, np.ndarray):  # of a whole chunk, whose threads share Python's lock
        return np.where(values == MISSING, "", values)[:, None]
    return np.array(["" if value is None else value for value in values], object)[:, None]


def build(pipeline: ClassifierMixin, spec: Spec, columns: Columns, seed: int) -> Compiled:
    """Compile a fitted pipeline and prove the result on every row of `columns` and on random rows.

    Parameters
    ----------
    columns
        All rows of the dataset.
    seed
        Draws the `RANDOM_ROWS` rows from the physical ranges, missing values among them.
    """
    random = spec.random_columns(RANDOM_ROWS, np.random.default_rng(seed))
    rows = {name: columns[name] + random[name] for name in spec.inputs}
    expected = np.asarray(pipeline.predict_proba(spec.frame(rows)), np.float64)
    tried: list[Compiled] = []
    for inputs in _layouts(spec):
        for attempt in _attempts(pipeline, spec, inputs, rows, expected):
            if attempt.onnx is not None:
                return attempt
            tried.append(attempt)
    closest = next((attempt.agreement for attempt in tried if attempt.agreement), None)
    return Compiled(None, closest, "; ".join(attempt.reason for attempt in tried))


@dataclass(frozen=True)
class _Inputs:
    matrix: bool
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} {'matrix' if self.matrix else 'columns'}"


def _layouts(spec: Spec) -> list[_Inputs]:
    has_categories = any(feature.categories for feature in spec.inputs.values())
    shapes = [False] if has_categories else [True, False]
    return [_Inputs(matrix, dtype) for matrix in shapes for dtype in ("float64", "float32")]


def _attempts(
    pipeline: ClassifierMixin,
    spec: Spec,
    inputs: _Inputs,
    rows: Columns,
    expected: NDArray[np.float64],
) -> Iterator[Compiled]:
    # Converters and the runtime each have many ways to refuse an estimator, and none has a common
    # base: whichever it is, the pipeline is served instead and the reason is shown.
    try:
        graph = _convert(pipeline, spec, inputs)
        tables = boosting.tabulate(graph)
        for words, found in ((f"{inputs}, trees as tables", tables), (str(inputs), graph)):
            if found is not None:
                yield _compare(words, found.SerializeToString(), spec, rows, expected)
    except Exception as error:
        first_line = (str(error).strip() or repr(error)).splitlines()[0]
        yield Compiled(None, None, f"{inputs}: {type(error).__name__}: {first_line[:200]}")


def _compare(words: str, onnx: bytes, spec: Spec, rows: Columns, expected: NDArray[np.float64]) -> Compiled:
    found = Session(onnx, spec).probabilities(rows)
    if found.shape != expected.shape:
        return Compiled(None, None, f"{words}: probabilities of shape {found.shape}")
    agreement = Agreement(
        rows=len(expected),
        max_difference=float(np.nan_to_num(np.abs(found - expected), nan=np.inf).max()),
        other_class=int((found.argmax(axis=1) != expected.argmax(axis=1)).sum()),
    )
    if not agreement.holds:
        reason = f"{words}: differs by {agreement.max_difference:.1e}, {agreement.other_class} classes"
        return Compiled(None, agreement, reason)
    return Compiled(onnx, agreement, f"{words}: agrees on {agreement.rows} rows")


def _convert(pipeline: ClassifierMixin, spec: Spec, inputs: _Inputs) -> ModelProto:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    numbers = DoubleTensorType if inputs.dtype == "float64" else FloatTensorType
    if inputs.matrix:
        types = [(MATRIX, numbers([None, len(spec.inputs)]))]
    else:
        types = [
            (name, (StringTensorType if feature.categories else numbers)([None, 1]))
            for name, feature in spec.inputs.items()
        ]
    return to_onnx(pipeline, initial_types=types, options={"zipmap": False})
