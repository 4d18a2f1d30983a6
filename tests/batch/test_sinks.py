"""Files written: every Arrow type in every kind of file, whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import csv, parquet

from models_store.errors import InvalidInput
from prediction.batch import sinks
from prediction.batch.chunks import Row
from prediction.batch.files import KINDS
from prediction.batch.sinks import Writer
from prediction.batch.sources import Source
from tests.servers import PROJECT

NAN, INFINITE = float("nan"), float("inf")
NOON = dt.datetime.fromisoformat("2024-02-29T12:00:00")
ARRAYS: dict[str, tuple[Any, Any, Any]] = {  # an array, its first value in JSON, its first cell in a CSV
    "timestamp": (pyarrow.array([NOON, None], pyarrow.timestamp("ns")), "2024-02-29T12:00:00", None),
    "date": (pyarrow.array([NOON.date(), None]), "2024-02-29", "2024-02-29"),
    "time": (pyarrow.array([NOON.time(), None]), "12:00:00", None),
    "duration": (pyarrow.array([dt.timedelta(hours=1), None]), "1:00:00", "1:00:00"),
    "decimal": (pyarrow.array([Decimal("1.10"), None]), "1.10", "1.10"),
    "bytes": (pyarrow.array([b"\xff\x00", None]), "/wA=", "/wA="),
    "list": (pyarrow.array([[1.5, NAN], None]), [1.5, None], "[1.5, null]"),
    "struct": (pyarrow.array([{"at": NOON}, None]), {"at": "2024-02-29T12:00:00"}, None),
    "map": (pyarrow.array([[("k", 1)], None], pyarrow.map_("string", "int64")), [["k", 1]], '[["k", 1]]'),
    "uuid": (
        pyarrow.array([b"0" * 16, None], pyarrow.uuid()),
        "30303030-3030-3030-3030-303030303030",
        None,
    ),
    "texts": (pyarrow.array(["a", None]).dictionary_encode(), "a", "a"),
    "numbers": (pyarrow.array([7, None]).dictionary_encode(), 7, "7"),
    "large": (pyarrow.array([2**64 - 1, None], pyarrow.uint64()), 2**64 - 1, str(2**64 - 1)),
    "nothing": (pyarrow.array([None, None]), None, ""),
    "nan": (pyarrow.array([NAN, None]), None, None),
    "infinite": (pyarrow.array([INFINITE, None]), "inf", "inf"),
    "mixed number": (pyarrow.array(["1", None], pyarrow.json_()), 1, "1"),
    "mixed text": (pyarrow.array(['"n/a"', None], pyarrow.json_()), "n/a", "n/a"),
    "mixed list": (pyarrow.array(['["n/a"]', None], pyarrow.json_()), ["n/a"], '["n/a"]'),
}


COLUMNS = {"name": str, "size": float, "count": int}
ROWS: list[Row] = [
    {"name": "setosa", "size": 0.1 + 0.2, "count": 1},
    {"name": 'comma, "quote"\nand line', "size": 1e-300, "count": -(2**53)},
    {"name": "帝企鹅 \u2028 🐧", "size": None, "count": None},
    {"name": None, "size": -0.0, "count": 0},
]

DIE = """
import os, sys
from pathlib import Path
from prediction.batch import sinks
from prediction.batch.sinks import Writer
with Writer(Path(sys.argv[1])) as file:
    file.write(sinks.batch_of([{"name": "x" * 100}] * 20_000, {"name": str}))
    print("written", flush=True)
    sys.stdin.read()
"""

GROW = """
import os, resource, sys
from pathlib import Path
from models_store.errors import InvalidInput
from prediction.batch import sinks
from prediction.batch.sinks import Writer
path = Path(sys.argv[1])
try:
    with Writer(path, {"name": str}) as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for _ in range(100):
            rows = [{"name": os.urandom(500).hex()} for _ in range(100)]
            file.write(sinks.batch_of(rows, {"name": str}))
except InvalidInput as error:
    print(f"InvalidInput: {error}")
"""


def read(path: Path) -> list[Row]:
    """Return all rows of a file."""
    return [row for chunk in Source(path, 1_000) for row in chunk.by_row()]


def write_rows(path: Path, rows: list[Row], columns: dict[str, type] | None = None) -> None:
    """Write a file of one batch of rows."""
    with Writer(path, columns or COLUMNS) as file:
        file.write(sinks.batch_of(rows, columns or COLUMNS))


def write(path: Path, *batches: Any) -> None:
    """Write batches."""
    with Writer(path) as file:
        for batch in batches:
            file.write(batch)


@pytest.mark.parametrize("name", ARRAYS)
def test_every_type_is_written_as_json(name: str, tmp_path: Path) -> None:
    """A type that JSON does not have becomes text; NaN becomes null."""
    array, expected, _ = ARRAYS[name]

    write(tmp_path / "out.jsonl", *[pyarrow.record_batch({name: array})] * 2)

    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert "NaN" not in "".join(lines)
    assert [{name: expected}, {name: None}] * 2 == [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", ARRAYS)
def test_every_type_is_written_as_cells(name: str, tmp_path: Path) -> None:
    """Texts stay as they are; types that no cell can hold become JSON."""
    array, _, expected = ARRAYS[name]
    batch = pyarrow.record_batch({name: array, "row": [1, 2]})

    write(tmp_path / "out.csv", batch, batch)

    texts = csv.ConvertOptions(column_types={name: pyarrow.string()})
    found = csv.read_csv(tmp_path / "out.csv", convert_options=texts)
    cells = found[name].to_pylist()
    assert [1, 2, 1, 2] == found["row"].to_pylist()
    assert cells[0] == (cells[0] if expected is None else expected)
    assert ["", ""] == cells[1::2]


@pytest.mark.parametrize("name", ARRAYS)
def test_parquet_keeps_its_types(name: str, tmp_path: Path) -> None:
    """All types except JSON, which becomes text."""
    array, _, text = ARRAYS[name]

    write(tmp_path / "out.parquet", *[pyarrow.record_batch({name: array})] * 2)

    found = parquet.read_table(tmp_path / "out.parquet")[name]
    if name.startswith("mixed"):
        assert [text, None] * 2 == found.to_pylist()
    else:
        assert array.type in (found.type, getattr(found.type, "value_type", None), pyarrow.null()) or (
            pyarrow.types.is_dictionary(array.type)
        )
        assert repr(array.to_pylist() * 2) == repr(found.to_pylist())


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        (".jsonl", pyarrow.array([2**60], pyarrow.timestamp("us"))),
        (".parquet", pyarrow.array([{}], pyarrow.struct([]))),
        (".csv", pyarrow.array(['"half \\ud800"'], pyarrow.json_())),
        (".parquet", pyarrow.array(["no JSON"], pyarrow.json_())),
    ],
)
def test_a_value_that_cannot_be_written_leaves_no_file(kind: str, array: Any, tmp_path: Path) -> None:
    """A year that no calendar has, an empty struct or half a character: the error is one sentence."""
    good = pyarrow.record_batch({"x": array[:0]})

    with pytest.raises(InvalidInput) as caught:
        write(tmp_path / f"out{kind}", good, pyarrow.record_batch({"x": array}))

    assert str(caught.value).startswith(f"{tmp_path / f'out{kind}'} can't be written: ")
    assert "\n" not in str(caught.value)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_place_is_refused_before_anything_is_written(kind: str, tmp_path: Path) -> None:
    """A folder of the file's name, or a missing folder around it."""
    (tmp_path / f"folder{kind}").mkdir()

    with pytest.raises(InvalidInput, match="is a folder: name a file in it"):
        Writer(tmp_path / f"folder{kind}")
    with pytest.raises(InvalidInput, match="there is no folder"):
        Writer(tmp_path / "missing" / f"out{kind}")


@pytest.mark.parametrize("kind", [".jsonl", ".parquet", ".PARQUET"])
def test_rows_come_back_as_they_were_written(tmp_path: Path, kind: str) -> None:
    """Numbers to the last bit, text in any alphabet, and missing values survive the file."""
    write_rows(tmp_path / f"rows{kind}", ROWS)

    assert ROWS == read(tmp_path / f"rows{kind}")


def test_a_csv_brings_back_text(tmp_path: Path) -> None:
    """A CSV knows no types: numbers come back as text that reads as the same number."""
    write_rows(tmp_path / "rows.csv", ROWS)
    rows = read(tmp_path / "rows.csv")

    assert [row["name"] for row in ROWS] == [row["name"] for row in rows]
    assert [row["size"] for row in ROWS] == [row["size"] and float(row["size"]) for row in rows]
    assert [row["count"] for row in ROWS] == [row["count"] and int(row["count"]) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_rows_is_a_file(tmp_path: Path, kind: str) -> None:
    """It is read as no rows."""
    write_rows(tmp_path / f"rows{kind}", [])

    assert [] == read(tmp_path / f"rows{kind}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("existing", [False, True], ids=["a new file", "an existing file"])
def test_an_exception_leaves_no_file(tmp_path: Path, kind: str, existing: bool) -> None:
    """After an error in the middle the folder is as it was, with an older file of that name."""
    path = tmp_path / f"rows{kind}"
    if existing:
        write_rows(path, ROWS)
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}

    def fail_halfway() -> None:
        with Writer(path, COLUMNS) as file:
            file.write(sinks.batch_of([*ROWS] * 5_000, COLUMNS))
            raise KeyError("halfway")

    with pytest.raises(KeyError, match="halfway"):
        fail_halfway()

    assert before == {item.name: item.read_bytes() for item in tmp_path.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_process_leaves_the_old_file(tmp_path: Path, kind: str) -> None:
    """A process that dies while it writes does not touch an older file of that name."""
    path = tmp_path / f"rows{kind}"
    write_rows(path, [{"name": "old"}], {"name": str})
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
    """Until then there is no file of its name."""
    with Writer(tmp_path / "rows.csv", COLUMNS) as file:
        file.write(sinks.batch_of(ROWS, COLUMNS))
        assert not (tmp_path / "rows.csv").exists()

    assert ["rows.csv"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["rows", "rows.xlsx", "rows.csv.gz", ".csv"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str) -> None:
    """The name must say what the file is, before anything is written."""
    with pytest.raises(InvalidInput, match=r"must end with \.csv, \.jsonl, \.parquet"):
        Writer(tmp_path / name, COLUMNS)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_one_sentence(tmp_path: Path, kind: str) -> None:
    """The sentence names the file, and nothing is left."""
    path = tmp_path / f"rows{kind}"

    done = subprocess.run(
        [sys.executable, "-c", GROW, str(path)], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.startswith(f"InvalidInput: {path} can't be written: "), done.stderr
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_character_is_written_as_its_escape(tmp_path: Path, kind: str) -> None:
    """JSON can name it, and no encoding can write it."""
    write_rows(tmp_path / f"rows{kind}", [{"name": "half \ud800"}], {"name": str})

    assert [{"name": "half \\ud800"}] == read(tmp_path / f"rows{kind}")


def test_a_value_that_a_row_lacks_is_missing(tmp_path: Path) -> None:
    """And a name that is no column is left out."""
    write_rows(tmp_path / "rows.jsonl", [{"name": "a", "colour": "red"}], {"name": str, "size": float})

    assert '{"name": "a", "size": null}\n' == (tmp_path / "rows.jsonl").read_text()


def test_a_file_counts_its_rows(tmp_path: Path) -> None:
    """Those that are written so far."""
    with Writer(tmp_path / "rows.csv", COLUMNS) as file:
        assert 0 == file.rows
        for _ in range(2):
            file.write(sinks.batch_of(ROWS, COLUMNS))
        assert 8 == file.rows
