"""Kinds of files, and the sentence for all that is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow.lib import ArrowInvalid

from models_store.errors import InvalidInput
from prediction.batch import files
from prediction.batch.files import KINDS


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
