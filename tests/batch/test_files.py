"""Kinds of files, and the sentence for all that is wrong with one."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pyarrow.lib import ArrowInvalid

from models_store.errors import InvalidInput
from prediction.batch import files
from prediction.batch.files import KINDS, Stretch
from prediction.batch.sources import Known, Source


@pytest.mark.parametrize(
    ("name", "kind"), [("a.csv", ".csv"), ("a.JSONL", ".jsonl"), ("b.c.parquet", ".parquet")]
)
def test_the_end_of_a_name_is_the_kind(name: str, kind: str) -> None:
    """In small or large letters."""
    assert kind == files.kind(Path(name))


@pytest.mark.parametrize("name", ["rows", "rows.xlsx", "rows.csv.gz", ".csv"])
def test_another_kind_of_file_is_refused(name: str, tmp_path: Path) -> None:
    """The sentence lists the known kinds, whether the file exists or not."""
    for use in (files.kind, files.demand):
        with pytest.raises(InvalidInput, match=r"must end with \.csv, \.jsonl, \.parquet$"):
            use(tmp_path / name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_and_a_folder_are_refused(kind: str, tmp_path: Path) -> None:
    """A folder is refused even if its name ends like a file's."""
    path = tmp_path / f"rows{kind}"
    with pytest.raises(InvalidInput) as caught:
        files.demand(path)
    assert f"there is no file {path}" == str(caught.value)

    path.mkdir()
    with pytest.raises(InvalidInput) as caught:
        files.demand(path)
    assert f"{path} is a folder: name a file in it" == str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "rows.csv"), "No space left on device"),
        (ValueError("two\n  lines"), "two lines"),
        (ArrowInvalid("x" * 999), "x" * 180),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "it is not UTF-8: save it as UTF-8"),
    ],
)
def test_an_error_becomes_one_sentence(error: Exception, words: str) -> None:
    """It names the file and what failed, in one line that is not too long."""
    for use, verb in ((files.reading, "read"), (files.writing, "written")):
        with pytest.raises(InvalidInput) as caught, use(Path("rows.csv")):
            raise error
        assert f"rows.csv can't be {verb}: {words}" == str(caught.value)


def test_other_errors_pass() -> None:
    """A defect of ours keeps its traceback."""
    for use in (files.reading, files.writing):
        with pytest.raises(KeyError), use(Path("rows.csv")):
            raise KeyError("defect")


@pytest.mark.parametrize("kind", [".csv", ".jsonl"])
def test_a_stretch_is_read_as_a_file_of_its_own(kind: str, tmp_path: Path) -> None:
    """With the head of the whole file before it, and in the types of the whole file."""
    lines = {
        ".csv": b"\xef\xbb\xbfid,n\n1,a\n2,b\n3,c\n",
        ".jsonl": b'{"id": 1.5, "n": "a"}\n{"id": 2}\n{"id": 3}\n',
    }[kind]
    head = lines.partition(b"\n")[0] + b"\n" if kind == ".csv" else b""
    rest = lines[lines.index(b"2" if kind == ".csv" else b'{"id": 2') :]
    stretch = Stretch(f"far/rows{kind}", lambda: io.BytesIO(rest), len(rest), head)
    (tmp_path / f"rows{kind}").write_bytes(lines)
    whole = Source(tmp_path / f"rows{kind}", 10)
    known = Known(kinds={"id": ["float", "int"], "n": ["str"]})

    (found,), (expected,) = Source(stretch, 10, known=known), whole

    assert expected.by_row()[1:] == found.by_row()
    assert [each.type for each in expected.columns.values()] == [
        each.type for each in found.columns.values()
    ]
    assert len(head) + len(rest) == files.size_of(stretch)


def test_errors_name_the_file_of_a_stretch() -> None:
    """Wherever it is."""
    stretch = Stretch("s3://far/rows.jsonl", lambda: io.BytesIO(b"[]\n"), 3)

    with pytest.raises(InvalidInput, match=r"^s3://far/rows\.jsonl can't be read: line 1 is not"):
        Source(stretch, 10)
