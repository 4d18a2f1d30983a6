"""Flowers for `docs/lesson.md`: a server predicts them, and gets their true species as labels."""

from __future__ import annotations

import argparse
import sys

import bentoml
import numpy as np
from bentoml.exceptions import BentoMLException
from sklearn.datasets import load_iris

FEATURES = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")


def main() -> None:
    """Draw flowers of the dataset, change each a little, and send them and their labels to the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, help="number of flowers, up to 10,000")
    parser.add_argument("--moved-cm", type=float, default=0.0, help="added to each measure of virginica")
    parser.add_argument("--wrong", type=float, default=0.0, help="share of labels that are random")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    options = parser.parse_args()
    if not (0 < options.rows <= 10_000 and 0 <= options.wrong <= 1):
        parser.error("give 1 to 10,000 flowers, and a share from 0 to 1")

    draw, data = np.random.default_rng(), load_iris()
    rows = draw.integers(len(data.target), size=options.rows)
    species = data.target_names[data.target[rows]]
    moved = np.where(species == "virginica", options.moved_cm, 0.0)[:, None]
    measures = (data.data[rows] + moved + draw.normal(0, 0.08, (len(rows), 4))).clip(0.1).round(2)
    is_random = draw.random(len(rows)) < options.wrong
    labels = np.where(is_random, draw.choice(data.target_names, len(rows)), species).tolist()

    with bentoml.SyncHTTPClient(options.url, server_ready_timeout=2) as client:
        answers = client.iris_predict_batch(
            [dict(zip(FEATURES, flower, strict=True)) for flower in measures.tolist()]
        )
        ids = [answer["prediction_id"] for answer in answers]
        client.iris_feedback_batch(
            [{"prediction_id": each, "label": label} for each, label in zip(ids, labels, strict=True)]
        )
    right = sum(answer["predicted_class"] == label for answer, label in zip(answers, labels, strict=True))
    versions = " and ".join(sorted({answer["version"] for answer in answers}))
    print(f"{len(rows)} flowers, {right / len(rows):.0%} of them as labelled, by version {versions}")


if __name__ == "__main__":
    try:
        main()
    except BentoMLException as error:
        sys.exit(f"flowers.py: {error}: is `make serve` running?")
