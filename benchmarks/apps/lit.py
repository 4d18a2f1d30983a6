"""A LitServe server as its documentation would write it: one `LitAPI` a model, one worker each."""
# ruff: noqa: ARG002, D101, D102
# mypy: disable-error-code="import-not-found, misc"

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import litserve as ls
import numpy as np
import pandas as pd


def load_newest(name: str) -> Any:
    store = Path(os.environ["BENTOML_HOME"]) / "models" / name
    return joblib.load(store / (store / "latest").read_text().strip() / "saved_model.pkl")


class Iris(ls.LitAPI):
    def setup(self, device: str) -> None:
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        self.model = load_newest("iris")

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.array(request["rows"])

    def predict(self, X: Any) -> tuple[Any, Any]:
        return self.model.predict(X), self.model.predict_proba(X)

    def encode_response(self, output: tuple[Any, Any]) -> dict[str, Any]:
        classes, probabilities = output
        return {"predicted_class": classes.tolist(), "probabilities": probabilities.tolist()}


class Penguins(Iris):
    def setup(self, device: str) -> None:
        self.model = load_newest("penguins")

    def decode_request(self, request: dict[str, Any]) -> Any:
        return pd.DataFrame(request["rows"])


class Planes(Penguins):
    def setup(self, device: str) -> None:
        self.model = load_newest("planes")

    def predict(self, X: Any) -> Any:
        return self.model.predict(X)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predicted_value": output.tolist()}


if __name__ == "__main__":
    apis = [
        Iris(api_path="/iris/predict"),
        Penguins(api_path="/penguins/predict"),
        Planes(api_path="/planes/predict"),
    ]
    server = ls.LitServer(apis, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
