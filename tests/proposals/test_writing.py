"""A proposal on disk: nothing is overwritten, nothing is half there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pytest

from models_store.errors import InvalidInput
from prediction.proposals import writing
from prediction.proposals.proposing import Proposal

NOTHING: Any = None
PROPOSAL = Proposal([], NOTHING, NOTHING, [], "SPEC = 1\n", pyarrow.table({"a": [1]}))


def test_both_files_are_written(tmp_path: Path) -> None:
    """And nothing else."""
    assert [tmp_path / "shop.py", tmp_path / "shop.parquet"] == writing.write(tmp_path, "shop", PROPOSAL)
    assert {"shop.py", "shop.parquet"} == {path.name for path in tmp_path.iterdir()}
    assert "SPEC = 1\n" == (tmp_path / "shop.py").read_text()


@pytest.mark.parametrize("taken", ["shop.py", "shop", "shop.parquet"])
def test_what_is_there_stays(taken: str, tmp_path: Path) -> None:
    """A file or a package of the same name, or its table."""
    (tmp_path / taken).write_text("mine")

    with pytest.raises(InvalidInput, match=f"{taken} is there already, and stays: choose another name"):
        writing.write(tmp_path, "shop", PROPOSAL)

    assert {taken: "mine"} == {path.name: path.read_text() for path in tmp_path.iterdir()}
