"""Scoring of whole files and frames, in this process or by a server, which refuse the same rows.

`jobs` does the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from models_store import catalog
from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch import dialects, files, frames, jobs, scorers, servers
from prediction.batch.bulk import places, runs
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.runs import Workers
from prediction.batch.chunks import Chunk
from prediction.batch.frames import Rows
from prediction.batch.jobs import Job, Summary, Watch
from prediction.batch.scorers import Scorer
from prediction.batch.sinks import Writer

if TYPE_CHECKING:
    import pandas as pd

NULLABLE = {"i": "Int64", "b": "boolean"}
"""The type of a column with gaps, for NumPy's integers and booleans: labels must not become floats."""


class Spread(TypedDict, total=False):
    """Who scores files into a folder: processes of this machine, one for each core, an executor, or Dask.

    Parameters
    ----------
    executor
        Any `concurrent.futures.Executor`. It is not shut down. Its workers are threads or processes that
        have this project, and the home or the store of artefacts.
    processes
        How many processes of this machine.
    dask
        The address of a Dask scheduler, such as `tcp://scheduler:8786`.
    outstanding
        The most units that the executor has at a time.
    """

    executor: Executor | None
    processes: int | None
    dask: str | None
    outstanding: int


def score(  # the way in for people: one call, its choices named
    model: str,
    rows: pd.DataFrame | str | Path | Sequence[str | Path],
    target: str | Path | None = None,
    *,
    version: str | None = None,
    server: str | None = None,
    journal: bool = False,
    strict: bool = False,
    watch: Watch | None = None,
    **spread: Unpack[Spread],
) -> Any:
    """Score the rows of a file into another file, those of files into a folder, or those of a frame.

    Each feature needs a column, of its name or of its header, except optional ones; all other columns are
    copied. Columns are added: `predicted_class`, a `probability_...` for each class, `model` and
    `version`, and `prediction_id` if the rows are recorded.

    Parameters
    ----------
    rows
        A pandas frame, or a file: CSV, JSON Lines (.jsonl) or Parquet. For a folder to write also a
        folder, a pattern such as `in/*.parquet`, a URL such as `s3://bucket/in/`, or a list of these.
    target
        The file to write, whole or not at all; not for frames. Refused rows are left out, and listed
        in `<target's name>.refused.csv` beside it. Or a folder, which gets `part-00000.parquet` and so
        on, `refused.csv` and `summary.json`; a run that was cut goes on when it is called again.
    version
        The version that answers, by default the champion.
    server
        URL of a server that answers, instead of this process; it records every row.
    journal
        Whether to record the rows that this process answers, so that they can be labelled later.
    strict
        Whether to stop at the first refused row, before any row is recorded.
    watch
        Called after each chunk, or each unit of a run. For `executor` and `processes` see `Spread`.

    Returns
    -------
    Summary or pandas.DataFrame
        For files the summary; for a frame a copy of it with the added columns, and `refused`, the
        reason why a row has no prediction.

    Raises
    ------
    InvalidInput
        When a file can't be read or written, a column is missing, or a row is refused and `strict`.
    UnknownModel, UnknownVersion, DamagedVersion, ServerFailed, JournalUnavailable
        When rows can't be answered.
    """
    (spec,) = catalog.select([model])
    if any(each is not None for each in spread.values()) or _is_run(rows, target):
        _refuse_in_run(server=server, strict=strict)
        names, folder, workers = _names(rows), _folder(target), Workers(**spread)
        return runs.score(
            spec, names, folder, version=version, workers=workers, journal=journal, watch=watch
        )
    with closing(_scorer(spec, version, server, journal)) as scorer:
        return _score(Job(spec, scorer, strict), rows, target, watch)


def _score(job: Job, rows: Any, target: str | Path | None, watch: Watch | None) -> Any:
    if not isinstance(rows, str | Path):
        if target is not None:
            raise InvalidInput("a frame is returned, not written: leave the target out")
        return _score_frame(job, rows)
    if target is None:
        raise InvalidInput("name the file to write")
    return _score_file(job, Path(rows), Path(target), watch)


def _is_run(rows: Any, target: str | Path | None) -> bool:
    """Tell whether several files, or files elsewhere, are to be scored into a folder."""
    if isinstance(rows, list | tuple):
        return bool(rows) and all(isinstance(each, str | Path) for each in rows)
    if not isinstance(rows, str | Path) or target is None:
        return False
    is_single = not places.is_url(rows) and Path(rows).is_file()
    has_several = not is_single and (places.is_url(rows) or Path(rows).is_dir() or places.is_pattern(rows))
    return has_several or _is_folder(target)


def _is_folder(target: str | Path) -> bool:
    name = str(target)
    return places.is_url(name) or name.endswith(os.sep) or (name != "" and Path(name).is_dir())


def _names(rows: Any) -> Sequence[str | Path]:
    if isinstance(rows, str | Path):
        return [rows]
    if isinstance(rows, list | tuple):
        return rows
    raise InvalidInput("a frame is scored here: leave executor, processes and dask out")


def _folder(target: str | Path | None) -> OutputFolder:
    """Return the folder to write; its name has no end of a file."""
    if not target:
        raise InvalidInput("name the folder to write")
    if Path(target).suffix.lower() in files.KINDS and not _is_folder(target):
        raise InvalidInput(f"{target} is the name of a file: name a folder to write, such as out/")
    return OutputFolder(target)


def _refuse_in_run(**chosen: Any) -> None:
    """Check that nothing is asked for that files into a folder do not have."""
    for name, is_chosen in chosen.items():
        if is_chosen:
            raise InvalidInput(f"{name} is for a single file into a file: leave it out, or name such files")


def _scorer(spec: Spec, version: str | None, server: str | None, journal: bool) -> Scorer:
    if not server:
        return scorers.load(spec, version, journal)
    if version or journal:
        raise InvalidInput(
            "a server answers with its champion and records every row: leave version and journal out"
        )
    return servers.ServerScorer(spec, server)


def _score_file(job: Job, path: Path, target: Path, watch: Watch | None) -> Summary:
    writer = Writer(target)
    refused_path = target.with_name(f"{target.name}.refused.csv")
    _refuse_overwriting(path, target, refused_path)
    source, summary = job.open(path), Summary(job.spec.name)
    with writer as scored, Writer(refused_path, jobs.REFUSED_COLUMNS) as refused:
        job.write(source, scored, refused, summary, watch)
    if summary.refused:
        summary.refused_file = refused_path
    else:
        refused_path.unlink()
    return summary


def _score_frame(job: Job, frame: pd.DataFrame) -> pd.DataFrame:
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
