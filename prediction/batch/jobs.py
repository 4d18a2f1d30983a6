"""The core of scoring: the rows of a source, validated and scored in parallel, and written in their order.

No more chunks than threads need are in memory. `scoring` is the way in for people.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch import dialects, frames, scorers, sinks
from prediction.batch.chunks import Chunk
from prediction.batch.files import Readable
from prediction.batch.frames import BadValue, Rows
from prediction.batch.scorers import Answers, Scorer
from prediction.batch.sinks import Writer
from prediction.batch.sources import Known, Source
from prediction.batch.targets import kinds

REFUSED_COLUMNS = {"row": int, "field": str, "reason": str}


@dataclass
class Summary:
    """The result of scoring a file, or many.

    `versions` counts the rows that each version answered. `absent` names the optional features that a
    file has no column for. Of a run, `units` are done, and `failed` says where others lie, and why they
    have no part; `rows_before` are those of units that an earlier call has scored.
    """

    model: str
    rows: int = 0
    refused: int = 0
    refused_file: Path | str | None = None
    seconds: float = 0.0
    classes: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    absent: list[str] = field(default_factory=list)
    units: int = 0
    rows_before: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def scored(self) -> int:
        """Rows that have a prediction."""
        return self.rows - self.refused


Watch = Callable[[Summary, float], None]
"""Called after each chunk, with the result so far and the fraction of the file that has been read."""


@dataclass(frozen=True)
class Job:
    """How rows are scored, wherever they come from and go to."""

    spec: Spec
    scorer: Scorer
    strict: bool

    def added(self, answers: Answers) -> dict[str, Any]:
        """Return the columns that answers add to their rows."""
        import pyarrow

        target = self.spec.target
        columns = kinds.of(target).columns(target, answers.said)
        if answers.prediction_ids is not None:
            columns["prediction_id"] = pyarrow.array(answers.prediction_ids, pyarrow.string())
        columns["model"] = pyarrow.repeat(self.spec.name, len(answers.versions))
        columns["version"] = answers.versions
        return columns

    @property
    def names(self) -> list[str]:
        """The names of these columns."""
        return list(self.added(self._nothing()))

    def given(self, names: Iterable[str], *others: str) -> dict[str, str]:
        """Return other names for columns of a raw table that have a name that is added."""
        if self.spec.dialect is None:
            return {}
        taken = {*self.names, *others}.difference(self.spec.inputs)
        return {name: f"{name}_given" for name in names if name in taken}

    def refuse_clash(self, where: str, names: Iterable[str], *others: str) -> None:
        """Check that no column has a name that is added."""
        clash = sorted(set(names) & {*self.names, *others})
        if clash:
            raise InvalidInput(f"{where}: there is a column {clash[0]} already: rename it, or leave it out")

    def run(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Rows, Answers]]:
        """Validate and score chunks in parallel, and yield them in their order."""
        if self.strict and self.scorer.records:  # then no row may be recorded if one is refused
            _refuse_any(self.spec, chunks)
        if self.scorer.threads == 1:  # a second thread would take a core that is for another unit
            for chunk, first_row in _numbered(chunks):
                yield self._score(chunk, first_row)
            return
        waiting: deque[Future[tuple[Chunk, Rows, Answers]]] = deque()
        with ThreadPoolExecutor(self.scorer.threads) as pool:
            for chunk, first_row in _numbered(chunks):
                waiting.append(pool.submit(self._score, chunk, first_row))
                if len(waiting) > self.scorer.threads:  # no more chunks in memory than threads need
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _score(self, chunk: Chunk, first_row: int) -> tuple[Chunk, Rows, Answers]:
        rows = frames.validate(self.spec, chunk, first_row)
        if self.strict:
            _refuse(rows.bad_values)
        return chunk, rows, self.scorer.answer(rows) if len(rows) else self._nothing()

    def _nothing(self) -> Answers:
        return scorers.nothing(self.spec, self.scorer.records)

    def open(self, path: Readable, known: Known | None = None) -> Source:
        """Open a file, in the dialect of the spec.

        Raises
        ------
        InvalidInput
            When it can't be read, or does not have the columns that are needed.
        """
        types = frames.column_types(self.spec)
        read_as = types if self.spec.dialect is None else dict.fromkeys(types, str)
        source = Source(
            path, self.scorer.chunk_rows, read_as, self.spec.headers, self.spec.dialect, known=known
        )
        frames.demand(self.spec, source.names, str(path))
        given = self.given(source.names)
        self.refuse_clash(str(path), [given.get(name, name) for name in source.names])
        return source

    def write(
        self, source: Source, scored: Writer, refused: Writer, summary: Summary, watch: Watch | None = None
    ) -> None:
        """Score the rows of a source into a file, list the refused ones in another, and count all."""
        started, types = time.perf_counter(), frames.column_types(self.spec)
        called = {name: header for name, header in source.called.items() if header not in self.names}
        cells = dialects.cells_of(self.spec, source.has_commas)
        chunks = dialects.ReadChunks(source, cells, self.given(source.names))
        summary.absent = [name for name in self.spec.inputs if name not in source.names]
        for chunk, rows, answers in self.run(chunks):
            found = _batch(chunk, rows, self.added(answers), types)
            scored.write(sinks.renamed(found, called))
            if rows.bad_values:
                refused.write(sinks.batch_of([vars(item) for item in rows.bad_values], REFUSED_COLUMNS))
            _add(summary, self.spec, rows, answers)
            summary.seconds = time.perf_counter() - started
            if watch is not None:
                watch(summary, source.fraction)


def _numbered(chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, int]]:
    """Yield chunks with the numbers of their first rows, which count from 1."""
    first_row = 1
    for chunk in chunks:
        yield chunk, first_row
        first_row += chunk.rows


def _refuse_any(spec: Spec, chunks: Iterable[Chunk]) -> None:
    for chunk, first_row in _numbered(chunks):
        _refuse(frames.validate(spec, chunk, first_row).bad_values)


def _refuse(bad_values: list[BadValue]) -> None:
    if bad_values:
        raise InvalidInput(f"row {bad_values[0].row}: {bad_values[0]}")


def _add(summary: Summary, spec: Spec, rows: Rows, answers: Answers) -> None:
    from pyarrow import compute

    summary.rows += len(rows.kept)
    summary.refused += len(rows.kept) - len(rows)
    summary.classes.update(kinds.of(spec.target).counts(spec.target, answers.said))
    for found in compute.value_counts(answers.versions).to_pylist():
        summary.versions[found["values"]] += found["counts"]


def _batch(chunk: Chunk, rows: Rows, added: Mapping[str, Any], types: Mapping[str, type]) -> Any:
    """Make the batch to write: features as they were read, other columns as they came, answers."""
    import pyarrow

    kept = pyarrow.array(rows.kept)
    columns = {}
    for name, column in chunk.columns.items():
        if name in rows.columns:
            kind = pyarrow.float64() if rows.columns[name].dtype == np.float64 else pyarrow.string()
            values = pyarrow.array(rows.columns[name], kind, from_pandas=True)
            columns[name] = values.cast(sinks.arrow_type(types[name]))
        else:
            array = sinks.as_json(column) if isinstance(column, list) else column
            columns[name] = array if len(rows) == len(rows.kept) else _filtered(array, kept)
    return pyarrow.RecordBatch.from_pydict({**columns, **added})


def _filtered(array: Any, kept: Any) -> Any:
    """Return some values of an array; Arrow itself can't choose among views of texts."""
    import pyarrow

    try:
        return array.filter(kept)
    except pyarrow.lib.ArrowNotImplementedError:
        pairs = zip(array.to_pylist(), kept.to_pylist(), strict=True)
        return pyarrow.array([value for value, is_kept in pairs if is_kept], array.type)
