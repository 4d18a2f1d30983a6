"""Models that were trained elsewhere, honest and hostile, as files and as folders of MLflow."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import skops.io
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models_store.catalog import iris

SIGNATURE: list[dict[str, Any]] = [
    {"name": name, "type": "double", "required": True} for name in iris.SPEC.inputs
]


class Bomb:
    """Whoever unpickles it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def fitted(estimator: Any = None) -> Any:
    """Fit an estimator on all irises."""
    X, y = iris.load()
    made = make_pipeline(StandardScaler(), LogisticRegression()) if estimator is None else estimator
    return made.fit(X, y)


def skops_file(path: Path, model: Any) -> Path:
    """Save a model as skops does."""
    skops.io.dump(model, path)
    return path


def pickle_file(path: Path, content: Any) -> Path:
    """Save anything as pickle does."""
    path.write_bytes(pickle.dumps(content))
    return path


def forged(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Copy a file of skops, with another schema."""
    with zipfile.ZipFile(source) as honest, zipfile.ZipFile(target, "w") as copy:
        for name in honest.namelist():
            content = honest.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                change(schema)
                content = json.dumps(schema).encode()
            copy.writestr(name, content)
    return target


def nodes(schema: Any) -> list[dict[str, Any]]:
    """Return all nodes of a schema."""
    found, waiting = [], [schema]
    while waiting:
        each = waiting.pop()
        waiting += each.values() if isinstance(each, dict) else each if isinstance(each, list) else []
        found += [each] if isinstance(each, dict) and "__loader__" in each else []
    return found


def mlflow_folder(folder: Path, file: str = "model.skops", **changes: Any) -> Path:
    """Write `MLmodel` as MLflow 3 does, and its list of packages; the caller puts the file beside it."""
    folder.mkdir(exist_ok=True)
    flavor = {
        "code": None,
        "pickled_model": file,
        "serialization_format": "skops",
        "sklearn_version": "1.7.2",
    }
    content = {
        "flavors": {"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": flavor},
        "mlflow_version": "3.17.2",
        "signature": {"inputs": json.dumps(SIGNATURE), "outputs": None, "params": None},
        **changes,
    }
    (folder / "MLmodel").write_text(yaml.safe_dump(content))
    (folder / "requirements.txt").write_text("mlflow==3.17.2\nnumpy==2.3.1\nscikit-learn==1.7.2\n")
    return folder
