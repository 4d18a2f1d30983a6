"""Who is measured: how each is installed, started and asked, and how its answers are read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import rows as of_datasets
from benchmarks.rows import Row
from benchmarks.server import Command, environment, free_port
from benchmarks.works import MODELS
from models_store import store

PROJECT = Path(__file__).parent.parent
APPS = Path(__file__).parent / "apps"
OWN_ENVIRONMENT = Path(sys.prefix)
NAMES = {"iris": ["setosa", "versicolor", "virginica"], "penguins": ["Adelie", "Chinstrap", "Gentoo"]}
"""The classes of the models that predict one."""

SAME = [f"{name}=={version(name)}" for name in ("scikit-learn", "numpy", "pandas", "joblib")]
"""What unpickles and runs the very same estimators everywhere."""


@dataclass(frozen=True)
class Place:
    """Where a peer runs for one turn: its environment, a folder of its own, a home of its own."""

    environment: Path
    folder: Path
    home: Path


@dataclass(frozen=True)
class Peer:
    """One server to measure.

    Parameters
    ----------
    about
        Its row in the README's list.
    requirements
        What its environment is made of; None where it runs in ours.
    commands
        One server for all models, or one each.
    request
        Model and rows to path and body.
    read
        Model and answer to what is said of each row; None where answers are fixed.
    batches
        Whether one request may hold many rows.
    full_journal
        Whether a million predictions lie in its journal at its start.
    """

    name: str
    about: str
    requirements: list[str] | None
    commands: Callable[[Place], list[Command]]
    request: Callable[[str, Sequence[Row]], tuple[str, object]]
    read: Callable[[str, Any], list[str]] | None
    batches: bool = True
    full_journal: bool = False


def _start_ours(place: Place) -> list[Command]:
    port = free_port()
    arguments = ["bentoml", "serve", "--host", "127.0.0.1", "--port", str(port)]
    settings = environment(
        place.environment, place.home, PREDICTION_WORKERS="1", BENTOML_DO_NOT_TRACK="True"
    )
    return [Command(arguments, port, list(MODELS), PROJECT, settings)]


def _start_quickstart(place: Place) -> list[Command]:
    port = free_port()
    arguments = ["bentoml", "serve", "quickstart:Quickstart", "--host", "127.0.0.1", "--port", str(port)]
    quiet = "ignore:X does not have valid feature names"  # a line a request, which costs it dear
    settings = environment(place.environment, place.home, BENTOML_DO_NOT_TRACK="True", PYTHONWARNINGS=quiet)
    return [Command(arguments, port, list(MODELS), APPS, settings)]


def _start_uvicorn(place: Place, app: str, folder: Path) -> list[Command]:
    port = free_port()
    arguments = ["uvicorn", app, "--app-dir", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--workers", "1", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    return [Command(arguments, port, list(MODELS), folder, environment(place.environment, place.home))]


def _start_classroom(place: Place) -> list[Command]:
    return _start_uvicorn(place, "classroom:app", APPS)


def _start_limit(place: Place) -> list[Command]:
    return _start_uvicorn(place, "benchmarks.apps.limit:app", PROJECT)


def _start_litserve(place: Place) -> list[Command]:
    port = free_port()
    settings = environment(place.environment, place.home)
    return [
        Command(["python", str(APPS / "lit.py"), str(port)], port, list(MODELS), place.folder, settings)
    ]


def _start_mlserver(place: Place) -> list[Command]:
    port = free_port()
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "debug": False,
        "parallel_workers": 0,
    }
    (place.folder / "settings.json").write_text(json.dumps(server))
    for model in MODELS:
        folder = place.folder / model
        folder.mkdir()
        settings = {
            "name": model,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(_pipeline(place, model))},
        }
        (folder / "model-settings.json").write_text(json.dumps(settings))
    quiet = "ignore:X does not have valid feature names"
    own = environment(place.environment, place.home, PYTHONWARNINGS=quiet)
    return [Command(["mlserver", "start", "."], port, list(MODELS), place.folder, own)]


def _start_mlflow(place: Place) -> list[Command]:
    settings = environment(place.environment, place.home, MLFLOW_DISABLE_TELEMETRY="true")
    commands = []
    for model in MODELS:
        folder, port = place.folder / model, free_port()
        subprocess.run(
            [
                "python",
                str(APPS / "mlflow_model.py"),
                str(_pipeline(place, model)),
                str(folder),
                _method(model),
            ],
            env=settings,
            cwd=place.folder,
            check=True,
            capture_output=True,
        )
        arguments = ["mlflow", "models", "serve", "--model-uri", str(folder), "--env-manager", "local"]
        arguments += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        commands.append(Command(arguments, port, [model], place.folder, settings))
    return commands


def _pipeline(place: Place, model: str) -> Path:
    return store.newest(place.home, model).path / store.PIPELINE


def _ask_routes(model: str, rows: Sequence[Row]) -> tuple[str, object]:
    if len(rows) == 1:
        return f"/{model}/predict", rows[0]
    return f"/{model}/predict_batch", list(rows)


def _ask_quickstart(model: str, rows: Sequence[Row]) -> tuple[str, object]:
    body = _values(rows) if model == "iris" else of_datasets.framed(model, rows)
    return f"/predict_{model}", {"rows": body}


def _ask_litserve(model: str, rows: Sequence[Row]) -> tuple[str, object]:
    return f"/{model}/predict", {
        "rows": _values(rows) if model == "iris" else of_datasets.framed(model, rows)
    }


def _ask_mlserver(model: str, rows: Sequence[Row]) -> tuple[str, object]:
    outputs = [{"name": "predict"}, *([{"name": "predict_proba"}] if model in NAMES else [])]
    if model == "iris":
        matrix = {"name": "rows", "datatype": "FP64", "shape": [len(rows), 4], "data": _values(rows)}
        return "/v2/models/iris/infer", {"inputs": [matrix], "outputs": outputs}
    rows = of_datasets.framed(model, rows)
    columns = [_mlserver_column(name, [row[name] for row in rows]) for name in rows[0]]
    parameters = {"content_type": "pd"}
    body = {"parameters": parameters, "inputs": columns, "outputs": outputs}
    return f"/v2/models/{model}/infer", body


def _mlserver_column(name: str, values: list[Any]) -> dict[str, object]:
    column: dict[str, object] = {"name": name, "shape": [len(values), 1], "data": values}
    if isinstance(values[0], str):
        return column | {"datatype": "BYTES", "parameters": {"content_type": "str"}}
    return column | {"datatype": "FP64"}


def _ask_mlflow(model: str, rows: Sequence[Row]) -> tuple[str, object]:
    if model == "iris":
        return "/invocations", {"inputs": _values(rows)}
    rows = of_datasets.framed(model, rows)
    return "/invocations", {"dataframe_split": {"columns": list(rows[0]), "data": _values(rows)}}


def _values(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(row.values()) for row in rows]


def _read_routes(_: str, answer: Any) -> list[str]:
    rows = answer if isinstance(answer, list) else [answer]
    return [of_datasets.text(row.get("predicted_class", row.get("predicted_value"))) for row in rows]


def _read_arrays(_: str, answer: Any) -> list[str]:
    return [of_datasets.text(each) for each in answer.get("predicted_class", answer.get("predicted_value"))]


def _read_mlserver(_: str, answer: Any) -> list[str]:
    return [of_datasets.text(each) for each in answer["outputs"][0]["data"]]


def _read_mlflow(model: str, answer: Any) -> list[str]:
    if model not in NAMES:
        return [of_datasets.text(each) for each in answer["predictions"]]
    return [NAMES[model][row.index(max(row))] for row in answer["predictions"]]


def _method(model: str) -> str:
    return "predict_proba" if model in NAMES else "predict"


PEERS = [
    Peer(
        "ours",
        "this service as shipped (`bentoml serve`): validated, recorded before it is answered, counted",
        None,
        _start_ours,
        _ask_routes,
        _read_routes,
    ),
    Peer(
        "ours-1m",
        "the same with 1,000,000 predictions in the journal",
        None,
        _start_ours,
        _ask_routes,
        _read_routes,
        full_journal=True,
    ),
    Peer(
        "classroom",
        "the FastAPI app of the classroom exercise: `predict` and `predict_proba` a request, nothing"
        " recorded; access log off; batches row by row",
        [*SAME, "fastapi==0.165.0", "uvicorn[standard]==0.54.0"],
        _start_classroom,
        _ask_routes,
        _read_routes,
        batches=False,
    ),
    Peer(
        "quickstart",
        "a BentoML service as its quickstart would write it: `bentoml.sklearn.load_model`, sync APIs on"
        " `np.ndarray` and `pd.DataFrame`; in our environment, so with uvloop and httptools too",
        None,
        _start_quickstart,
        _ask_quickstart,
        _read_arrays,
    ),
    Peer(
        "mlserver",
        "MLServer with its scikit-learn runtime, access log off, `parallel_workers` 0",
        [*SAME, "mlserver==1.7.1", "mlserver-sklearn==1.7.1"],
        _start_mlserver,
        _ask_mlserver,
        _read_mlserver,
    ),
    Peer(
        "litserve",
        "LitServe, one `LitAPI` and one worker a model, access log off",
        [*SAME, "litserve==0.2.19"],
        _start_litserve,
        _ask_litserve,
        _read_arrays,
    ),
    Peer(
        "mlflow",
        "`mlflow models serve`, one server a model; one method a model: `predict_proba`, or `predict`",
        [*SAME, "mlflow==3.17.2"],
        _start_mlflow,
        _ask_mlflow,
        _read_mlflow,
    ),
    Peer(
        "limit",
        "no model at all: bare Starlette on uvicorn with uvloop and httptools, our schemas, a fixed answer",
        None,
        _start_limit,
        _ask_routes,
        None,
    ),
]


def releases() -> dict[str, str]:
    """Return the releases that peers have environments of their own for, by package."""
    pins = [pin for peer in PEERS for pin in peer.requirements or () if pin not in SAME and "[" not in pin]
    return dict(pin.split("==") for pin in pins)
