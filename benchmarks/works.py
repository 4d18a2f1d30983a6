"""What every peer is made to do, in this order."""

from __future__ import annotations

from dataclasses import dataclass

MODELS = ("iris", "penguins", "planes")
BATCH_ROWS = 1_000
BATCHES = 4
SINGLE_ROWS = 64


@dataclass(frozen=True)
class Work:
    """One measurement.

    Parameters
    ----------
    rows
        Rows in each request.
    training
        Whether `train.py` runs beside it, on the server's core.
    length
        How many times `--seconds` it lasts.
    """

    name: str
    model: str
    connections: int
    rows: int = 1
    training: bool = False
    length: float = 1.0


WORKS = [
    *(
        Work(f"{model}-{connections}", model, connections)
        for model in MODELS
        for connections in (1, 16, 64)
    ),
    *(Work(f"{model}-batch", model, 1, rows=BATCH_ROWS) for model in MODELS),
    Work("iris-training", "iris", 16, training=True, length=4.0),
]
SINGLE = [work.name for work in WORKS if work.rows == 1 and not work.training]
