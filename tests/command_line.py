"""The operator's commands, called in a process of their own or through `main`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from prediction.batch.chunks import Row
from prediction.batch.sources import Source
from prediction.commands import cli
from prediction.journal import feedback
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from tests.databases import prediction
from tests.servers import run

Main = Callable[..., tuple[int, str, str]]
IRIS_FEATURES = {
    "sepal_length_cm": 5.1,
    "sepal_width_cm": 3.5,
    "petal_length_cm": 1.4,
    "petal_width_cm": 0.2,
}


def command(folder: Path, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, on a home."""
    return run("python", "-m", "prediction", *arguments, home=folder, **settings)


@pytest.fixture
def main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, journal_url: str
) -> Main:
    """Run a command on `journal_url` in this process; return exit code, output and errors."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    monkeypatch.setenv("PREDICTION_DATABASE_URL", journal_url)

    def run_main(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_main


def iris(number: int, **changes: Any) -> Any:
    """Make a prediction of iris with features."""
    return prediction(number, **{"features": json.dumps(IRIS_FEATURES), **changes})


def label_all(journal: Journal, ids: Sequence[str], label: str) -> None:
    """Give the same label to several predictions of iris."""
    assert ["recorded"] * len(ids) == feedback.give(journal, "iris", [Label(each, label) for each in ids])


def read(path: Path) -> list[Row]:
    """Return all rows of a file."""
    return [row for chunk in Source(path, 1_000) for row in chunk.by_row()]
