"""In the process with limits: load a model, compare it with the spec, compile it, write what was found."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models_store import compiled, pipelines, store
from models_store.errors import Error, InvalidModel, InvalidSpec
from models_store.imported import archives, renaming, trusted
from models_store.spec import Columns, Spec
from models_store.targets import estimators
from prediction.imports import files, matching
from prediction.imports.matching import Described
from prediction.imports.mlflow_folders import SignedColumn

MODEL, RESULT = "model", "result.json"
"""Names in the folder that both processes share."""


@dataclass(frozen=True)
class Examination:
    """What to examine.

    Parameters
    ----------
    seed
        Of the random rows on which the model and its graph are compared.
    columns, labels
        All rows of the dataset; `training` are the numbers of those that are not held out.
    """

    folder: Path
    format: str
    signature: list[SignedColumn] | None
    seed: int
    columns: Columns = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    training: list[int] = field(default_factory=list)


def describe(task: Examination) -> tuple[Any, Described]:
    """Load the model and let it describe itself.

    Raises
    ------
    InvalidModel
        When it can't be loaded, or is no fitted estimator.
    """
    import sklearn
    from sklearn.exceptions import InconsistentVersionWarning
    from sklearn.utils.validation import check_is_fitted

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _load(task)
    saved = [each.message for each in caught if isinstance(each.message, InconsistentVersionWarning)]
    try:
        check_is_fitted(model)
    except Exception as error:
        raise InvalidModel(f"it holds {type(model).__name__}, which is no fitted estimator") from error
    names, classes = getattr(model, "feature_names_in_", None), getattr(model, "classes_", None)
    return model, Described(
        estimator=type(estimators.last_step(model)).__name__,
        names=None if names is None else [str(name) for name in names],
        features=getattr(model, "n_features_in_", None),
        classes=None if classes is None else np.ravel(classes).tolist(),
        sklearn=saved[0].original_sklearn_version if saved else sklearn.__version__,
    )


def _load(task: Examination) -> Any:
    path = task.folder / MODEL
    if task.format == files.SKOPS:
        return archives.load(path, trusted.READ)
    import joblib

    try:
        return joblib.load(path)
    except MemoryError:
        raise
    except Exception as error:
        raise InvalidModel(f"it can't be read as a pickle: {type(error).__name__}: {error}") from error


def examine(task: Examination, spec: Spec | None) -> dict[str, Any]:
    """Examine a model; write its graph and its parameters beside it.

    Returns
    -------
    dict
        `model`, what it says of itself; without a spec that is all. `faults`: what speaks against it; if
        there are none, what is known of its graph.
    """
    import sklearn

    model, described = describe(task)
    found: dict[str, Any] = {"model": asdict(described), "faults": []}
    if spec is None:
        return found
    older, found["warnings"] = matching.of_libraries(described.sklearn, sklearn.__version__)
    faults = [*older, *matching.mismatches(spec, described, task.signature)]
    faults += [] if faults else _unfit(spec, model)
    if faults:
        return found | {"faults": faults}
    if matching.names_of(described, task.signature) is None:
        found["warnings"].append("it does not name its columns: they are taken in the order of the spec")
    warnings.simplefilter("ignore")  # each call of a model without names would warn
    return found | _compile(task, spec, model, described)


def _unfit(spec: Spec, model: Any) -> list[str]:
    """Say why a model can't answer with the target of the spec."""
    try:
        spec.target.demand(model)
        spec.target.demand_fitted(model)
    except InvalidSpec as error:
        return [str(error)]
    return []


def _compile(task: Examination, spec: Spec, model: Any, described: Described) -> dict[str, Any]:
    taken = matching.taken(spec, described, task.signature)
    _rename(task, taken, model, described)
    pipelines.checked(model, taken, task.columns, "the dataset")
    parameters = _write_parameters(model, task.folder / store.PARAMETERS)
    if spec.target.chooses:
        training = {name: [values[row] for row in task.training] for name, values in task.columns.items()}
        answers = pipelines.checked(model, taken, training, "the training rows")
        target: Any = spec.target
        labels = [task.labels[row] for row in task.training]
        model = spec.target.decided(model, target.choose(labels, [answers], np.ones(len(labels))))
    graph = compiled.build(model, taken, task.columns, task.seed, labels=task.labels)
    kept = _unkept(task) if graph.onnx is None else None
    if kept is not None:
        words = "a server loads only models that are compiled, or of types that can't harm it"
        return {"faults": [f"it does not compile ({graph.reason}), and can't be kept: {kept}: {words}"]}
    if graph.onnx is not None:
        (task.folder / store.ONNX).write_bytes(graph.onnx)
    return {
        "reason": graph.reason,
        "decision": graph.decision.as_dict(),
        "agreement": graph.agreement.as_dict() if graph.agreement else {},
        "parameters": parameters,
    }


def _rename(task: Examination, taken: Spec, model: Any, described: Described) -> None:
    """Let a model take columns by the names of the features, and prove that its answers stay."""
    names = matching.aliases(taken, described.names)
    if not names:
        return
    X = taken.frame(task.columns)
    before = model.predict(X.rename(columns={new: old for old, new in names.items()}))
    renaming.rename(model, names)
    try:
        is_same = np.array_equal(before, model.predict(X))
    except Exception as error:
        raise InvalidModel(f"its columns can't get the names of the features: {error}") from error
    if not is_same:
        raise InvalidModel("its columns can't get the names of the features: its answers change")
    if task.format == files.SKOPS:
        import skops.io

        skops.io.dump(model, task.folder / MODEL)
    else:
        import joblib

        joblib.dump(model, task.folder / MODEL)


def _unkept(task: Examination) -> str | None:
    """Say why a server can't load the model itself; None if it can."""
    if task.format != files.SKOPS:
        return None  # its owner trusts it
    try:
        archives.load(task.folder / MODEL, trusted.KEPT)
    except InvalidModel as error:
        return str(error)
    return None


def _write_parameters(model: Any, path: Path) -> str | None:
    """Write the estimator without its fit, for retrainings; return why that can't be done, if it can't."""
    import skops.io
    from sklearn.base import clone

    try:
        unfitted = clone(model)
        archives.tame(unfitted)
        skops.io.dump(unfitted, path)
        archives.load(path, trusted.PARAMETERS)
    except (Error, TypeError, ValueError, RuntimeError, OSError) as error:
        path.unlink(missing_ok=True)
        return f"its parameters can't be copied: {error}"
    except Exception as error:  # skops has errors without a common base
        path.unlink(missing_ok=True)
        return f"its parameters can't be copied: {type(error).__name__}: {error}"
    return None


def write(folder: Path, found: dict[str, Any]) -> None:
    """Write what was found."""
    (folder / RESULT).write_text(json.dumps(found), encoding="utf-8")
