"""Scoring of whole files and frames, in this process or by a server; the same rows are refused.

Streams: chunks of rows are read, scored side by side on all cores, and written in their order, so that
memory does not grow with the file.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import catalog
from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch import frames, scorers, tabular, targets
from prediction.batch.files import Source
from prediction.batch.frames import Chunk, Problem, Rows
from prediction.batch.scorers import Answers, Scorer

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Summary:
    """What was done.

    `versions` counts the rows that each version answered; `absent` names the features, all of which may
    be missing, that the file has no column for.
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
        """Rows that were answered."""
        return self.rows - self.refused


Watch = Callable[[Summary, float], None]
"""Told after each chunk: what is done, and the fraction of the file that was read."""


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

    A column for each feature is needed, but for features that may be missing; all other columns are
    carried along. Added are `predicted_class`, a `probability_...` for each class, `model` and
    `version`, and `prediction_id` where the rows were recorded.

    Parameters
    ----------
    rows
        A pandas frame, or a file: CSV, JSON Lines (.jsonl) or Parquet.
    target
        The file to write, of any of these kinds: whole or not at all. Rows that are refused are left
        out and listed in `<target's name>.refused.csv` beside it. Not for frames.
    version
        Answers, in the place of the champion.
    server
        URL of a server that answers, in place of this process; it records every row.
    journal
        Whether rows that this process answers are recorded, so that feedback can follow.
    strict
        Whether the first refused row ends it all, before any row is recorded.
    watch
        Called after each chunk.

    Returns
    -------
    Summary or pandas.DataFrame
        For files what was done; for a frame a copy of it with the added columns, where `refused` says
        why a row has no prediction.

    Raises
    ------
    InvalidInput
        When a file can't be read or written, a column is missing, or a row is refused and `strict`.
    UnknownModel, UnknownVersion, DamagedVersion, ServerFailed, JournalUnavailable
        When nobody can answer.
    """
    (spec,) = catalog.select([model])
    if server and (version or journal):
        raise InvalidInput("a server answers with its champion and records: leave version and journal out")
    scorer = scorers.ServerScorer(spec, server) if server else scorers.load(spec, version, journal)
    with closing(scorer):
        if isinstance(rows, str | Path):
            if target is None:
                raise InvalidInput("name the file to write")
            return _score_file(spec, scorer, Path(rows), Path(target), strict=strict, watch=watch)
        if target is not None:
            raise InvalidInput("a frame is returned, not written: leave the target out")
        return _score_frame(spec, scorer, rows, strict)


def _score_file(
    spec: Spec, scorer: Scorer, path: Path, target: Path, *, strict: bool, watch: Watch | None
) -> Summary:
    writer = targets.Writer(target)
    refused_path = target.with_name(f"{target.name}.refused.csv")
    _keep(path, target, refused_path)
    summary, started = Summary(spec.name), time.perf_counter()
    source = Source(path, spec, scorer.chunk_rows)
    summary.absent = [name for name in spec.inputs if name not in source.names]
    _refuse_clash(str(path), source.names, _added(spec, scorers.nothing(spec, scorer.records)))
    if strict and scorer.records:
        _check_all(spec, source)
    columns = {"row": int, "field": str, "reason": str}
    with writer as written, tabular.writer(refused_path, columns) as refused:
        for chunk, rows, answers in _scored(spec, scorer, source):
            _check(rows.problems, strict)
            written.write(_batch(spec, chunk, rows, answers))
            refused.write([vars(problem) for problem in rows.problems])
            _add(summary, spec, rows, answers)
            summary.seconds = time.perf_counter() - started
            if watch is not None:
                watch(summary, source.fraction)
    if summary.refused:
        summary.refused_file = refused_path
    else:
        refused_path.unlink()
    return summary


def _score_frame(spec: Spec, scorer: Scorer, frame: pd.DataFrame, strict: bool) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InvalidInput(f"rows are a pandas frame or the name of a file, and no {type(frame).__name__}")
    names = list(frame.columns)
    frames.demand(spec, names, "the frame")
    added = _added(spec, scorers.nothing(spec, scorer.records))
    _refuse_clash("the frame", names, [*added, "refused"])

    def chunks() -> Iterator[Chunk]:
        for at in range(0, max(1, len(frame)), scorer.chunk_rows):
            yield frames.from_pandas(frame.iloc[at : at + scorer.chunk_rows], spec)

    if strict and scorer.records:
        _check_all(spec, chunks())
    parts: list[pd.DataFrame] = []
    for chunk, rows, answers in _scored(spec, scorer, chunks()):
        _check(rows.problems, strict)
        reasons: dict[int, str] = {}
        for problem in rows.problems:
            reasons.setdefault(problem.row - 1, str(problem))
        first = sum(map(len, parts))
        part = pd.DataFrame({name: item.to_pandas() for name, item in _added(spec, answers).items()})
        part.index = pd.Index(np.flatnonzero(rows.kept))
        part = part.reindex(range(frames.length(chunk)))
        part["refused"] = [reasons.get(first + position) for position in part.index]
        parts.append(part)
    found = pd.concat(parts, ignore_index=True)
    found.index = frame.index
    return pd.concat([frame, found], axis=1)


def _keep(source: Path, target: Path, refused: Path) -> None:
    """Refuse to write over what is read, for rows that are refused would then be nowhere."""
    for written, what in ((target, "the scored rows"), (refused, "the rows that are refused")):
        if written.exists() and source.exists() and written.samefile(source):
            raise InvalidInput(f"{what} would be written over {source} itself: name another file to write")


def _refuse_clash(where: str, names: Iterable[str], added: Iterable[str]) -> None:
    clash = sorted(set(names) & set(added))
    if clash:
        raise InvalidInput(f"{where}: there is a column {clash[0]} already: rename it, or leave it out")


def _check_all(spec: Spec, chunks: Iterable[Chunk]) -> None:
    """Check all rows first, so that none is recorded if one is refused."""
    first_row = 1
    for chunk in chunks:
        _check(frames.validate(spec, chunk, first_row).problems, strict=True)
        first_row += frames.length(chunk)


def _check(problems: list[Problem], strict: bool) -> None:
    if strict and problems:
        raise InvalidInput(f"row {problems[0].row}: {problems[0]}")


def _add(summary: Summary, spec: Spec, rows: Rows, answers: Answers) -> None:
    from pyarrow import compute

    summary.rows += len(rows.kept)
    summary.refused += len(rows.kept) - len(rows)
    counts = np.bincount(answers.best, minlength=len(spec.classes)).tolist()
    summary.classes.update(dict(zip(spec.classes, counts, strict=True)))
    for found in compute.value_counts(answers.versions).to_pylist():
        summary.versions[found["values"]] += found["counts"]


def _scored(spec: Spec, scorer: Scorer, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Rows, Answers]]:
    """Validate and score chunks side by side, and yield them in their order."""

    def work(chunk: Chunk, first_row: int) -> tuple[Chunk, Rows, Answers]:
        rows = frames.validate(spec, chunk, first_row)
        answers = scorer.answer(rows) if len(rows) else scorers.nothing(spec, scorer.records)
        return chunk, rows, answers

    waiting: deque[Future[tuple[Chunk, Rows, Answers]]] = deque()
    first_row = 1
    with ThreadPoolExecutor(scorer.threads) as pool:
        for chunk in chunks:
            waiting.append(pool.submit(work, chunk, first_row))
            first_row += frames.length(chunk)
            if len(waiting) > scorer.threads:  # as many as are worked on, and no more in memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _added(spec: Spec, answers: Answers) -> dict[str, Any]:
    """Make the columns that a prediction adds."""
    import pyarrow

    classes = pyarrow.array(spec.classes)
    columns = {"predicted_class": classes.take(pyarrow.array(answers.best))}
    for number, name in enumerate(spec.classes):
        columns[f"probability_{name}"] = pyarrow.array(answers.probabilities[:, number])
    if answers.prediction_ids is not None:
        columns["prediction_id"] = pyarrow.array(answers.prediction_ids, pyarrow.string())
    columns["model"] = pyarrow.repeat(spec.name, len(answers.best))
    columns["version"] = answers.versions
    return columns


def _batch(spec: Spec, chunk: Chunk, rows: Rows, answers: Answers) -> Any:
    """Make the rows to write: features as they were understood, the rest as it came."""
    import pyarrow

    kept = pyarrow.array(rows.kept)
    columns = {}
    for name, column in chunk.items():
        if name in rows.columns:
            kind = pyarrow.string() if spec.inputs[name].categories else pyarrow.float64()
            columns[name] = pyarrow.array(rows.columns[name], kind, from_pandas=True)
        else:
            columns[name] = column if len(rows) == len(rows.kept) else column.filter(kept)
    return pyarrow.RecordBatch.from_pydict({**columns, **_added(spec, answers)})
