"""How good predictions are: pure functions on arrays, no I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metrics:
    """Figures of one classifier on one set of rows; ratios are in [0, 1], log-loss in nats."""

    rows: int
    accuracy: float
    macro_f1: float
    log_loss: float
    recall: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return asdict(self)


def metrics(
    labels: NDArray[np.object_], probabilities: NDArray[np.float64], classes: tuple[str, ...]
) -> Metrics:
    """Compare labels with predicted probabilities.

    Parameters
    ----------
    labels
        True classes, shape (n,), n > 0.
    probabilities
        Shape (n, k), columns in the order of `classes`.

    Notes
    -----
    Log-loss is the mean of -ln p(true class), p clipped to 1e-15. The F1 of a class is
    2 TP / (2 TP + FP + FN), and 0 where the class is neither true nor predicted, as in
    scikit-learn; macro-F1 is its mean over the classes that occur on either side. The recall of a
    class without a row is left out.
    """
    index = {name: position for position, name in enumerate(classes)}
    truth = np.array([index[label] for label in labels])
    predicted = probabilities.argmax(axis=1)
    of_truth = probabilities[np.arange(len(truth)), truth]
    f1, recall = [], {}
    for position, name in enumerate(classes):
        true, said = truth == position, predicted == position
        hits = int((true & said).sum())
        if true.any() or said.any():
            f1.append(2 * hits / int(true.sum() + said.sum()))
        if true.any():
            recall[name] = hits / int(true.sum())
    return Metrics(
        rows=len(truth),
        accuracy=float((truth == predicted).mean()),
        macro_f1=float(np.mean(f1)),
        log_loss=float(-np.log(np.clip(of_truth, 1e-15, 1.0)).mean()),
        recall=recall,
    )
