"""Parquet as chunks of Arrow arrays: a whole file, or some of its row groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prediction.batch.chunks import Chunk
from prediction.batch.files import Readable, Stretch


class ParquetRows:
    """The rows of a Parquet file.

    Parameters
    ----------
    groups
        Which row groups are read, by their numbers; by default all.
    """

    def __init__(self, path: Readable, groups: slice | None = None) -> None:
        self.fraction = 0.0
        self._path = path
        self._groups = groups
        with opened(path) as file:
            self.names = list(file.schema_arrow.names)

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Yield the rows, at most so many at a time, and at least one chunk."""
        with opened(self._path) as file:
            meta = file.metadata
            groups = list(range(meta.num_row_groups)[self._groups or slice(None)])
            done, total = 0, sum(meta.row_group(each).num_rows for each in groups)
            if not total:
                yield self._chunk(file.schema_arrow.empty_table().combine_chunks())
            for batch in file.iter_batches(rows, groups) if groups else ():
                done += batch.num_rows
                self.fraction = done / total if total else 1.0
                yield self._chunk(batch)

    def _chunk(self, batch: Any) -> Chunk:
        import pyarrow

        whole = (
            column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
            for column in batch.columns
        )
        return Chunk(dict(zip(self.names, whole, strict=True)), batch.num_rows)


@contextmanager
def opened(path: Readable) -> Iterator[Any]:
    """Open a Parquet file. A stretch may be far away: columns of it that lie together are read together."""
    from pyarrow import parquet

    if isinstance(path, Stretch):
        with path.open("rb") as raw, parquet.ParquetFile(raw, pre_buffer=True) as file:
            yield file
    else:
        with parquet.ParquetFile(path) as file:
            yield file
