"""The classroom app: FastAPI, the newest models loaded at start-up, scikit-learn at each request."""
# ruff: noqa: D101
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import os
import warnings
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import joblib
import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

warnings.filterwarnings("ignore", message="X does not have valid feature names")
models: dict[str, Any] = {}
NEW_YORK = ZoneInfo("America/New_York")


def load_newest(name: str) -> Any:
    store = Path(os.environ["BENTOML_HOME"]) / "models" / name
    return joblib.load(store / (store / "latest").read_text().strip() / "saved_model.pkl")


@asynccontextmanager
async def lifespan(_: FastAPI) -> Any:
    models["iris"] = load_newest("iris")
    models["penguins"] = load_newest("penguins")
    models["planes"] = load_newest("planes")
    yield


app = FastAPI(lifespan=lifespan)


class Iris(BaseModel):
    sepal_length_cm: float
    sepal_width_cm: float
    petal_length_cm: float
    petal_width_cm: float


class Penguin(BaseModel):
    bill_length_mm: float | None = None
    bill_depth_mm: float | None = None
    flipper_length_mm: float | None = None
    body_mass_g: float | None = None
    island: Literal["Biscoe", "Dream", "Torgersen"]
    sex: Literal["female", "male"] | None = None


class Plane(BaseModel):
    departs_at: datetime
    origin: Literal["EWR", "JFK", "LGA"]
    destination: str
    distance_mi: int
    seats: int | None = None
    temperature_c: float
    pressure_hpa: float | None = None
    is_wet: bool


class Answer(BaseModel):
    predicted_class: str
    probabilities: dict[str, float]


def answer(model: Any, X: Any) -> Answer:
    probabilities = model.predict_proba(X)[0]
    return Answer(
        predicted_class=model.predict(X)[0],
        probabilities=dict(zip(model.classes_, probabilities.tolist(), strict=True)),
    )


class Number(BaseModel):
    predicted_value: float


@app.post("/iris/predict")
async def predict_iris(flower: Iris) -> Answer:
    return answer(models["iris"], np.array([list(flower.model_dump().values())]))


@app.post("/penguins/predict")
async def predict_penguin(penguin: Penguin) -> Answer:
    return answer(models["penguins"], pd.DataFrame([penguin.model_dump()]))


@app.post("/planes/predict")
async def predict_plane(plane: Plane) -> Number:
    row, local = plane.model_dump(), plane.departs_at.astimezone(NEW_YORK)
    row |= {
        "departs_at_hour": local.hour,
        "departs_at_weekday": local.weekday(),
        "is_wet": float(plane.is_wet),
    }
    return Number(predicted_value=models["planes"].predict(pd.DataFrame([row]))[0])
