"""Flights for `docs/lesson.md`: a server predicts their time in the air, and gets the true times."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException

from models_store.catalog import planes

MONTHS = range(4, 13)
LABEL = "air_time_min"


def main() -> None:
    """Send the flights of a month, and their labels, to the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("month", type=int, choices=MONTHS, help="of the year 2013; the model knows 1 to 3")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    options = parser.parse_args()

    sample = planes.read()
    flown = sample[sample["departs_at"].str[5:7] == f"{options.month:02}"]
    rows: list[dict[str, Any]] = json.loads(flown.drop(columns=LABEL).to_json(orient="records"))
    times = flown[LABEL].tolist()

    with bentoml.SyncHTTPClient(options.url, server_ready_timeout=2) as client:
        answers = client.planes_predict_batch(rows)
        ids = [answer["prediction_id"] for answer in answers]
        client.planes_feedback_batch(
            [{"prediction_id": each, "label": minutes} for each, minutes in zip(ids, times, strict=True)]
        )
    errors = [minutes - answer["predicted_value"] for answer, minutes in zip(answers, times, strict=True)]
    inside = [
        answer["interval"]["low"] <= minutes <= answer["interval"]["high"]
        for answer, minutes in zip(answers, times, strict=True)
    ]
    versions = " and ".join(sorted({answer["version"] for answer in answers}))
    print(
        f"{len(rows)} flights, wrong by {sum(map(abs, errors)) / len(rows):.1f} min"
        f" (bias {sum(errors) / len(rows):.1f}), {sum(inside) / len(rows):.0%} in their intervals,"
        f" by version {versions}"
    )


if __name__ == "__main__":
    try:
        main()
    except BentoMLException as error:
        sys.exit(f"flights.py: {error}: is `make serve` running?")
