"""Scorers: the champion or another version, recorded or not, and a server give the same numbers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store import store
from models_store.errors import DamagedVersion, InvalidInput, UnknownVersion
from models_store.spec import Spec
from prediction import batch
from prediction.batch import frames, scorers
from prediction.batch.scorers import Scorer
from prediction.journal import predictions
from prediction.journal.database import Journal
from prediction.retraining import training
from tests import scoring
from tests.scoring import random_frame
from tests.servers import Server

RANDOM_ROWS = 40_000

home = scoring.home


def recorded(home: Path) -> int:
    """Return how many predictions a home's journal has."""
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM predictions").fetchone()[0])


@pytest.mark.parametrize("recorder", ["journal", "server"])
@pytest.mark.parametrize("kind", ["frame", "file"])
def test_strict_records_nothing_if_a_row_is_refused(
    recorder: str, kind: str, server: Server, home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Even if thousands of good rows come before it."""
    frame = random_frame(specs["iris"], 3_000)
    frame.loc[2_999, "petal_width_cm"] = 99.0
    frame.to_parquet(tmp_path / "rows.parquet")
    asked = {"journal": True} if recorder == "journal" else {"server": server.url}
    where = home if recorder == "journal" else server.home
    files = (tmp_path / "rows.parquet", tmp_path / "out.parquet")
    before = recorded(where)

    with pytest.raises(InvalidInput, match="row 3000: petal_width_cm"):
        batch.score("iris", *([frame] if kind == "frame" else files), strict=True, **asked)

    assert before == recorded(where)


def test_recorded_rows_can_be_labelled(home: Path, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """With `journal` each row has an id that the journal knows."""
    random_frame(specs["penguins"], 700).to_parquet(tmp_path / "rows.parquet")

    batch.score("penguins", tmp_path / "rows.parquet", tmp_path / "out.parquet", journal=True)

    found = pd.read_parquet(tmp_path / "out.parquet")
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    last = found.iloc[-1]
    recorded = predictions.find(journal, last["prediction_id"])
    assert (last["predicted_class"], last["version"]) == (recorded.predicted_class, recorded.version)
    assert 700 == found["prediction_id"].nunique()
    missing = {name: None if last[name] != last[name] else last[name] for name in specs["penguins"].inputs}
    assert missing == recorded.read_features()
    journal.close()


def test_another_version_answers_when_it_is_named(
    home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """One that is not the champion."""
    first = store.newest(home, "iris").version
    second = training.save(training.train(specs["iris"], seed=3), home).version
    frame = specs["iris"].load()[0]

    assert {first} == set(batch.score("iris", frame)["version"])
    assert {second} == set(batch.score("iris", frame, version=second)["version"])
    assert {second} == set(batch.score("iris", frame, version=f"iris:{second}")["version"])
    with pytest.raises(UnknownVersion, match=f"iris:nosuchversion is not .* newest versions are {second}"):
        batch.score("iris", frame, version="nosuchversion")


def test_an_answer_does_not_depend_on_its_chunk(
    home: Path, specs: dict[str, Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, also where instructions for vectors do not fit the number of rows."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    for spec in specs.values():
        scorer = scorers.load(spec, None, record=False)
        frame = random_frame(spec, 600)

        def answer(part: pd.DataFrame, spec: Spec = spec, scorer: Scorer = scorer) -> Any:
            return scorer.answer(frames.validate(spec, frames.from_pandas(part, spec), 1)).said

        whole = answer(frame)
        for size in (7, 99):
            parts = [answer(frame.iloc[start : start + size]) for start in range(0, 600, size)]
            for field, expected in zip(zip(*parts, strict=True), whole, strict=True):
                assert np.array_equal(expected, np.concatenate(field), equal_nan=True)


def test_a_pinned_version_is_loaded_by_its_digest(
    home: Path, specs: dict[str, Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a journal; a version of another digest is not loaded."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    pinned = scorers.pin(specs["planes"], None)
    monkeypatch.setenv("PREDICTION_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")

    loaded = scorers.load_pinned(specs["planes"], replace(pinned, width=1.5))

    newest = store.newest(home, "planes")
    assert (newest.version, newest.digest, 1.0) == (pinned.version, pinned.digest, pinned.width)
    assert (1, 1.5) == (loaded.threads, loaded.loaded.width)
    with pytest.raises(DamagedVersion):
        scorers.load_pinned(specs["planes"], replace(pinned, digest="0" * 64))
