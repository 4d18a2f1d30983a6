"""Rows to score, and a home for this process to score them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store.spec import Spec


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained home that this process works on."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    return home


def random_frame(spec: Spec, rows: int) -> pd.DataFrame:
    """Draw rows from the physical ranges."""
    return spec.frame(spec.random_columns(rows, np.random.default_rng(0)))


def probabilities(frame: pd.DataFrame, spec: Spec) -> Any:
    """Return the columns of probabilities."""
    return frame[[f"probability_{name}" for name in spec.classes]].to_numpy()
