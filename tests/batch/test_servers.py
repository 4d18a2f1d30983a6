"""A server as a scorer: it gives the same numbers as this process."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from models_store import store
from models_store.spec import Spec
from prediction import batch
from prediction.batch.frames import Rows
from prediction.batch.servers import ServerScorer
from prediction.errors import ServerFailed
from prediction.retraining import training
from tests import kinds, scoring
from tests.batch import test_scorers
from tests.scoring import figures, random_frame
from tests.servers import Server, free_port

RANDOM_ROWS = 40_000

home = scoring.home


def test_a_server_gives_the_same_numbers(
    server: Server, home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """For every dataset, and for 40,000 random rows of each model."""
    for spec in specs.values():
        X, _ = spec.load()
        frame = pd.concat([X, random_frame(spec, RANDOM_ROWS)], ignore_index=True)
        frame.to_parquet(tmp_path / "rows.parquet")

        here = batch.score(spec.name, tmp_path / "rows.parquet", tmp_path / "here.parquet")
        there = batch.score(
            spec.name, tmp_path / "rows.parquet", tmp_path / "there.parquet", server=server.url
        )

        one, two = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("here", "there"))
        assert len(frame) == here.scored == there.scored
        assert float(np.abs(figures(one, spec) - figures(two, spec)).max()) < 1e-12
        said = ["predicted_class"] if kinds.predicts_classes(spec) else []
        same = [*said, "model", "version", *spec.inputs]
        pd.testing.assert_frame_equal(one[same], two[same])
        assert len(frame) == two["prediction_id"].nunique()


def test_a_url_may_end_with_a_slash(server: Server, home: Path, specs: dict[str, Spec]) -> None:
    """As browsers show it."""
    frame = specs["iris"].load()[0].head(3)

    assert ["setosa"] * 3 == batch.score("iris", frame, server=f"{server.url}//")[
        "predicted_class"
    ].tolist()


def test_a_server_that_takes_fewer_rows_gets_fewer(home: Path, specs: dict[str, Spec]) -> None:
    """Fewer rows a call, or fewer bytes; each row is answered once."""
    frame = random_frame(specs["iris"], 2_500)
    before = test_scorers.recorded(home)

    limited: list[dict[str, Any]] = [{"max_batch_rows": 100}, {"max_body_bytes": 2_000}]
    for limits in limited:
        with Server(home, workers=1, **limits) as running:
            found = batch.score("iris", frame, server=running.url)
        assert 2_500 == found["prediction_id"].nunique()
        assert frame.equals(found[frame.columns])
        here = batch.score("iris", frame)["predicted_class"]
        assert here.equals(found["predicted_class"])

    assert before + 5_000 == test_scorers.recorded(home)


def test_a_refusal_of_a_server_is_shown_in_its_words(server: Server, specs: dict[str, Spec]) -> None:
    """A sentence, and not the JSON around it."""
    spec = specs["iris"]
    rows = Rows(np.ones(1, bool), {name: np.array([-1.0]) for name in spec.inputs}, [])

    sentence = "does not answer rows: invalid input for iris: 0"
    with closing(ServerScorer(spec, server.url)) as scorer, pytest.raises(ServerFailed, match=sentence):
        scorer.answer(rows)


def test_a_wrong_url_of_a_server_is_an_error(server: Server, specs: dict[str, Spec]) -> None:
    """No server, another server, or no URL at all."""
    frame = specs["iris"].load()[0]
    silent = "does not answer"
    urls = {f"http://127.0.0.1:{free_port()}": silent, f"{server.url}/models": silent, "nowhere": "no URL"}
    for url, words in urls.items():
        with pytest.raises(ServerFailed, match=words) as caught:
            batch.score("iris", frame, server=url)
        assert "\n" not in str(caught.value)


def promote(server: Server, version: str) -> None:
    """Make a version of penguins the champion."""
    body = {"version": version, "reason": "test"}
    token = {"Authorization": "Bearer a-token-of-tests"}
    httpx.post(f"{server.url}/penguins/promote", json=body, headers=token).raise_for_status()


def promote_once_it_answers(server: Server, version: str) -> None:
    """Wait for the first answered rows, then promote."""
    url = f"{server.url}/penguins/predictions?limit=1"
    token = {"Authorization": "Bearer a-token-of-tests"}
    while not httpx.get(url, headers=token).raise_for_status().json()["predictions"]:
        time.sleep(0.05)
    promote(server, version)


def test_a_file_is_scored_across_a_swap(home: Path, specs: dict[str, Spec]) -> None:
    """Each row names the version that answered it, and has that version's numbers."""
    first = store.newest(home, "penguins").version
    second = training.save(training.train(specs["penguins"], seed=5), home).version
    frame = random_frame(specs["penguins"], 20_000)
    expected = {
        each: figures(batch.score("penguins", frame, version=each), specs["penguins"])
        for each in (first, second)
    }
    with Server(home, workers=1, admin_token="a-token-of-tests") as running:
        swap = threading.Thread(target=promote_once_it_answers, args=(running, second))
        swap.start()
        found = pd.concat([batch.score("penguins", frame, server=running.url) for _ in range(2)])
        swap.join()

    assert {first, second} == set(found["version"])
    for version, answers in found.groupby("version"):
        wanted = expected[str(version)][answers.index.to_numpy()]
        assert float(np.abs(wanted - figures(answers, specs["penguins"])).max()) < 1e-12
