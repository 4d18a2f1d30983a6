"""`loop import`, as its users run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prediction.commands import cli
from tests.elsewhere import Bomb, fitted, mlflow_folder, pickle_file, skops_file
from tests.servers import PROJECT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_folder_of_mlflow_becomes_the_champion(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table names the origin and what to doubt."""
    folder = mlflow_folder(tmp_path / "flowers")
    skops_file(folder / "model.skops", fitted())

    assert 0 == cli.main(["import", "iris", str(folder)])
    printed = capsys.readouterr().out
    assert "is the champion" in printed
    assert "flowers, skops, sha256" in printed
    assert "it may have been fitted on the rows held out" in " ".join(printed.replace("│", " ").split())
    assert "onnx (" in printed


def test_the_commands_of_the_page_exist() -> None:
    """Each line of docs/from-mlflow.md is understood."""
    page = (PROJECT / "docs" / "from-mlflow.md").read_text()
    lines = re.findall(r"^loop (import .*)$", page, re.MULTILINE)

    assert 3 == len(lines)
    for line in lines:
        assert "churn" == cli.parser().parse_args(line.split()).model


def test_a_pickle_is_not_run(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is made of it, no home either."""
    bomb = pickle_file(tmp_path / "bomb.pkl", Bomb(tmp_path / "exploded"))

    assert 1 == cli.main(["import", "iris", str(bomb)])
    assert "add --trust-pickle" in capsys.readouterr().err
    assert not (tmp_path / "exploded").exists()
    assert not home.exists()
