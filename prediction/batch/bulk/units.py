"""Files cut into units: row groups of Parquet, and bytes of CSV and JSON Lines that end at a row's end.

The cuts depend on the files only, and not on the number of workers.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch import files
from prediction.batch.bulk.places import InputFile
from prediction.batch.bulk.plans import Bounds, PlannedFile
from prediction.batch.files import Stretch
from prediction.batch.formats import csv_files, parquet_files
from prediction.batch.formats.csv_blocks import Form

BLOCK_BYTES = 8 << 20
SINGLE_BYTES = re.compile(r"ascii|utf-8|cp125\d|iso8859-\d+|koi8-[rut]")
"""Encodings in which a byte of a mark, a separator or a line's end is nothing else."""


@dataclass(frozen=True)
class Sizes:
    """How large units are.

    Parameters
    ----------
    bytes
        At least so many bytes of a CSV or JSON Lines; at most, where possible, of row groups.
    rows
        At most so many rows of row groups, where possible.
    small
        A Parquet file of so many bytes is one unit, and is not looked into.
    """

    bytes: int = 16 << 20
    rows: int = 1_000_000
    small: int = 64 << 10


def whole(file: InputFile) -> Stretch:
    """Return all bytes of a file, to be read as others are."""
    return stretch(file, 0, None)


def stretch(file: InputFile, start: int, end: int | None, head: bytes = b"") -> Stretch:
    """Return some bytes of a file, to be read as others are."""
    size = (file.size if end is None else end) - start
    return Stretch(file.url, lambda: file.open(start, end), size, head)


def cut(file: InputFile, number: int, spec: Spec, sizes: Sizes) -> tuple[PlannedFile, list[Bounds]]:
    """Cut a file into units; one that can't be read is one unit, which fails alone.

    Parameters
    ----------
    number
        That of the file in the plan.
    """
    planned, ends = PlannedFile(file), list[int]()
    with suppress(InvalidInput), files.reading(whole(file)):
        if file.kind == ".parquet":
            ends = _row_groups(file, sizes) if file.size > sizes.small else []
        elif file.size > sizes.bytes and file.kind == ".jsonl":
            ends = list(_line_ends(file, sizes.bytes))
        elif file.size > sizes.bytes:
            planned, ends = _cut_csv(file, spec, sizes.bytes)
    if not ends:
        return PlannedFile(file), [Bounds(number)]
    return planned, [
        Bounds(number, start, end) for start, end in zip([0, *ends], [*ends, None], strict=True)
    ]


def _row_groups(file: InputFile, sizes: Sizes) -> list[int]:
    """Return the numbers of the row groups that units after the first begin with."""
    ends, rows, size = [], 0, 0
    with parquet_files.opened(whole(file)) as opened:
        for group in range(opened.metadata.num_row_groups):
            found = opened.metadata.row_group(group)
            rows, size = rows + found.num_rows, size + found.total_byte_size
            if group and (rows > sizes.rows or size > sizes.bytes):
                ends.append(group)
                rows, size = found.num_rows, found.total_byte_size
    return ends


def _line_ends(file: InputFile, every: int) -> Iterator[int]:
    """Yield places behind a line's end, at least so many bytes apart."""
    at = every
    while at < file.size:
        with file.open(at - 1) as lines:
            at += len(lines.readline()) - 1
        if at < file.size:
            yield at
        at += every


# ------------------------------------------------------------------------------------------- CSV


def _cut_csv(file: InputFile, spec: Spec, every: int) -> tuple[PlannedFile, list[int]]:
    form = csv_files.find_form(whole(file), spec.inputs, spec.dialect)
    if not SINGLE_BYTES.fullmatch(codecs.lookup(form.encoding).name):
        return PlannedFile(file), []
    with file.open() as opened:
        head = _head(opened, form)
    with file.open(head) as opened:
        ends = [head + end for end in row_ends(opened, form.separator.encode(), every)]
    return PlannedFile(file, form, head), [end for end in ends if end < file.size]


def _head(opened: BinaryIO, form: Form) -> int:
    """Return how many bytes the header has, with what is before it."""
    text = b""
    for line in opened:
        text += line
        _, is_open = _Marks(form.separator.encode()).outside(text.removeprefix(codecs.BOM_UTF8), False)
        decoded = text.decode(form.marked)
        if not is_open and any(csv.reader(io.StringIO(decoded), delimiter=form.separator)):
            break
    return len(text)


def row_ends(lines: BinaryIO, separator: bytes, every: int) -> Iterator[int]:
    """Yield places behind a row's end, at least so many bytes apart; the last one may be the end of all.

    Parameters
    ----------
    lines
        A file that begins with a row.
    """
    marks, at, wanted, inside = _Marks(separator), 0, every, False
    while block := lines.read(BLOCK_BYTES):
        block += lines.readline()  # so no pair of marks is cut
        segments, inside = marks.outside(block, inside)
        for start, end in segments:
            place = block.find(b"\n", max(start, wanted - at - 1), end)
            while place >= 0:
                yield at + place + 1
                wanted = at + place + 1 + every
                place = block.find(b"\n", max(start, wanted - at - 1), end)
        at += len(block)


class _Marks:
    """Quotation marks of a CSV, by Arrow's rules.

    A mark opens a quoted cell only at the beginning of the cell; within one, two are one. After the
    closing mark the cell goes on to the next separator, and marks in it are like other characters.
    """

    def __init__(self, separator: bytes) -> None:
        ends = re.escape(separator) + rb"\r\n"
        self._outside = re.compile(
            rb'(?:[^"]++|(?<=[^%b])"|"[^"\n]*+(?:""[^"\n]*+)*+")*+' % ends  # no quoted line's end
        )
        self._rest_of_cell = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')

    def outside(self, block: bytes, inside: bool) -> tuple[list[tuple[int, int]], bool]:
        """Return stretches in which each line's end is a row's end, and whether a cell is open at the end.

        Parameters
        ----------
        block
            Whole lines.
        inside
            Whether it begins within a quoted cell.
        """
        found: list[tuple[int, int]] = []
        at = 0
        while True:
            if inside:
                rest = self._rest_of_cell.match(block, at)
                if rest is None:
                    return found, True
                at = rest.end()
            end = len(block) if block.find(b'"', at) < 0 else self._end_of_outside(block, at)
            found.append((at, end))
            if end == len(block):
                return found, False
            at, inside = end + 1, True

    def _end_of_outside(self, block: bytes, at: int) -> int:
        found = self._outside.match(block, at)
        return found.end() if found else at
