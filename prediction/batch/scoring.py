"""Scoring of whole files and frames, in this process or by a server, which refuse the same rows.

Chunks of rows are read, scored in parallel on all cores, and written in their order, so that memory
does not grow with the file.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import catalog
from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch import dialects, frames, scorers, sinks
from prediction.batch.chunks import Chunk
from prediction.batch.frames import BadValue, Rows
from prediction.batch.scorers import Answers, Scorer
from prediction.batch.sinks import Writer
from prediction.batch.sources import Source
from prediction.batch.targets import kinds

if TYPE_CHECKING:
    import pandas as pd

NULLABLE = {"i": "Int64", "b": "boolean"}
"""The type of a column with gaps, for NumPy's integers and booleans: labels must not become floats."""

REFUSED_COLUMNS = {"row": int, "field": str, "reason": str}


@dataclass
class Summary:
    """The result of scoring a file.

    `versions` counts the rows that each version answered. `absent` names the optional features that the
    file has no column for.
    """

    model: str
    rows: int = 0
    refused: int = 0
    refused_file: Path | None = None
    seconds: float = 0.0
    classes: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    absent: list[str] = field(default_factory=list)

    @property
    def scored(self) -> int:
        """Rows that have a prediction."""
        return self.rows - self.refused


Watch = Callable[[Summary, float], None]
"""Called after each chunk, with the result so far and the fraction of the file that has been read."""


def score(  # the way in for people: one call, its choices named
    model: str,
    rows: pd.DataFrame | str | Path,
    target: str | Path | None = None,
    *,
    version: str | None = None,
    server: str | None = None,
    journal: bool = False,
    strict: bool = False,
    watch: Watch | None = None,
) -> Any:
    """Score the rows of a file into another file, or those of a frame.

    Each feature needs a column, of its name or of its header, except optional ones; all other columns are
    copied. Columns are added: `predicted_class`, a `probability_...` for each class, `model` and
    `version`, and `prediction_id` if the rows are recorded.

    Parameters
    ----------
    rows
        A pandas frame, or a file: CSV, JSON Lines (.jsonl) or Parquet.
    target
        The file to write, whole or not at all; not for frames. Refused rows are left out, and listed
        in `<target's name>.refused.csv` beside it.
    version
        The version that answers, by default the champion.
    server
        URL of a server that answers, instead of this process; it records every row.
    journal
        Whether to record the rows that this process answers, so that they can be labelled later.
    strict
        Whether to stop at the first refused row, before any row is recorded.
    watch
        Called after each chunk.

    Returns
    -------
    Summary or pandas.DataFrame
        For a file the summary; for a frame a copy of it with the added columns, and `refused`, the
        reason why a row has no prediction.

    Raises
    ------
    InvalidInput
        When a file can't be read or written, a column is missing, or a row is refused and `strict`.
    UnknownModel, UnknownVersion, DamagedVersion, ServerFailed, JournalUnavailable
        When rows can't be answered.
    """
    (spec,) = catalog.select([model])
    scorer = _scorer(spec, version, server, journal)
    job = _Job(spec, scorer, strict)
    with closing(scorer):
        if not isinstance(rows, str | Path):
            if target is not None:
                raise InvalidInput("a frame is returned, not written: leave the target out")
            return _score_frame(job, rows)
        if target is None:
            raise InvalidInput("name the file to write")
        return _score_file(job, Path(rows), Path(target), watch)


def _scorer(spec: Spec, version: str | None, server: str | None, journal: bool) -> Scorer:
    if not server:
        return scorers.load(spec, version, journal)
    if version or journal:
        raise InvalidInput(
            "a server answers with its champion and records every row: leave version and journal out"
        )
    return scorers.ServerScorer(spec, server)


@dataclass(frozen=True)
class _Job:
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
        waiting: deque[Future[tuple[Chunk, Rows, Answers]]] = deque()
        first_row = 1
        with ThreadPoolExecutor(self.scorer.threads) as pool:
            for chunk in chunks:
                waiting.append(pool.submit(self._score, chunk, first_row))
                first_row += chunk.rows
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


def _score_file(job: _Job, path: Path, target: Path, watch: Watch | None) -> Summary:
    spec = job.spec
    writer = Writer(target)
    refused_path = target.with_name(f"{target.name}.refused.csv")
    _refuse_overwriting(path, target, refused_path)
    summary, started = Summary(spec.name), time.perf_counter()
    types = frames.column_types(spec)
    read_as = types if spec.dialect is None else dict.fromkeys(types, str)
    source = Source(path, job.scorer.chunk_rows, read_as, spec.headers, spec.dialect)
    frames.demand(spec, source.names, str(path))
    given = job.given(source.names)
    job.refuse_clash(str(path), [given.get(name, name) for name in source.names])
    called = {name: header for name, header in source.called.items() if header not in job.names}
    cells = dialects.cells_of(spec, source.has_commas)
    chunks = dialects.ReadChunks(source, cells, given)
    summary.absent = [name for name in spec.inputs if name not in source.names]
    with writer as scored, Writer(refused_path, REFUSED_COLUMNS) as refused:
        for chunk, rows, answers in job.run(chunks):
            found = _batch(chunk, rows, job.added(answers), types)
            scored.write(sinks.renamed(found, called))
            if rows.bad_values:
                refused.write(sinks.batch_of([vars(item) for item in rows.bad_values], REFUSED_COLUMNS))
            _add(summary, spec, rows, answers)
            summary.seconds = time.perf_counter() - started
            if watch is not None:
                watch(summary, source.fraction)
    if summary.refused:
        summary.refused_file = refused_path
    else:
        refused_path.unlink()
    return summary


def _score_frame(job: _Job, frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InvalidInput(f"rows must be a pandas frame or the name of a file, not {type(frame).__name__}")
    taken = {header: name for header, name in job.spec.headers.items() if header in job.names}
    given = frame
    frame = frame.rename(columns=job.spec.headers)
    others = job.given(frame.columns, "refused")
    given = given.rename(columns={**taken, **others})  # else as the frame came
    frame = frame.rename(columns=others)
    names = list(frame.columns)
    frames.demand(job.spec, names, "the frame")
    job.refuse_clash("the frame", names, "refused")
    parts, first_row = [], 1
    cells = dialects.cells_of(job.spec)
    chunks = dialects.ReadChunks(_FrameChunks(frame, job.spec, job.scorer.chunk_rows), cells, {})
    for chunk, rows, answers in job.run(chunks):
        parts.append(_part(rows, job.added(answers), first_row))
        first_row += chunk.rows
    found = pd.concat(parts, ignore_index=True)
    found.index = given.index
    return pd.concat([given, found], axis=1)


@dataclass(frozen=True)
class _FrameChunks:
    """The rows of a frame in chunks, at least one; may be gone through more than once."""

    frame: pd.DataFrame
    spec: Spec
    chunk_rows: int

    def __iter__(self) -> Iterator[Chunk]:
        for start in range(0, max(1, len(self.frame)), self.chunk_rows):
            yield frames.from_pandas(self.frame.iloc[start : start + self.chunk_rows], self.spec)


def _part(rows: Rows, added: Mapping[str, Any], first_row: int) -> pd.DataFrame:
    """Make the added columns of a chunk of a frame, with a row for each of its rows."""
    import pandas as pd

    reasons: dict[int, str] = {}
    for item in rows.bad_values:
        reasons.setdefault(item.row - first_row, str(item))
    part = pd.DataFrame({name: column.to_pandas() for name, column in added.items()})
    part.index = pd.Index(np.flatnonzero(rows.kept))
    if len(rows) < len(rows.kept):
        gaps = {name: NULLABLE[each.kind] for name, each in part.dtypes.items() if each.kind in NULLABLE}
        part = part.astype(gaps).reindex(range(len(rows.kept)))
    part["refused"] = [reasons.get(position) for position in part.index]
    return part


def _refuse_overwriting(source: Path, target: Path, refused: Path) -> None:
    """Check that the source is not written over: its refused rows would be lost."""
    for written, what in ((target, "the scored rows"), (refused, "the refused rows")):
        if written.exists() and source.exists() and written.samefile(source):
            raise InvalidInput(f"{what} would overwrite {source} itself: name another file to write")


def _refuse_any(spec: Spec, chunks: Iterable[Chunk]) -> None:
    first_row = 1
    for chunk in chunks:
        _refuse(frames.validate(spec, chunk, first_row).bad_values)
        first_row += chunk.rows


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
            columns[name] = array if len(rows) == len(rows.kept) else array.filter(kept)
    return pyarrow.RecordBatch.from_pydict({**columns, **added})
