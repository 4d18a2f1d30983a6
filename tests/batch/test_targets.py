"""What a batch writes: every Arrow type in every kind of file, or a sentence and no file."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import csv, parquet

from models_store.errors import InvalidInput
from prediction.batch import tabular
from prediction.batch.targets import Writer

NAN, INFINITE = float("nan"), float("inf")
NOON = dt.datetime.fromisoformat("2024-02-29T12:00:00")
COLUMNS: dict[str, tuple[Any, Any, Any]] = {  # an array, its first value in JSON, its first cell in a CSV
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


def write(path: Path, *batches: Any) -> None:
    """Write batches."""
    with Writer(path) as file:
        for batch in batches:
            file.write(batch)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_is_written_as_json(name: str, tmp_path: Path) -> None:
    """As JSON has it, and as text where it has no such thing; NaN is null, for JSON has no NaN."""
    array, expected, _ = COLUMNS[name]

    write(tmp_path / "out.jsonl", *[pyarrow.record_batch({name: array})] * 2)

    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert "NaN" not in "".join(lines)
    assert [{name: expected}, {name: None}] * 2 == [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_is_written_as_cells(name: str, tmp_path: Path) -> None:
    """Texts as they are, and what has no cell of its own as JSON."""
    array, _, expected = COLUMNS[name]
    batch = pyarrow.record_batch({name: array, "row": [1, 2]})

    write(tmp_path / "out.csv", batch, batch)

    texts = csv.ConvertOptions(column_types={name: pyarrow.string()})
    found = csv.read_csv(tmp_path / "out.csv", convert_options=texts)
    cells = found[name].to_pylist()
    assert [1, 2, 1, 2] == found["row"].to_pylist()
    assert cells[0] == (cells[0] if expected is None else expected)
    assert ["", ""] == cells[1::2]


@pytest.mark.parametrize("name", COLUMNS)
def test_parquet_keeps_its_types(name: str, tmp_path: Path) -> None:
    """All but JSON, which becomes text."""
    array, _, text = COLUMNS[name]

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
def test_what_can_not_be_written_is_told_and_leaves_no_file(kind: str, array: Any, tmp_path: Path) -> None:
    """A year that no calendar has, a column of nothing, half a character: one sentence."""
    good = pyarrow.record_batch({"x": array[:0]})

    with pytest.raises(InvalidInput) as caught:
        write(tmp_path / f"out{kind}", good, pyarrow.record_batch({"x": array}))

    assert str(caught.value).startswith(f"{tmp_path / f'out{kind}'} can't be written: ")
    assert "\n" not in str(caught.value)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", tabular.KINDS)
def test_a_place_that_is_none_is_told_first(kind: str, tmp_path: Path) -> None:
    """A folder in the file's place, or none around it."""
    (tmp_path / f"folder{kind}").mkdir()

    with pytest.raises(InvalidInput, match="is a folder: name a file in it"):
        Writer(tmp_path / f"folder{kind}")
    with pytest.raises(InvalidInput, match="there is no folder"):
        Writer(tmp_path / "missing" / f"out{kind}")
