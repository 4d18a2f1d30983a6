"""Files of skops: honest ones are loaded, and nothing of a hostile one is made."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from models_store.catalog import iris
from models_store.errors import InvalidModel
from models_store.imported import archives, trusted
from tests.elsewhere import fitted, forged, nodes, skops_file

CHOSEN = make_column_transformer((StandardScaler(), ["sepal_length_cm"]), remainder="passthrough")


@pytest.mark.parametrize(
    ("estimator", "types"),
    [
        (make_pipeline(FunctionTransformer(np.log1p), CHOSEN, LogisticRegression()), trusted.KEPT),
        (RandomForestClassifier(3, random_state=0), trusted.KEPT),
        (HistGradientBoostingClassifier(max_iter=2), trusted.KEPT),
        (CalibratedClassifierCV(LogisticRegression(max_iter=1000)), trusted.KEPT),
        (GradientBoostingClassifier(n_estimators=2), trusted.READ),
        (SVC(), trusted.READ),
        (KNeighborsClassifier(), trusted.READ),
    ],
    ids=lambda given: type(given).__name__,
)
def test_honest_models_answer_as_before(estimator: Any, types: frozenset[str], tmp_path: Path) -> None:
    """With nothing that a file may choose."""
    if isinstance(estimator, type(make_pipeline(CHOSEN))):
        estimator.steps[0][1].set_params(feature_names_out="one-to-one").set_output(transform="pandas")
    model = fitted(estimator)
    X, _ = iris.load()
    loaded = archives.load(skops_file(tmp_path / "model.skops", model), types)

    assert model.predict(X).tolist() == loaded.predict(X).tolist()


def test_a_server_does_not_load_what_must_be_compiled(tmp_path: Path) -> None:
    """The sentence names the type."""
    path = skops_file(tmp_path / "model.skops", fitted(SVC()))

    with pytest.raises(InvalidModel, match=r"it holds sklearn\.svm\._classes\.SVC, which no model"):
        archives.load(path, trusted.KEPT)


def system(node: dict[str, Any]) -> None:
    """Name a function of the system in place of a type."""
    node |= {"__module__": "posix", "__class__": "system"}


def method(node: dict[str, Any]) -> None:
    """Call a method of whatever the node makes."""
    inner = dict(node)
    node |= {"__loader__": "MethodNode", "content": {"obj": inner, "func": "fit"}}


def partial(node: dict[str, Any]) -> None:
    """Call a function with arguments of the file."""
    node |= {"__loader__": "PartialNode", "__module__": "functools", "__class__": "partial", "content": {}}


def operator(node: dict[str, Any]) -> None:
    """Call by an operator."""
    node |= {
        "__loader__": "OperatorFuncNode",
        "__module__": "operator",
        "__class__": "methodcaller",
        "attrs": {},
    }


def constructor(node: dict[str, Any]) -> None:
    """Make an object by its constructor, with arguments of the file."""
    node |= {"__loader__": "ConstructorFromReduceNode"}


@pytest.mark.parametrize("change", [system, method, partial, operator, constructor])
@pytest.mark.parametrize("loader", ["ObjectNode", "DictNode", "NdArrayNode"])
def test_no_name_of_a_hostile_file_is_imported(
    change: Callable[[dict[str, Any]], None], loader: str, tmp_path: Path
) -> None:
    """Wherever it stands in the schema."""
    honest = skops_file(tmp_path / "honest.skops", fitted())

    def anywhere(schema: dict[str, Any]) -> None:
        change(next(node for node in nodes(schema) if node["__loader__"] == loader))

    with pytest.raises(InvalidModel, match=r"it holds .*, which no model may bring in"):
        archives.load(forged(honest, tmp_path / "hostile.skops", anywhere), trusted.READ)


@pytest.mark.parametrize(
    ("loader", "name"),
    [
        ("FunctionNode", "posix.system"),
        ("TypeNode", "subprocess.Popen"),
        ("ObjectNode", "threading.Thread"),
    ],
)
def test_the_list_is_not_that_of_the_file(loader: str, name: str, tmp_path: Path) -> None:
    """A parameter of an honest estimator names something else."""
    honest = skops_file(tmp_path / "honest.skops", fitted())
    module, _, kind = name.rpartition(".")

    def hide(schema: dict[str, Any]) -> None:
        held = next(node for node in nodes(schema) if node["__loader__"] == "DictNode")
        held["content"]["func"] = {"__loader__": loader, "__module__": module, "__class__": kind}

    path = forged(honest, tmp_path / "hostile.skops", hide)
    assert archives.is_skops(path)
    with pytest.raises(InvalidModel, match=f"it holds {name}, which"):
        archives.load(path, trusted.READ)


def archive(**members: bytes) -> bytes:
    """Make a ZIP."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, member in members.items():
            made.writestr(name.replace("__", "."), member)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 no archive",
        archive(other=b"1"),
        archive(schema__json=b"no JSON"),
        archive(schema__json=b"[" * 100_000),
        archive(schema__json=b"\xff\xfe"),
    ],
    ids=["empty", "torn", "no schema", "no JSON", "deep", "no text"],
)
def test_damaged_files_get_a_sentence(content: bytes, tmp_path: Path) -> None:
    """And no traceback."""
    path = tmp_path / "model.skops"
    path.write_bytes(content)

    with pytest.raises(InvalidModel, match="it is no file of skops"):
        archives.load(path, trusted.READ)


def test_a_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is unpacked; with smaller limits, so that the test needs little."""
    path = tmp_path / "bomb.skops"
    path.write_bytes(archive(schema__json=json.dumps({}).encode(), zeros=bytes(4_000_000)))
    monkeypatch.setattr(archives, "MAX_BYTES", 1_000_000)

    assert path.stat().st_size < 10_000
    with pytest.raises(InvalidModel, match="unpacks to more"):
        archives.check(path, trusted.READ)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    """One could be checked and the other read."""
    path = tmp_path / "double.skops"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("schema.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("schema.json", "{}")

    with pytest.raises(InvalidModel, match="two members of one name"):
        archives.check(path, trusted.READ)


def test_a_loaded_model_uses_no_cache_and_no_processes(tmp_path: Path) -> None:
    """A cache of joblib is a folder of pickles, which the file could name."""
    model = fitted(make_pipeline(StandardScaler(), RandomForestClassifier(2, n_jobs=64), memory=None))
    model.memory = str(tmp_path / "cache")
    loaded = archives.load(skops_file(tmp_path / "model.skops", model), trusted.KEPT)

    assert (None, None) == (loaded.memory, loaded[-1].n_jobs)
    assert all(tree.random_state is not None for tree in loaded[-1].estimators_)
