"""What is asked: the rows of each model's own dataset that have every value, and the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from models_store import catalog, store
from models_store.spec import Columns

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """Rows of one model, and what its scikit-learn pipeline says of each: a class or number, as text."""

    model: str
    rows: list[Row]
    said: list[str]


def load(home: Path) -> dict[str, Rows]:
    """Return every model's rows, shuffled once and always alike."""
    return {name: _rows(home, name) for name in catalog.load()}


def _rows(home: Path, name: str) -> Rows:
    spec = catalog.load()[name]
    frame, _ = spec.load()
    frame = frame.dropna().sample(frac=1, random_state=0)
    pipeline = joblib.load(store.newest(home, name).path / store.PIPELINE)
    columns = spec.columns_of(frame)
    said = [text(label) for label in pipeline.predict(spec.frame(columns)).tolist()]
    return Rows(name, _by_row(columns), said)


def text(label: str | float) -> str:
    """Write an answer, so that a graph and its pipeline say the same: a number is rounded."""
    return label if isinstance(label, str) else f"{label:.0f}"


def framed(model: str, rows: Sequence[Row]) -> list[Row]:
    """Turn rows into those of the frame that the pipeline takes: a moment has a number for each part."""
    spec = catalog.load()[model]
    if not spec.layout.is_spread:
        return list(rows)
    spread = spec.layout.spread({name: [row[name] for row in rows] for name in spec.inputs})
    return _by_row(
        {
            name: spread[name] if is_text else [float(value) for value in spread[name]]
            for name, is_text in spec.layout.texts.items()
        }
    )


def _by_row(columns: Columns) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
