"""A BentoML service as its quickstart would write it: load the models, one sync API for each."""
# ruff: noqa: D101, D102
# mypy: disable-error-code="untyped-decorator, misc"

from typing import Any

import bentoml
import numpy as np
import pandas as pd


@bentoml.service
class Quickstart:
    def __init__(self) -> None:
        self.iris = bentoml.sklearn.load_model("iris:latest")
        self.penguins = bentoml.sklearn.load_model("penguins:latest")
        self.planes = bentoml.sklearn.load_model("planes:latest")

    @bentoml.api
    def predict_iris(self, rows: np.ndarray) -> dict[str, Any]:
        return {
            "predicted_class": self.iris.predict(rows).tolist(),
            "probabilities": self.iris.predict_proba(rows).tolist(),
        }

    @bentoml.api
    def predict_penguins(self, rows: pd.DataFrame) -> dict[str, Any]:
        return {
            "predicted_class": self.penguins.predict(rows).tolist(),
            "probabilities": self.penguins.predict_proba(rows).tolist(),
        }

    @bentoml.api
    def predict_planes(self, rows: pd.DataFrame) -> dict[str, Any]:
        return {"predicted_value": self.planes.predict(rows).tolist()}
