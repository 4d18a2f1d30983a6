"""Estimators served here, in the lab's way, and by MLServer: `python -m benchmarks.estimators`.

Each estimator learns the 569 tumours of scikit-learn (30 numbers), and is asked for single rows on 16
connections. Processor time is the figure to compare: other programs change it least.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import environments, load, machine
from benchmarks.environments import CannotInstall
from benchmarks.peers import APPS, OWN_ENVIRONMENT, PEERS, PROJECT
from benchmarks.server import CannotStart, Command, Server, environment, free_port
from models_store import store

ESTIMATORS = {
    "logistic": ("sklearn.linear_model", "LogisticRegression(max_iter=5000)"),
    "forest": ("sklearn.ensemble", "RandomForestClassifier(100, random_state=seed)"),
    "boosting": ("sklearn.ensemble", "GradientBoostingClassifier(random_state=seed)"),
    "histogram": ("sklearn.ensemble", "HistGradientBoostingClassifier(random_state=seed)"),
    "neighbours": ("sklearn.neighbors", "KNeighborsClassifier(5, weights='distance')"),
    "bayes": ("sklearn.naive_bayes", "GaussianNB()"),
    "lightgbm": ("lightgbm", "LGBMClassifier(n_jobs=1, verbose=-1, random_state=seed)"),
}
"""Each with its module. `neighbours` does not compile."""

SPEC = '''
import pandas as pd
from sklearn.datasets import load_breast_cancer
from {module} import {kind}

from models_store.spec import Features, Spec, classes, number

NAMES = [f"x{{place}}" for place in range(30)]
made = {{name: number("A number", unit="", low=0, high=5000, example=1) for name in NAMES}}
made |= {{"__annotations__": dict.fromkeys(NAMES, float), "__module__": __name__}}
Tumour = type("Tumour", (Features,), made)


def load():
    """Read what scikit-learn has."""
    X, y = load_breast_cancer(return_X_y=True)
    return pd.DataFrame(X, columns=NAMES), pd.Series(y).map({{0: "malignant", 1: "benign"}})


def pipeline(seed):
    """Make the estimator."""
    return {made}


SPEC = Spec("{name}", "Tumours", Tumour, classes("benign", "malignant"), load, pipeline)
'''

CACHE = PROJECT / ".cache" / "benchmarks" / "estimators"
CONNECTIONS = 16


@dataclass(frozen=True)
class Way:
    """A way of serving.

    Parameters
    ----------
    start
        Folder and environment to the command of the server.
    ask
        Model and row to path and body.
    """

    name: str
    start: Callable[[Path, Path], Command]
    ask: Callable[[str, dict[str, float]], tuple[str, object]]


def _start_ours(folder: Path, own: Path) -> Command:
    port = free_port()
    arguments = ["bentoml", "serve", "--host", "127.0.0.1", "--port", str(port)]
    more = {"PREDICTION_WORKERS": "1", "PREDICTION_CATALOG": str(folder / "catalog")}
    return Command(arguments, port, [*ESTIMATORS], PROJECT, environment(own, folder / "home", **more))


def _start_lab(folder: Path, own: Path) -> Command:
    port = free_port()
    arguments = ["uvicorn", "lab:app", "--app-dir", str(APPS), "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    settings = environment(own, folder, LAB_MODELS=str(folder / "pickles"))
    return Command(arguments, port, [*ESTIMATORS], folder, settings)


def _start_mlserver(folder: Path, own: Path) -> Command:
    place, port = folder / "mlserver", free_port()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    server = {"host": "127.0.0.1", "debug": False, "parallel_workers": 0, **ports}
    (place / "settings.json").write_text(json.dumps(server))
    for name in ESTIMATORS:
        (place / name).mkdir()
        model = {
            "name": name,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(folder / "pickles" / f"{name}.pkl")},
        }
        (place / name / "model-settings.json").write_text(json.dumps(model))
    quiet = "ignore:X does not have valid feature names"
    settings = environment(own, folder, PYTHONWARNINGS=quiet)
    return Command(["mlserver", "start", "."], port, [*ESTIMATORS], place, settings)


def _ask_mlserver(model: str, row: dict[str, float]) -> tuple[str, object]:
    matrix = {"name": "rows", "datatype": "FP64", "shape": [1, len(row)], "data": [[*row.values()]]}
    outputs = [{"name": "predict"}, {"name": "predict_proba"}]
    return f"/v2/models/{model}/infer", {"inputs": [matrix], "outputs": outputs}


def _ask(model: str, row: dict[str, float]) -> tuple[str, object]:
    return f"/{model}/predict", row


WAYS = [
    Way("ours", _start_ours, _ask),
    Way("classroom", _start_lab, _ask),
    Way("mlserver", _start_mlserver, _ask_mlserver),
]


def train(folder: Path) -> dict[str, str]:
    """Train all estimators; return by what each is served, and put their pickles into a folder."""
    (folder / "catalog").mkdir()
    (folder / "pickles").mkdir()
    for name, (module, made) in ESTIMATORS.items():
        text = SPEC.format(name=name, module=module, made=made, kind=made.partition("(")[0])
        (folder / "catalog" / f"{name}.py").write_text(text)
    own = environment(OWN_ENVIRONMENT, folder / "home", PREDICTION_CATALOG=str(folder / "catalog"))
    subprocess.run([sys.executable, "-m", "prediction", "train"], cwd=PROJECT, env=own, check=True)
    found = {}
    for name in ESTIMATORS:
        newest = store.newest(folder / "home", name)
        found[name] = newest.metadata["runtime"]
        shutil.copy(newest.path / store.PIPELINE, folder / "pickles" / f"{name}.pkl")
    return found


def measure(way: Way, folder: Path, own: Path, seconds: float) -> dict[str, tuple[float, float]]:
    """Serve all estimators in one way; return requests a second and processor milliseconds of each."""
    row = {f"x{place}": 1.0 + place for place in range(30)}
    command, found = way.start(folder, own), {}
    first, *_ = ESTIMATORS
    with Server(command, folder / f"{way.name}.log", *way.ask(first, row)) as server:
        for name in ESTIMATORS:
            order = load.Order(
                port=command.port,
                connections=CONNECTIONS,
                seconds=seconds,
                warm_up_seconds=0.5,
                requests=[load.request(command.port, *way.ask(name, row))],
                core=machine.cores()[0],
            )
            before = server.cpu_seconds()
            figures = load.run(order)
            if figures.failed:
                raise CannotStart(f"{way.name}, {name}: {figures.first_failure}")
            used = (server.cpu_seconds() - before) / figures.sent
            found[name] = figures.requests_per_second, 1000 * used
    return found


def installed() -> dict[str, Path]:
    """Make the environments of the other ways; one that can't be made is left out, and said."""
    wanted = {peer.name: peer.requirements for peer in PEERS}
    found = {"ours": OWN_ENVIRONMENT}
    for way in WAYS[1:]:
        packages = [*(wanted[way.name] or ()), f"lightgbm=={version('lightgbm')}"]
        try:
            environments.make(CACHE / way.name, packages)
            found[way.name] = CACHE / way.name
        except CannotInstall as error:
            print(f"{way.name} is left out: {error}")
    return found


def table(served: dict[str, str], turns: dict[str, list[dict[str, tuple[float, float]]]]) -> str:
    """Return the medians as a table of Markdown."""
    names = [*turns]
    heads = [f"{name}: requests/s | processor ms" for name in names]
    lines = [f"| estimator | served by | {' | '.join(heads)} |", f"|---|---{'|---:' * 2 * len(names)}|"]
    for estimator, (_, made) in ESTIMATORS.items():
        cells: list[Any] = []
        for name in names:
            of_way = [turn[estimator] for turn in turns[name]]
            rate, used = (statistics.median(each) for each in zip(*of_way, strict=True))
            cells += [f"{rate:,.0f}", f"{used:.3g}"]
        kind = made.partition("(")[0]
        lines.append(f"| {kind} | {served[estimator]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure all ways in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    environments_ = installed()
    ways = [way for way in WAYS if way.name in environments_]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = train(folder)
        turns: dict[str, list[dict[str, tuple[float, float]]]] = {way.name: [] for way in ways}
        for _ in range(chosen.rounds):
            for way in ways:
                turns[way.name].append(measure(way, folder, environments_[way.name], chosen.seconds))
    print(table(served, turns))


if __name__ == "__main__":
    main()
