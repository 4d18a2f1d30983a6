"""`loop new`: what it prints, and that it writes only what it says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from models_store import catalog
from prediction.commands import cli


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty catalog, and a table beside it."""
    folder = tmp_path / "catalog"
    folder.mkdir()
    monkeypatch.setattr(catalog, "FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"Age": range(60), "id": range(60), "left": ["no", "yes", "no"] * 20})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return folder


def test_a_dry_run_prints_the_file_and_writes_nothing(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file alone is on the standard output; what was found is beside it."""
    assert 0 == cli.main(["new", "churn", "rows.csv", "--target", "left", "--keep", "Age", "--dry-run"])

    shown = capsys.readouterr()
    compile(shown.out, "churn.py", "exec")
    assert "each row has another number: it" in " ".join(shown.err.split())
    assert [] == list(own.iterdir())


def test_it_writes_two_files_and_says_what_comes_next(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And never again over them."""
    command = ["new", "churn", "rows.csv", "--target", "left", "--keep", "Age"]

    assert 0 == cli.main(command)
    shown = capsys.readouterr().out
    assert "written: catalog/churn.py\nwritten: catalog/churn.parquet\n" in shown
    assert shown.endswith("next: loop train churn && loop serve\n")
    assert {"churn.py", "churn.parquet"} == {path.name for path in own.iterdir()}
    assert 1 == cli.main(command)
    assert "churn.py is there already, and stays: choose another name" in capsys.readouterr().err


def test_what_can_not_be_read_is_one_sentence(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the exit code of a command that failed."""
    assert 1 == cli.main(["new", "churn", "none.csv", "--target", "left"])
    assert "loop new: there is no file none.csv\n" == capsys.readouterr().err
