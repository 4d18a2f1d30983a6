"""Compiled models compared with scikit-learn; those that differ are not used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import psutil
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models_store import catalog, compiled
from models_store.compiled import RANDOM_ROWS, Compiled, Session
from models_store.errors import InvalidSpec
from models_store.spec import Columns, Features, Spec, category, classes, integer, number
from models_store.targets.decisions import TOLERANCE
from tests import kinds
from tests.servers import SHIPPED

SPECS = catalog.load()
IRIS, PENGUINS = SPECS["iris"], SPECS["penguins"]


@dataclass(frozen=True)
class Built:
    """A spec's pipeline, fitted on the whole dataset, and what `build` made of it."""

    spec: Spec
    columns: Columns
    pipeline: Any
    compiled: Compiled

    def expected(self, columns: Columns) -> NDArray[np.float64]:
        """Return scikit-learn's answers."""
        return kinds.ask(self.spec, self.pipeline, self.spec.frame(columns))

    @property
    def session(self) -> Session:
        """The compiled model, loaded."""
        assert self.compiled.onnx is not None, self.compiled.reason
        return Session(self.compiled.onnx, self.spec)

    @property
    def tolerance(self) -> float:
        """How far the answers of both may differ."""
        return kinds.tolerance(self.spec)


def build(spec: Spec) -> Built:
    """Fit and compile a spec."""
    X, y = spec.load()
    columns = spec.columns_of(X)
    pipeline = spec.pipeline(0).fit(spec.frame(columns), y)
    return Built(spec, columns, pipeline, compiled.build(pipeline, spec, columns, seed=0))


@lru_cache
def of_catalog(name: str) -> Built:
    """Build a spec of the catalog, once."""
    return build(SPECS[name])


@pytest.fixture(params=SHIPPED)
def built(request: pytest.FixtureRequest) -> Built:
    """Each spec that comes with the project, compiled; others need not compile."""
    return of_catalog(request.param)


def forest(_: int) -> Any:
    """Trees alone, which read float32 themselves."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=15, random_state=0)


def scaled_forest(_: int) -> Any:
    """Trees behind a scaler, whose figures in float32 fall on the other side of some splits."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), forest(0))


def scaled_penguins(_: int) -> Any:
    """Impute, scale and one-hot before a forest."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [name for name, feature in PENGUINS.inputs.items() if not feature.is_text]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer([("numbers", scaled, numbers), ("categories", one_hot, ["island", "sex"])])
    return make_pipeline(columns, forest(0))


def splines(_: int) -> Any:
    """A step that no converter takes."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer

    return make_pipeline(SplineTransformer(), logistic_regression(0))


def near_neighbours(_: int) -> Any:
    """Neighbours by distance, which is 0 on rows of the training: both divide by it in their own way."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(weights="distance")


def logistic_regression(_: int) -> Any:
    """A linear model on raw values."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def figures(session: Session, columns: Columns) -> NDArray[np.float64]:
    """Return what a session computes: probabilities, or predicted numbers."""
    rows = len(next(iter(columns.values())))
    return np.asarray(session.first(columns), np.float64).reshape(rows, -1)


def rows_of(columns: Columns, rows: list[int]) -> Columns:
    """Pick rows."""
    return {name: [values[row] for row in rows] for name, values in columns.items()}


def test_both_agree(built: Built) -> None:
    """Each compiles, and has the number of compared rows."""
    agreement = built.compiled.agreement

    assert built.compiled.onnx is not None, built.compiled.reason
    assert agreement is not None
    assert agreement.holds
    assert len(built.columns[next(iter(built.spec.inputs))]) + RANDOM_ROWS == agreement.rows
    assert 0 == getattr(agreement, "other_class", 0)
    assert agreement.max_difference <= built.tolerance
    assert f"agrees on {agreement.rows} rows" in built.compiled.reason


def test_both_agree_on_every_row_of_the_dataset(built: Built) -> None:
    """The classes are the same, and numbers differ by no more than they may."""
    expected, found = built.expected(built.columns), figures(built.session, built.columns)

    np.testing.assert_array_equal(expected.argmax(axis=1), found.argmax(axis=1))
    np.testing.assert_allclose(found, expected, rtol=0, atol=built.tolerance)
    if kinds.predicts_classes(built.spec):
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_both_agree_on_rows_that_the_proof_did_not_see(built: Built) -> None:
    """Other random rows, some with missing values, have the same answers."""
    columns = built.spec.random_columns(20_000, np.random.default_rng(12345))

    np.testing.assert_allclose(
        figures(built.session, columns), built.expected(columns), rtol=0, atol=built.tolerance
    )


def test_both_agree_at_the_ends_of_the_ranges(built: Built) -> None:
    """The smallest and the largest allowed values have the same answers."""
    corners = [
        {
            name: kinds.limits(feature)[end] if kinds.is_measured(feature) else feature.example
            for name, feature in built.spec.inputs.items()
        }
        for end in (0, 1)
    ]
    columns = {name: [corner[name] for corner in corners] for name in built.spec.inputs}

    np.testing.assert_allclose(
        figures(built.session, columns), built.expected(columns), rtol=0, atol=built.tolerance
    )


def test_a_single_row_is_answered_as_in_a_batch(built: Built) -> None:
    """Rows have the same answers one by one and all at once."""
    session = built.session
    rows = list(range(len(next(iter(built.columns.values())))))[:350]
    one_by_one = [figures(session, rows_of(built.columns, [row]))[0] for row in rows]

    np.testing.assert_allclose(
        one_by_one, figures(session, rows_of(built.columns, rows)), rtol=0, atol=1e-12
    )


def test_rows_are_answered_in_their_order(built: Built) -> None:
    """Reversed rows have reversed answers."""
    session = built.session
    backwards = {name: values[::-1] for name, values in built.columns.items()}

    np.testing.assert_allclose(
        figures(session, backwards)[::-1], figures(session, built.columns), rtol=0, atol=1e-12
    )


def test_the_order_of_the_columns_does_not_matter(built: Built) -> None:
    """Features are found by their names."""
    session = built.session
    shuffled = {name: built.columns[name] for name in reversed(list(built.spec.inputs))}

    np.testing.assert_array_equal(figures(session, built.columns), figures(session, shuffled))


@pytest.mark.parametrize("name", [name for name, item in PENGUINS.inputs.items() if item.optional])
def test_a_missing_value_is_answered_alike(name: str) -> None:
    """Both agree for each feature that may be missing."""
    built = of_catalog("penguins")
    columns = {**built.columns, name: [None] * len(built.columns[name])}

    np.testing.assert_allclose(
        figures(built.session, columns), built.expected(columns), rtol=0, atol=built.tolerance
    )


def test_a_row_without_any_optional_value_is_answered_alike() -> None:
    """A penguin with a known island only has the same probabilities in both."""
    built = of_catalog("penguins")
    columns: dict[str, Any] = {name: [None] * 3 for name in PENGUINS.inputs}
    columns["island"] = list(kinds.categories(PENGUINS.inputs["island"]))

    np.testing.assert_allclose(
        figures(built.session, columns), built.expected(columns), rtol=0, atol=built.tolerance
    )


def test_a_graph_is_loaded_from_its_file_too(built: Built, tmp_path: Path) -> None:
    """Bytes and file give the same answers."""
    assert built.compiled.onnx is not None
    (tmp_path / "model.onnx").write_bytes(built.compiled.onnx)
    loaded = Session(tmp_path / "model.onnx", built.spec)

    np.testing.assert_array_equal(figures(built.session, built.columns), figures(loaded, built.columns))


def test_a_session_starts_no_thread(built: Built) -> None:
    """Each worker is a process: threads of sessions would compete for the cores."""
    before = psutil.Process().num_threads()
    session = built.session
    figures(session, built.columns)

    assert before == psutil.Process().num_threads()


def test_the_same_seed_compiles_to_the_same_proof(built: Built) -> None:
    """The random rows depend only on the seed."""
    again = compiled.build(built.pipeline, built.spec, built.columns, seed=0)

    assert (built.compiled.agreement, built.compiled.reason) == (again.agreement, again.reason)


@pytest.mark.parametrize("pipeline", [forest, logistic_regression])
@pytest.mark.parametrize("species", [("setosa", "versicolor"), IRIS.target.texts], ids=["two", "three"])
def test_other_estimators_compile(pipeline: Callable[[int], Any], species: tuple[str, ...]) -> None:
    """Trees and linear models agree, for two classes and for three."""
    spec = replace(IRIS, target=classes(*species), load=lambda: only(species), pipeline=pipeline)
    built = build(spec)

    assert (len(built.columns["petal_width_cm"]), len(species)) == figures(
        built.session, built.columns
    ).shape


def test_an_estimator_that_does_not_convert_has_a_reason() -> None:
    """There is no graph and no agreement; the reason names each layout, and each true cause once."""
    result = build(replace(IRIS, pipeline=splines)).compiled

    assert result.onnx is None
    assert result.agreement is None
    layouts, cause = result.reason.split(": ", 1)
    assert layouts == "float64 matrix, float32 matrix, float64 columns, float32 columns"
    assert cause == "no converter knows SplineTransformer"
    assert "\n" not in result.reason


def test_an_estimator_that_does_not_agree_is_not_compiled() -> None:
    """It converts, but answers differ: there is no graph, and the reason has the difference."""
    result = build(replace(IRIS, pipeline=near_neighbours)).compiled

    assert result.onnx is None
    assert result.agreement is not None
    assert not result.agreement.holds
    assert result.agreement.max_difference > TOLERANCE
    assert "differs by" in result.reason


@pytest.mark.parametrize(
    ("spec", "pipeline"), [(IRIS, scaled_forest), (PENGUINS, scaled_penguins)], ids=["iris", "penguins"]
)
def test_trees_behind_a_scaler_compile(spec: Spec, pipeline: Callable[[int], Any]) -> None:
    """Figures before the trees are float64, and are rounded where scikit-learn rounds them."""
    result = build(replace(spec, pipeline=pipeline)).compiled

    assert result.onnx is not None, result.reason
    assert result.reason.startswith("float64")


def test_a_graph_that_rounds_where_the_dataset_is_is_not_compiled() -> None:
    """Votes of float32 differ for integers above 2^24, which hardly any row of a wide range is near."""
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.linear_model import LogisticRegression

    fields = {"serial": integer("A serial number", unit="", low=0, high=2_000_000_000, example=1)}
    features = type(
        "Made", (Features,), {"__annotations__": {"serial": int}, "__module__": __name__, **fields}
    )
    start = 2**24  # float32 holds each fourth number from here on, and not each one
    X = pd.DataFrame({"serial": range(start, start + 400, 4)})
    y = pd.Series(np.where(X["serial"] > start + 120, "new", "old"))

    def votes(_: int) -> Any:
        return make_pipeline(StandardScaler(), AdaBoostClassifier(LogisticRegression(C=10), n_estimators=1))

    result = build(Spec("made", "Made up", features, classes("new", "old"), lambda: (X, y), votes)).compiled

    assert result.onnx is None
    assert "float32 matrix, float32 columns: differs by" in result.reason


def test_a_pipeline_that_fails_at_the_end_of_a_range_is_refused() -> None:
    """A request may send 0 where the range begins with it, and no random row has it."""
    from sklearn.preprocessing import FunctionTransformer

    logs = replace(
        IRIS, pipeline=lambda _: make_pipeline(FunctionTransformer(np.log), logistic_regression(0))
    )
    fields = {"size": number("A size", unit="", low=0, high=10, example=1)}
    features = type(
        "Made", (Features,), {"__annotations__": {"size": float}, "__module__": __name__, **fields}
    )
    X = pd.DataFrame({"size": np.linspace(0.5, 9, 50)})
    y = pd.Series(np.where(X["size"] > 4, "new", "old"))
    made = replace(logs, features=features, target=classes("new", "old"), load=lambda: (X, y))

    with (
        np.errstate(divide="ignore"),
        pytest.raises(InvalidSpec, match="on their ends failed: ValueError: Input X contains inf"),
    ):
        build(made)


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_a_graph_with_another_number_of_classes_is_not_compiled(columns: int) -> None:
    """Each attempt names the shape, also one that NumPy would broadcast."""
    X, y = IRIS.load()
    pipeline = IRIS.pipeline(0).fit(X, y)
    pipeline.predict_proba = lambda frame: np.full((len(frame), columns), 1 / columns)

    result = compiled.build(pipeline, IRIS, IRIS.columns_of(X), seed=0)

    rows = 150 + RANDOM_ROWS
    layouts = "float64 matrix, float32 matrix, float64 columns, float32 columns"
    assert (None, None) == (result.onnx, result.agreement)
    assert result.reason == f"{layouts}: probabilities of shape ({rows}, 3)"


def test_a_graph_is_not_compiled_if_the_pipeline_gives_nan() -> None:
    """A difference that is no number is infinite, and never within the tolerance."""
    X, y = IRIS.load()
    pipeline = IRIS.pipeline(0).fit(X, y)
    pipeline.predict_proba = lambda frame: np.full((len(frame), 3), np.nan)

    result = compiled.build(pipeline, IRIS, IRIS.columns_of(X), seed=0)

    assert result.onnx is None
    assert result.agreement is not None
    assert float("inf") == result.agreement.max_difference


@pytest.mark.parametrize("name", ["rows", "output_label", "input"])
def test_a_feature_may_have_any_name(name: str) -> None:
    """Every name that a schema accepts compiles."""
    fields = {
        name: number("A number", unit="", low=0, high=1, example=0.5),
        "side": category("A category", example="left"),
    }
    annotations = {name: float, "side": Literal["left", "right"]}
    features = type("Made", (Features,), {"__annotations__": annotations, "__module__": __name__, **fields})
    result = build(
        Spec(
            "made",
            "Made up",
            features,
            classes("high", "low"),
            lambda: mixed_data(name),
            lambda _: mixed(name),
        )
    ).compiled

    assert result.onnx is not None, result.reason


def only(classes: tuple[str, ...]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the flowers of some classes."""
    X, y = IRIS.load()
    return X[y.isin(classes)], y[y.isin(classes)]


def mixed_data(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return 40 rows of a number, which tells the classes apart, and a category."""
    values = np.linspace(0, 1, 40)
    X = pd.DataFrame({name: values, "side": pd.Series(["left", "right"] * 20, dtype="object")})
    return X, pd.Series(np.where(values > 0.5, "high", "low"))


def mixed(name: str) -> Any:
    """One-hot the category, then a linear model."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = ColumnTransformer([("n", "passthrough", [name]), ("c", OneHotEncoder(), ["side"])])
    return make_pipeline(columns, logistic_regression(0))
