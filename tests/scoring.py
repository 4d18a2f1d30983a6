"""Rows to score, and a home for this process to score them with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store.spec import Spec
from prediction.batch import frames
from prediction.batch.frames import Rows
from prediction.batch.sources import Source

IRIS = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}
PENGUIN = {"island": "Biscoe", "flipper_length_mm": 217.0}


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained home that this process works on."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    return home


def random_frame(spec: Spec, rows: int) -> pd.DataFrame:
    """Draw rows from the physical ranges."""
    return pd.DataFrame(spec.random_columns(rows, np.random.default_rng(0)))


def figures(frame: pd.DataFrame, spec: Spec) -> Any:
    """Return the columns of probabilities, or that of the predicted number."""
    names = [f"probability_{name}" for name in spec.target.texts] or ["predicted_value"]
    return frame[names].to_numpy()


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as the name says."""
    if path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pd.DataFrame(rows).to_parquet(path)
    return path


def source(path: Path, spec: Spec, chunk_rows: int = 100) -> Source:
    """Open a file as a batch does."""
    opened = Source(path, chunk_rows, frames.column_types(spec))
    frames.demand(spec, opened.names, str(path))
    return opened


def read(path: Path, spec: Spec, chunk_rows: int = 100) -> list[Rows]:
    """Read and validate a file."""
    found, first = [], 1
    for chunk in source(path, spec, chunk_rows):
        found.append(frames.validate(spec, chunk, first))
        first += chunk.rows
    return found
