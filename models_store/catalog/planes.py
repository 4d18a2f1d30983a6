"""Planes from New York: how long each is in the air, with every kind of feature but a text."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from models_store.spec import Features, Spec, category, flag, integer, moment, number, quantity

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

NUMBERS = ["distance_mi", "seats", "temperature_c", "pressure_hpa", "is_wet"]
TIMES = ["departs_at_hour", "departs_at_weekday"]
PLACES = ["origin", "destination"]
SPRING = "2013-04"


class PlaneFeatures(Features):
    """One flight, as it is known at the gate."""

    departs_at: datetime = moment(
        "Scheduled departure",
        example="2013-01-15T08:30:00-05:00",
        zone="America/New_York",
        parts=("hour", "weekday"),
    )
    origin: Literal["EWR", "JFK", "LGA"] = category("Airport of departure", example="JFK")
    destination: str = category("Airport of arrival, by its IATA code", example="LAX", open=True)
    distance_mi: int = integer("Distance of the airports", unit="mi", low=50, high=10_000, example=2475)
    seats: int | None = integer(
        "Seats of the aircraft", unit="", low=1, high=900, example=178, optional=True
    )
    temperature_c: float = number("Temperature at departure", unit="°C", low=-50, high=60, example=2.0)
    pressure_hpa: float | None = number(
        "Air pressure at sea level", unit="hPa", low=850, high=1100, example=1018.5, optional=True
    )
    is_wet: bool = flag("Rain or snow in the hour of departure", example=False)


def read() -> pd.DataFrame:
    """Return the sample of the year 2013, in the order of departure, with `air_time_min`.

    `docs/planes.md` has its source, its licence and the script that drew it.
    """
    import pandas as pd

    return pd.read_parquet(Path(__file__).with_name("planes.parquet"))


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return the 2,000 flights of the winter; the other months play the live flights of the lesson."""
    sample = read()
    winter = sample[sample["departs_at"] < SPRING].reset_index(drop=True)
    return winter[list(PlaneFeatures.model_fields)], winter["air_time_min"]


def pipeline(seed: int) -> Pipeline:
    """Impute medians, one column for each airport of the dataset, then gradient boosting."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", SimpleImputer(strategy="median"), NUMBERS + TIMES),
                ("places", one_hot, PLACES),
            ]
        ),
        GradientBoostingRegressor(subsample=0.5, random_state=seed),
    )


SPEC = Spec(
    name="planes",
    title="Time in the air of a plane from New York",
    features=PlaneFeatures,
    target=quantity("Time in the air", unit="min", low=10, high=1200),
    load=load,
    pipeline=pipeline,
)
