"""What is asked: the rows of each model's own dataset that have every value, and the answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from models_store import catalog, store

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """Rows of one model, and the class that its scikit-learn pipeline gives each of them."""

    model: str
    rows: list[Row]
    classes: list[str]


def load(home: Path) -> dict[str, Rows]:
    """Return every model's rows, shuffled once and always alike."""
    return {name: _rows(home, name) for name in catalog.load()}


def _rows(home: Path, name: str) -> Rows:
    spec = catalog.load()[name]
    frame, _ = spec.load()
    frame = frame.dropna().sample(frac=1, random_state=0)
    pipeline = joblib.load(store.newest(home, name).path / store.PIPELINE)
    classes = [str(label) for label in pipeline.predict(frame)]
    columns = spec.columns_of(frame)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Rows(name, rows, classes)
