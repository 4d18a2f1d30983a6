"""A CSV split into rows: broken rows, open quotation marks, and bytes that are not UTF-8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch.formats import csv_blocks
from prediction.batch.sources import Source
from tests.scoring import IRIS, read


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("open_in", ["first", "last"])
@pytest.mark.parametrize("rows", [3, 400_000])
def test_an_open_quotation_mark_is_reported(
    rows: int, open_in: str, end: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """With the row it begins in, because all that follows becomes one cell; an earlier row is broken."""
    path = tmp_path / "rows.csv"
    lines = ["Biscoe,217,x"] * rows + ["Dream", *["Biscoe,217,x"] * 3]
    lines[-3] = '"Biscoe,217,x' if open_in == "first" else 'Biscoe,217,"5 inch'
    path.write_text("island,flipper_length_mm,who\n" + "\n".join(lines) + end)

    with pytest.raises(InvalidInput, match=f"a quotation mark is left open in row {rows + 2},"):
        read(path, specs["penguins"], 100_000)


@pytest.mark.parametrize("last", ['"5"', '""', '5"', '"a ""b"""', "", '"x\ny"', '"x,,,"', ",,,"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_closed_quotation_mark_is_not_reported(
    last: str, end: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """However the file ends; marks within a cell, and rows of commas too."""
    path = tmp_path / "rows.csv"
    path.write_text(f"island,flipper_length_mm,who\nBiscoe,217,\nBiscoe,217,{last}{end}")

    assert 2 == sum(len(part.kept) for part in read(path, specs["penguins"]))


@pytest.mark.parametrize("chunk_rows", [1, 7, 100])
def test_a_row_of_too_few_or_too_many_cells_is_refused(
    chunk_rows: int, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """With its number and its cells; all other rows keep their numbers, through all chunks."""
    path = tmp_path / "rows.csv"
    lines = ["5.1,3.5,1.4,0.2"] * 50
    lines[0] = lines[20] = lines[21] = "5.1,3.5"
    lines[30], lines[40], lines[49] = "5.1,99,1.4,0.2", "", "5.1,3.5,1.4,0.2,"
    path.write_text("\n".join([",".join(IRIS), *lines]))

    found = read(path, specs["iris"], chunk_rows)

    short = "has 2 cells where the header has 4"
    assert [
        (1, "", short),
        (21, "", short),
        (22, "", short),
        (31, "sepal_width_cm", "must be a number from 0.1 to 30 cm"),
        (49, "", "has 5 cells where the header has 4"),
    ] == [(item.row, item.field, item.reason) for part in found for item in part.bad_values]
    kept = np.concatenate([part.kept for part in found])
    assert (49, 44) == (len(kept), kept.sum())


def test_rows_keep_their_numbers_through_blocks_of_broken_rows(
    tmp_path: Path, specs: dict[str, Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block may hold broken rows only."""
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 4_096)
    path = tmp_path / "rows.csv"
    rows = ["Biscoe,217", *["Dream"] * 8_000, "Dream,190", "Dream"]
    path.write_text("island,flipper_length_mm\n" + "\n".join(rows))

    found = read(path, specs["penguins"])

    problems = [item for part in found for item in part.bad_values]
    assert (8_003, 2) == (sum(len(part.kept) for part in found), sum(map(len, found)))
    assert [2, 8_000, 8_001, 8_003] == [problems[at].row for at in (0, -3, -2, -1)]


def test_too_many_broken_rows_are_an_error(
    tmp_path: Path, specs: dict[str, Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are held in memory, so there is a limit."""
    monkeypatch.setattr(csv_blocks, "MAX_BROKEN_ROWS", 1_000)
    path = tmp_path / "rows.csv"
    path.write_text("island,flipper_length_mm\nBiscoe,217\n" + "a\n" * 1_001)

    with pytest.raises(InvalidInput, match="from row 2 on, 1,000 rows do not have as many cells"):
        read(path, specs["penguins"])


@pytest.mark.parametrize("rows", [1_000, 400_000])
def test_a_line_that_is_not_utf_8_is_named(rows: int, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Early in a file or late."""
    lines = ["island,flipper_length_mm,who", *["Biscoe,217,x"] * rows, "Biscoe,217,caf\u00e9"]
    (tmp_path / "rows.csv").write_text("\n".join(lines), encoding="latin-1")

    with pytest.raises(InvalidInput, match=f"line {rows + 2} is not UTF-8: save the file as UTF-8$"):
        read(tmp_path / "rows.csv", specs["penguins"])


def test_half_a_character_at_the_end_is_not_utf_8(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """As in a file that was cut off."""
    text = "island,who\n" + "Dream,x\n" * 5_000 + "Dream,caf\u00e9"
    (tmp_path / "rows.csv").write_bytes(text.encode()[:-1])

    with pytest.raises(InvalidInput, match="line 5002 is not UTF-8"):
        read(tmp_path / "rows.csv", specs["penguins"])


@pytest.mark.parametrize("names", [1, 2, 3, 700])
def test_an_open_quotation_mark_is_found_in_any_number_of_columns(names: int, tmp_path: Path) -> None:
    """And a closed one is not, nor rows of commas at the end of the file."""
    path = tmp_path / "rows.csv"
    header = ",".join(f"n{number}" for number in range(names))
    row = ",".join(["x"] * (names - 1) + ['"y"'])
    path.write_text(f"{header}\n{row}\n{',' * names}\n{row}\n,\n,,\n")
    assert 5 == sum(chunk.rows for chunk in Source(path, 100))

    for end in ("", "\n", ",,,\n"):
        path.write_text(f"{header}\n{row}\n{row[:-1]}{end}")
        with pytest.raises(InvalidInput, match="a quotation mark is left open in row 2, which has no end"):
            list(Source(path, 100))


def test_a_long_broken_row_is_cut(tmp_path: Path) -> None:
    """Many of them are held in memory."""
    (tmp_path / "rows.csv").write_text("a,b\n" + "x" * 10_000 + "\n1,2\n")

    (chunk,) = Source(tmp_path / "rows.csv", 100)

    assert csv_blocks.MAX_TEXT == len(chunk.broken[0].text)
