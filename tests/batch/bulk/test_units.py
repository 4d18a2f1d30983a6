"""Files cut into units: every cut is behind a row, by Arrow's rules, and depends on the file only."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyarrow import csv as arrow_csv

from models_store.dialects import Dialect
from models_store.spec import Spec
from prediction.batch.bulk import places, units
from prediction.batch.bulk.plans import PlannedFile
from prediction.batch.bulk.units import Sizes
from prediction.batch.sources import Known, Source

SMALL = Sizes(bytes=50, rows=10, small=0)
PIECES = [
    '"',
    '""',
    ",",
    "\n",
    "\r\n",
    "\r",
    "a",
    " ",
    '5" disk',
    '"a,b"',
    '"a\nb"',
    '"a""\n"',
    "x\n",
    "y,z\n",
]


def pieces(path: Path, spec: Spec, sizes: Sizes = SMALL) -> tuple[PlannedFile, list[Any]]:
    """Cut a file; return its plan, and the rows of each unit."""
    (file,) = places.find([path])
    planned, cuts = units.cut(file, 0, spec, sizes)
    found = []
    for each in cuts:
        if file.kind == ".parquet":
            known, stretch = Known(groups=slice(each.start, each.end)), units.whole(file)
        else:
            head = path.read_bytes()[: planned.head] if each.start else b""
            known = Known(planned.form, planned.kinds)
            stretch = units.stretch(file, each.start, each.end, head)
        source = Source(stretch, 1_000, None, {}, spec.dialect, known=known)
        found.append([row for chunk in source for row in chunk.by_row()])
    return planned, found


@pytest.mark.parametrize("seed", range(40))
def test_cuts_of_a_csv_are_row_ends_of_arrow(seed: int) -> None:
    """Arrow splits the pieces as it splits the whole, whatever marks and line ends a file has."""
    drawn = random.Random(seed)
    text = "".join(drawn.choices(PIECES, k=400)).encode() + b'"\n' * 3
    options = arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    read = arrow_csv.ReadOptions(column_names=["one", "two"], use_threads=False)
    ends = list(units.row_ends(io.BytesIO(text), b",", 40))

    def rows(part: bytes) -> list[Any]:
        text_of = arrow_csv.ConvertOptions(column_types=dict.fromkeys(["one", "two"], "string"))
        if not part.strip(b"\r\n"):
            return []
        return list(arrow_csv.read_csv(io.BytesIO(part), read, options, text_of).to_pylist())

    starts = [0, *ends]
    found = [rows(text[start:end]) for start, end in zip(starts, [*ends, len(text)], strict=True)]
    assert rows(text) == [row for part in found for row in part]
    assert all(text[end - 1 : end] == b"\n" for end in ends)


def test_a_cut_is_never_within_a_quoted_cell(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Also if the cell is longer than a unit or a block; a mark within a cell opens nothing."""
    rows = [{"id": str(number), "note": 'a "b"\n,c\n' * (40 if number == 7 else 1)} for number in range(30)]
    path = tmp_path / "rows.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    path.write_text(path.read_text() + '30,5" disk\n31,plain\n' * 5)

    _, found = pieces(path, specs["iris"])

    expected = [row for chunk in Source(path, 1_000) for row in chunk.by_row()]
    assert expected == [row for part in found for row in part]
    assert (40, 11) == (len(expected), len(found))


def test_a_header_may_have_a_mark_of_its_order_and_lines(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Each unit has the whole header before its rows."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b'\xef\xbb\xbf\n"a\nb",c\n' + b"1,2\n" * 50)

    planned, found = pieces(path, specs["iris"])

    assert b'\xef\xbb\xbf\n"a\nb",c\n' == path.read_bytes()[: planned.head]
    assert [{"a\nb": "1", "c": "2"}] * 50 == [row for part in found for row in part]
    assert 3 < len(found)


def test_json_lines_are_cut_at_line_ends(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """No line is lost, however long it is."""
    rows = [{"id": number, "note": "x" * (number % 90)} for number in range(60)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    _, found = pieces(path, specs["iris"])

    assert rows == [row for part in found for row in part]
    assert 20 < len(found)


def test_row_groups_stay_together_up_to_a_size(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """One that is larger is a unit by itself."""
    path = tmp_path / "rows.parquet"
    frame = pd.DataFrame({"id": range(40)})
    frame.to_parquet(path, row_group_size=4)

    _, found = pieces(path, specs["iris"], Sizes(bytes=1 << 20, rows=10, small=0))
    _, single = pieces(path, specs["iris"], Sizes(bytes=1 << 20, rows=2, small=0))
    _, whole = pieces(path, specs["iris"], Sizes())

    assert [8, 8, 8, 8, 8] == [len(part) for part in found]
    assert [4] * 10 == [len(part) for part in single]
    assert [40] == [len(part) for part in whole]


@pytest.mark.parametrize(
    ("encoding", "is_cut"), [("utf-8", True), ("cp1252", True), ("utf-16", False), ("shift_jis", False)]
)
def test_only_bytes_that_are_characters_are_cut(
    encoding: str, is_cut: bool, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """In other encodings a byte of a separator may be half a character."""
    path = tmp_path / "rows.csv"
    word = "日本" if encoding == "shift_jis" else "é"
    path.write_bytes(("id;name\n" + "1;a\n" * 30 + f"2;{word}\n" * 30).encode(encoding))
    said = "cp1252" if encoding.startswith("utf") else encoding
    spec = replace(specs["iris"], dialect=Dialect(encoding=said, separator=";"))

    _, found = pieces(path, spec)

    expected = [{"id": "1", "name": "a"}] * 30 + [{"id": "2", "name": word}] * 30
    assert expected == [row for part in found for row in part]
    assert is_cut == (len(found) > 1)


def test_a_header_without_a_name_for_the_first_column_is_that_of_all_units(
    tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """As R writes it; a broken row at the beginning of a unit does not make it another file."""
    path = tmp_path / "rows.csv"
    path.write_text("a;b\n" + "1;2;3\n" * 20 + "1;2\n" * 10 + ";;\n" * 10 + "1;2;3\n" * 20)
    spec = replace(specs["iris"], dialect=Dialect(separator=";"))

    _, found = pieces(path, spec)

    expected = [row for chunk in Source(path, 1_000, None, {}, spec.dialect) for row in chunk.by_row()]
    assert expected == [row for part in found for row in part]
    assert 3 < len(found)
    assert 50 == len(expected)
