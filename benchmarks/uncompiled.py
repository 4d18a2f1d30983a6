"""A pipeline that does not compile, on two workers: `python -m benchmarks.uncompiled`.

HistGradientBoosting is asked by 16 connections, one row a request. Meanwhile `/livez` is asked by one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

import httpx

from benchmarks import load
from tests.servers import Server, train

SPEC = '''
import pandas as pd
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from models_store.spec import Features, Spec, classes, number


class BoostedFeatures(Features):
    """Eight numbers."""

    x0: float = number("A number", unit="", low=-99, high=99, example=0.5)
    x1: float = number("A number", unit="", low=-99, high=99, example=0.5)
    x2: float = number("A number", unit="", low=-99, high=99, example=0.5)
    x3: float = number("A number", unit="", low=-99, high=99, example=0.5)
    x4: float = number("A number", unit="", low=-99, high=99, example=0.5)
    x5: float = number("A number", unit="", low=-99, high=99, example=0.5)
    x6: float = number("A number", unit="", low=-99, high=99, example=0.5)
    x7: float = number("A number", unit="", low=-99, high=99, example=0.5)


def same(X):
    """Return the rows as they are: a function is nothing that can be compiled."""
    return X


def load():
    """Make 5,000 rows."""
    X, y = make_classification(5_000, 8, n_informative=6, random_state=0)
    names = list(BoostedFeatures.model_fields)
    return pd.DataFrame(X, columns=names), pd.Series(y).map({0: "no", 1: "yes"})


def pipeline(seed):
    """Make the pipeline."""
    return make_pipeline(FunctionTransformer(same), HistGradientBoostingClassifier(random_state=seed))


SPEC = Spec(
    name="boosted",
    title="Boosted",
    features=BoostedFeatures,
    target=classes("no", "yes"),
    load=load,
    pipeline=pipeline,
)
'''


def measure(seconds: float, workers: int) -> dict[str, float]:
    """Serve the model, ask both, and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        home, catalog = Path(folder, "home"), Path(folder, "catalog")
        home.mkdir()
        catalog.mkdir()
        (catalog / "boosted.py").write_text(SPEC)
        train(home, catalog)
        server = Server(home, catalog=catalog, workers=workers)
        try:
            row = {f"x{i}": 0.5 for i in range(8)}
            took: list[float] = []
            ended = threading.Event()
            asking = threading.Thread(target=_ask, args=(server.url, took, ended))
            asking.start()
            order = load.Order(
                port=server.port,
                connections=16,
                seconds=seconds,
                warm_up_seconds=1.0,
                requests=[load.request(server.port, "/boosted/predict", row)],
                core=0,
            )
            figures = load.run(order)
            ended.set()
            asking.join()
        finally:
            server.stop()
    return {
        "requests_per_second": figures.requests_per_second,
        "failed": figures.failed,
        "p50_ms": figures.p50_ms,
        "p99_ms": figures.p99_ms,
        "livez_p50_ms": statistics.median(took) * 1000,
        "livez_p99_ms": statistics.quantiles(took, n=100)[-1] * 1000,
    }


def _ask(url: str, took: list[float], ended: threading.Event) -> None:
    with httpx.Client(base_url=url, timeout=load.PATIENCE_SECONDS) as client:
        while not ended.is_set():
            begin = time.perf_counter()
            client.get("/livez").raise_for_status()
            took.append(time.perf_counter() - begin)
            time.sleep(0.01)


def main() -> None:
    """Measure several times, and print each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    for _ in range(chosen.rounds):
        print(json.dumps({k: round(v, 1) for k, v in measure(chosen.seconds, chosen.workers).items()}))


if __name__ == "__main__":
    main()
