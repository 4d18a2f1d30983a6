"""Rows in files: what is written comes back, whole or not at all, and what can't be read says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models_store.errors import InvalidInput
from prediction.batch import tabular
from prediction.batch.tabular import CHUNK_ROWS, KINDS, RaggedRow, Row
from tests.servers import PROJECT

COLUMNS = {"name": str, "size": float, "count": int}
ROWS: list[Row] = [
    {"name": "setosa", "size": 0.1 + 0.2, "count": 1},
    {"name": 'comma, "quote"\nand line', "size": 1e-300, "count": -(2**53)},
    {"name": "帝企鹅 🐧 \u2028", "size": None, "count": None},
    {"name": None, "size": -0.0, "count": 0},
]

DIE = """
import os, sys
from pathlib import Path
from prediction.batch import tabular
with tabular.writer(Path(sys.argv[1]), {"name": str}) as file:
    file.write([{"name": "x" * 100}] * 20_000)
    print("written", flush=True)
    sys.stdin.read()
"""

GROW = """
import os, resource, sys
from pathlib import Path
from models_store.errors import InvalidInput
from prediction.batch import tabular
path = Path(sys.argv[1])
try:
    with tabular.writer(path, {"name": str}) as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for _ in range(100):
            file.write([{"name": os.urandom(500).hex()} for _ in range(100)])
except InvalidInput as error:
    print(f"InvalidInput: {error}")
"""


def read(path: Path) -> list[Row]:
    """Return all rows of a file."""
    return [row for chunk in tabular.read(path) for row in chunk]


def write(path: Path, rows: list[Row], columns: dict[str, type] = COLUMNS) -> None:
    """Write a file of one chunk."""
    with tabular.writer(path, columns) as file:
        file.write(rows)


# ------------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize("kind", [".jsonl", ".parquet", ".PARQUET"])
def test_rows_come_back_as_they_were_written(tmp_path: Path, kind: str) -> None:
    """Numbers to the last bit, text in any alphabet, and missing values survive the file."""
    write(tmp_path / f"rows{kind}", ROWS)

    assert ROWS == read(tmp_path / f"rows{kind}")


def test_a_csv_brings_back_text(tmp_path: Path) -> None:
    """A CSV knows no types: numbers come back as text that reads as the same number."""
    write(tmp_path / "rows.csv", ROWS)
    rows = read(tmp_path / "rows.csv")

    assert [row["name"] for row in ROWS] == [row["name"] for row in rows]
    assert [row["size"] for row in ROWS] == [row["size"] and float(row["size"]) for row in rows]
    assert [row["count"] for row in ROWS] == [row["count"] and int(row["count"]) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_rows_is_a_file(tmp_path: Path, kind: str) -> None:
    """Nothing written is a file that reads as nothing."""
    write(tmp_path / f"rows{kind}", [])

    assert [] == read(tmp_path / f"rows{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_file_is_read_in_chunks(tmp_path: Path, kind: str) -> None:
    """Rows keep their order across chunks, none of which is longer than a chunk may be."""
    total = 2 * CHUNK_ROWS + 1
    with tabular.writer(tmp_path / f"rows{kind}", {"name": str}) as file:
        for start in range(0, total, 1_000):
            file.write([{"name": str(number)} for number in range(start, min(start + 1_000, total))])
        assert total == file.rows

    chunks = list(tabular.read(tmp_path / f"rows{kind}"))
    assert [str(number) for number in range(total)] == [row["name"] for chunk in chunks for row in chunk]
    assert max(map(len, chunks)) <= CHUNK_ROWS


def test_a_csv_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """A mark of the byte order, Windows' line ends and a missing last line end do no harm."""
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbfname,size\r\nsetosa,1\r\nvirginica,")

    assert [{"name": "setosa", "size": "1"}, {"name": "virginica", "size": None}] == read(
        tmp_path / "rows.csv"
    )


def test_a_csv_written_by_hand_is_read(tmp_path: Path) -> None:
    """Spaces after commas and blank lines mean nothing; a ragged row says what is wrong with it."""
    (tmp_path / "rows.csv").write_text('\nname, size\n"a, b", 1\n\nb\nc, "2", x\n')

    rows = read(tmp_path / "rows.csv")

    assert [{"name": "a, b", "size": "1"}, {"name": "b"}, {"name": "c", "size": "2"}] == rows
    reasons = [row.reason for row in rows if isinstance(row, RaggedRow)]
    assert [f"has {cells} where the header has 2" for cells in ("1 cell", "3 cells")] == reasons


# ------------------------------------------------------------------------------ whole or not at all


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("existing", [False, True], ids=["a new file", "an existing file"])
def test_an_exception_leaves_no_file(tmp_path: Path, kind: str, existing: bool) -> None:
    """What fails in the middle leaves the folder as it was, an older file of the name included."""
    path = tmp_path / f"rows{kind}"
    if existing:
        write(path, ROWS)
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}

    def fail_halfway() -> None:
        with tabular.writer(path, COLUMNS) as file:
            file.write([*ROWS] * 5_000)
            raise KeyError("halfway")

    with pytest.raises(KeyError, match="halfway"):
        fail_halfway()

    assert before == {item.name: item.read_bytes() for item in tmp_path.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_can_t_be_written_leaves_no_file(tmp_path: Path, kind: str) -> None:
    """A value that the kind of file has no place for ends the writing, and nothing is left."""
    row: dict[str, Any] = {"name": "setosa", "size": object(), "count": 1}
    if kind == ".csv":  # writes anything as text, but knows its columns
        row = {"unknown": 1}

    with pytest.raises((TypeError, ValueError)):
        write(tmp_path / f"rows{kind}", [*ROWS, row])

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_process_leaves_the_old_file(tmp_path: Path, kind: str) -> None:
    """A process that dies while it writes has not touched the file of that name."""
    path = tmp_path / f"rows{kind}"
    write(path, [{"name": "old"}], {"name": str})
    process = subprocess.Popen(
        [sys.executable, "-c", DIE, str(path)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "written\n" == process.stdout.readline()
    process.kill()
    process.communicate()

    assert -signal.SIGKILL == process.returncode
    assert [{"name": "old"}] == read(path)


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    """Nobody meets a file that is still being written under its name."""
    with tabular.writer(tmp_path / "rows.csv", COLUMNS) as file:
        file.write(ROWS)
        assert not (tmp_path / "rows.csv").exists()

    assert ["rows.csv"] == [path.name for path in tmp_path.iterdir()]


# ------------------------------------------------------------------------------ what can't be used

MALFORMED = {
    "another encoding.csv": "name\nmäßig\n".encode("latin-1"),
    "an open quotation mark.csv": b'name,size\na,1\n"b,2\nc,3\n',
    "more after a quotation.csv": b'name,size\n"a"b,1\n',
    "an endless cell.csv": b"name\n" + b"x" * 200_000,
    "no JSON.jsonl": b"name: setosa\n",
    "no object.jsonl": b'["setosa"]\n',
    "NaN.jsonl": b'{"name": NaN}\n',
    "infinity.jsonl": b'{"name": -Infinity}\n',
    "half an object.jsonl": b'{"name": "setosa"}\n{"name": ',
    "another encoding.jsonl": '{"name": "mäßig"}'.encode("latin-1"),
    "endlessly deep.jsonl": b'{"name": ' + b"[" * 100_000,
    "text.parquet": b"name,size\na,1\n",
    "empty.parquet": b"",
    "only its frame.parquet": b"PAR1" + b"\x00" * 100 + b"PAR1",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    """A file that is not what its name says is an error that names it, in one line."""
    path = tmp_path / name
    path.write_bytes(MALFORMED[name])

    with pytest.raises(InvalidInput) as caught:
        read(path)
    assert_one_sentence(caught.value, f"{path} can't be read: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "empty: its first line must name the columns"), ("name;size\na;1\n", "parted by ';'")],
)
def test_a_csv_without_a_header_of_commas_is_told(tmp_path: Path, content: str, words: str) -> None:
    """Nothing at all, and what spreadsheets write in some countries."""
    (tmp_path / "rows.csv").write_text(content)

    with pytest.raises(InvalidInput, match=words) as caught:
        read(tmp_path / "rows.csv")
    assert str(caught.value).startswith(str(tmp_path / "rows.csv"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    """And a folder is told to be one, whatever its name."""
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path / f"rows{kind}")
    assert f"there is no file {tmp_path / f'rows{kind}'}" == str(caught.value)

    (tmp_path / f"rows{kind}").mkdir()
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path / f"rows{kind}")
    assert_one_sentence(caught.value, f"{tmp_path / f'rows{kind}'} is a folder: ")


def test_blank_lines_of_json_are_no_rows(tmp_path: Path) -> None:
    """Neither in the midst nor at the end, where many programs leave one."""
    (tmp_path / "rows.jsonl").write_bytes(b'{"name": "setosa"}\n\n{"name": "virginica"}\r\n \n')

    assert [{"name": "setosa"}, {"name": "virginica"}] == read(tmp_path / "rows.jsonl")


def assert_one_sentence(error: InvalidInput, beginning: str) -> None:
    """Assert that an error is one short line that begins so."""
    assert str(error).startswith(beginning)
    assert "\n" not in str(error)
    assert len(str(error)) < len(beginning) + 200


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_half_a_parquet_is_one_clear_error(tmp_path: Path, kept: float) -> None:
    """A Parquet file that was cut off anywhere is an error that names it."""
    whole, half = tmp_path / "whole.parquet", tmp_path / "half.parquet"
    write(whole, ROWS * 1_000)
    half.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * kept)])

    with pytest.raises(InvalidInput) as caught:
        read(half)
    assert_one_sentence(caught.value, f"{half} can't be read: ")


def test_a_damaged_parquet_is_one_clear_error(tmp_path: Path) -> None:
    """A Parquet file whose middle was overwritten is an error that names it."""
    path = tmp_path / "rows.parquet"
    write(path, [{"name": os.urandom(20).hex(), "size": 1.0, "count": 1} for _ in range(5_000)])
    content = bytearray(path.read_bytes())
    content[4:2_000] = b"\xff" * 1_996
    path.write_bytes(content)

    with pytest.raises(InvalidInput) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} can't be read: ")


@pytest.mark.parametrize("name", ["rows", "rows.xlsx", "rows.csv.gz", ".csv"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str) -> None:
    """The name must say what the file is, when it is read, counted or written."""
    path = tmp_path / name
    for use in (read, lambda each: tabular.writer(each, COLUMNS)):
        with pytest.raises(InvalidInput, match=r"must end with \.csv, \.jsonl, \.parquet"):
            use(path)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_missing_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    """Where there is no folder, writing is refused before anything else is done."""
    path = tmp_path / "missing" / f"rows{kind}"

    with pytest.raises(InvalidInput) as caught:
        tabular.writer(path, COLUMNS)
    assert_one_sentence(caught.value, f"{path} can't be written: ")


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    """A file that can't grow any more is an error that names it, and nothing is left."""
    path = tmp_path / f"rows{kind}"

    done = subprocess.run(
        [sys.executable, "-c", GROW, str(path)], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.startswith(f"InvalidInput: {path} can't be written: "), done.stderr
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "expected"), [(".csv", "half \\ud800"), (".jsonl", "half \ud800")])
def test_half_a_character_does_not_end_the_writing(tmp_path: Path, kind: str, expected: str) -> None:
    """What JSON can name and no encoding can write stands in a CSV as its escape."""
    write(tmp_path / f"rows{kind}", [{"name": "half \ud800"}], {"name": str})

    assert [{"name": expected}] == read(tmp_path / f"rows{kind}")
