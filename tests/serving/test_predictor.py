"""One loaded version: what it answers, and what is refused before it answers anything."""

from __future__ import annotations

import json
import math
import pickle
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from prometheus_client import REGISTRY

from models_store import store
from models_store.errors import DamagedVersion, InvalidInput
from models_store.spec import Columns, Features, Spec, category, classes, number
from models_store.store import Version
from models_store.targets.decisions import TOLERANCE
from prediction.journal.predictions import Prediction
from prediction.retraining import datasets, training
from prediction.serving import predictor
from prediction.serving.predictor import Predictor
from tests import kinds
from tests.servers import SHIPPED, run

LOAD = """
import sys
from pathlib import Path
from models_store import catalog, store
from prediction.serving import predictor

home = Path(sys.argv[1])
for name, spec in catalog.load().items():
    version = store.newest(home, name)
    if version.runtime != "onnx":
        assert name not in sys.argv[2:], version.metadata
        continue
    loaded = predictor.load(spec, version, version.digest)
    (answer,) = loaded.predict([spec.rows.object(spec.example)])
    assert answer.model == name
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="session", params=SHIPPED)
def spec(request: pytest.FixtureRequest, specs: dict[str, Spec]) -> Spec:
    """Each spec of the catalog that is served by a compiled model."""
    return specs[request.param]


@pytest.fixture(scope="session")
def version(spec: Spec, trained_home: Path) -> Version:
    """Its newest version."""
    return store.newest(trained_home, spec.name)


@pytest.fixture(scope="session")
def loaded(spec: Spec, version: Version) -> Predictor:
    """That version, ready to answer."""
    return predictor.load(spec, version, version.digest)


@pytest.fixture(scope="session")
def rows(spec: Spec) -> list[Features]:
    """Every row of the dataset."""
    return rows_of(spec, datasets.load(spec).columns)


def rows_of(spec: Spec, columns: Columns) -> list[Features]:
    """Turn columns into validated rows."""
    names = list(columns)
    return [
        spec.rows.object(dict(zip(names, values, strict=True)))
        for values in zip(*columns.values(), strict=True)
    ]


def copy_version(version: Version, home: Path, change: Callable[[Path], None]) -> Version:
    """Publish a version like another, but for a change to its files, with a manifest that fits."""
    with store.stage(home) as staged:
        shutil.copytree(version.path, staged, dirs_exist_ok=True)
        (staged / store.MODEL_YAML).unlink()
        (staged / store.MANIFEST).unlink()
        change(staged)
        runtime = "onnx" if (staged / store.ONNX).exists() else "scikit-learn"
        metadata = {**version.metadata, "runtime": runtime}
        return store.publish(home, staged, version.model, {"runtime": runtime}, metadata)


def change_json(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Make a change to one JSON file of a version."""

    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(change(content)))

    return apply


def figures(predictions: list[Prediction]) -> Any:
    """Return the probabilities of predictions, shape (n, classes), or their numbers, shape (n, 1)."""
    return np.array(
        [list(each.read_probabilities().values()) or [each.value or math.nan] for each in predictions]
    )


# ----------------------------------------------------------------------------------------- answers


def test_an_answer_names_its_version(loaded: Predictor, spec: Spec, version: Version) -> None:
    """A prediction has model, version, and the features as they were sent."""
    (answer,) = loaded.predict([spec.rows.object(spec.example)])

    assert (spec.name, version.version) == (answer.model, answer.version)
    assert spec.example == json.loads(answer.features)


def test_the_class_is_the_most_probable_one(loaded: Predictor, spec: Spec, rows: list[Features]) -> None:
    """Probabilities are in class order and sum to 1; the class has the largest one."""
    for answer in loaded.predict(rows) if kinds.predicts_classes(spec) else ():
        probability = answer.read_probabilities()
        assert spec.target.texts == tuple(probability)
        assert 1 == pytest.approx(sum(probability.values()), abs=1e-6)
        assert max(probability.values()) == probability[answer.predicted_class]


def test_ids_are_uuid7_and_never_repeat(loaded: Predictor, rows: list[Features]) -> None:
    """Each row has an id of its own that begins with its time."""
    answers = loaded.predict(rows)
    ids = [uuid.UUID(answer.prediction_id) for answer in answers]

    assert len(answers) == len(set(ids))
    assert {7} == {item.version for item in ids}
    assert {uuid.RFC_4122} == {item.variant for item in ids}
    milliseconds = [item.int >> 80 for item in ids]
    assert all(
        abs(ms - answer.at_us / 1000) < 1000 for ms, answer in zip(milliseconds, answers, strict=True)
    )


def test_the_answers_are_scikit_learns(
    loaded: Predictor, spec: Spec, version: Version, rows: list[Features]
) -> None:
    """On every row of the dataset the compiled model and the pipeline agree."""
    pipeline = store.load_pipeline(version, version.digest)
    expected = kinds.ask(spec, pipeline, spec.frame(spec.columns(rows)))

    assert np.abs(expected - figures(loaded.predict(rows))).max() <= kinds.tolerance(spec)


def test_a_batch_is_answered_as_its_rows_are(loaded: Predictor, rows: list[Features]) -> None:
    """A row has the same class, numbers and warnings alone and in a batch."""
    rows = rows[:350]
    batch = loaded.predict(rows)
    singles = [loaded.predict([row])[0] for row in rows]

    assert [item.predicted_class for item in singles] == [item.predicted_class for item in batch]
    assert [item.warnings for item in singles] == [item.warnings for item in batch]
    assert [item.features for item in singles] == [item.features for item in batch]
    assert np.abs(figures(singles) - figures(batch)).max() < 1e-9


def test_requests_that_are_answered_together_have_the_answers_of_each(
    loaded: Predictor, rows: list[Features]
) -> None:
    """To the last bit: an answer does not depend on the other requests, one of no rows among them."""
    requests = [rows[:1], rows[1:4], rows[4:5], [], *([row] for row in rows[5:40])]
    together = loaded.predict([row for each in requests for row in each], [len(each) for each in requests])
    alone = [answer for each in requests for answer in loaded.predict(each)]

    def told(answers: list[Prediction]) -> list[Prediction]:
        return [item._replace(prediction_id=None, at_us=0) for item in answers]

    assert told(alone) == told(together)


def test_no_rows_are_no_answers(loaded: Predictor) -> None:
    """An empty batch is answered with an empty list."""
    assert [] == loaded.predict([])


def test_random_rows_are_answered_like_the_pipeline_does(
    loaded: Predictor, spec: Spec, version: Version
) -> None:
    """Rows from everywhere in the physical ranges, missing values among them, get its answers too."""
    rows = rows_of(spec, spec.random_columns(2_000, np.random.default_rng(4711)))
    pipeline = store.load_pipeline(version, version.digest)
    expected = kinds.ask(spec, pipeline, spec.frame(spec.columns(rows)))
    answers = loaded.predict(rows)

    assert np.abs(expected - figures(answers)).max() <= kinds.tolerance(spec)
    if kinds.predicts_classes(spec):
        classes = [spec.target.texts[best] for best in expected.argmax(axis=1)]
        assert classes == [answer.predicted_class for answer in answers]


def test_a_row_may_lack_all_optional_features(specs: dict[str, Spec], trained_home: Path) -> None:
    """A penguin with a known island only is answered, without a warning."""
    spec = specs["penguins"]
    version = store.newest(trained_home, "penguins")
    loaded = predictor.load(spec, version, version.digest)

    (answer,) = loaded.predict([spec.rows.object({"island": "Biscoe"})])

    assert [] == answer.read_warnings()
    assert None is json.loads(answer.features)["sex"]


# ---------------------------------------------------------------------------------------- warnings


def test_training_rows_get_no_warning(loaded: Predictor, spec: Spec) -> None:
    """Warnings are for values outside the training data."""
    dataset = datasets.load(spec)
    columns, _ = dataset.part(dataset.training)

    assert [] == [answer for answer in loaded.predict(rows_of(spec, columns)) if answer.read_warnings()]


@pytest.mark.parametrize(
    ("feature", "value", "side"),
    [
        ("petal_length_cm", 20.0, "above"),
        ("petal_length_cm", 0.5, "below"),
        ("sepal_width_cm", 30, "above"),
    ],
)
def test_a_value_unlike_the_training_data_is_answered_with_a_warning(
    specs: dict[str, Spec], trained_home: Path, feature: str, value: float, side: str
) -> None:
    """The warning says which feature, and what it was trained on; the other rows get none."""
    spec = specs["iris"]
    version = store.newest(trained_home, "iris")
    loaded = predictor.load(spec, version, version.digest)
    usual, unusual = spec.example, spec.example | {feature: value}

    answers = loaded.predict([spec.rows.object(row) for row in (usual, unusual, usual)])

    assert [[], [feature], []] == [[item["loc"][0] for item in one.read_warnings()] for one in answers]
    (warning,) = answers[1].read_warnings()
    assert f"{value:g} is {side} the training range of " in warning["msg"]
    assert warning["msg"].endswith(" cm")


def test_a_category_unlike_the_training_data_is_answered_with_a_warning(
    specs: dict[str, Spec], home: Path
) -> None:
    """The warning names the category, and the categories of the training data."""
    spec = specs["penguins"]

    def forget_dream(profile: Any) -> Any:
        profile["features"]["island"]["counts"]["Dream"] = 0
        return profile

    version = copy_version(store.newest(home, "penguins"), home, change_json(store.PROFILE, forget_dream))
    loaded = predictor.load(spec, version, version.digest)

    (answer,) = loaded.predict([spec.rows.object({"island": "Dream"})])

    expected = {"loc": ["island"], "msg": "Dream is not in the training data (Biscoe, Torgersen)"}
    assert [expected] == answer.read_warnings()


def test_recorded_answers_are_counted_by_class_and_warning(
    specs: dict[str, Spec], trained_home: Path
) -> None:
    """Counting adds a row to its version and class, and each warning to its feature."""
    spec = specs["iris"]
    version = store.newest(trained_home, "iris")
    loaded = predictor.load(spec, version, version.digest)
    answers = loaded.predict(
        [spec.rows.object(spec.example), spec.rows.object(spec.example | {"petal_width_cm": 29.0})]
    )

    def counted() -> tuple[float, float]:
        labels = {"model": "iris", "version": version.version}
        rows = sum(
            REGISTRY.get_sample_value("prediction_predictions_total", {**labels, "predicted_class": name})
            or 0
            for name in spec.target.texts
        )
        feature = {"model": "iris", "feature": "petal_width_cm"}
        return rows, REGISTRY.get_sample_value("prediction_out_of_training_range_total", feature) or 0

    before = counted()
    loaded.count(answers)

    assert (before[0] + 2, before[1] + 1) == counted()


# ----------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize("file", [store.ONNX, store.PIPELINE, store.PROFILE, store.GOLDEN, store.MANIFEST])
@pytest.mark.parametrize("damage", ["changed", "missing", "empty"])
def test_a_damaged_file_is_refused_by_name(
    specs: dict[str, Spec], home: Path, file: str, damage: str
) -> None:
    """One bit of any file is enough for the version to be refused, naming the file."""
    version = store.newest(home, "iris")
    path = version.path / file
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)

    with pytest.raises(DamagedVersion, match=f"{version.version}.*{file}"):
        predictor.load(specs["iris"], version, version.digest)


def test_only_what_was_promoted_is_loaded(spec: Spec, version: Version) -> None:
    """A version whose files fit each other, but not the digest of the ledger, is refused."""
    with pytest.raises(DamagedVersion, match="not the one that was promoted"):
        predictor.load(spec, version, "0" * 64)


def test_a_graph_that_is_not_in_the_manifest_is_refused(specs: dict[str, Spec], home: Path) -> None:
    """`model.yaml`, which names the runtime, is not covered by the digest."""
    version = store.newest(home, "iris")
    plain = copy_version(version, home, lambda folder: (folder / store.ONNX).unlink())
    shutil.copy(version.path / store.ONNX, plain.path / store.ONNX)
    claimed = replace(plain, metadata={**plain.metadata, "runtime": "onnx"})

    with pytest.raises(DamagedVersion, match="the file that serves it is not in its manifest"):
        predictor.load(specs["iris"], claimed, plain.digest)


def test_another_answer_to_a_golden_request_is_refused(specs: dict[str, Spec], home: Path) -> None:
    """A version that gives other answers than when it was saved is refused, with the difference."""

    def shift(golden: Any) -> Any:
        golden["probabilities"][3][0] += 2e-6
        return golden

    version = copy_version(store.newest(home, "iris"), home, change_json(store.GOLDEN, shift))

    with pytest.raises(DamagedVersion, match=r"golden requests.*differ by 2\.0e-06"):
        predictor.load(specs["iris"], version, version.digest)


def test_golden_requests_without_a_number_are_refused(specs: dict[str, Spec], home: Path) -> None:
    """NaN is not equal to any answer."""

    def spoil(golden: Any) -> Any:
        golden["probabilities"][0][0] = float("nan")
        return golden

    version = copy_version(store.newest(home, "iris"), home, change_json(store.GOLDEN, spoil))

    with pytest.raises(DamagedVersion, match="golden requests"):
        predictor.load(specs["iris"], version, version.digest)


def test_a_graph_that_can_t_run_is_refused(specs: dict[str, Spec], home: Path) -> None:
    """The version counts as damaged, and the error has the words of the runtime."""
    version = copy_version(store.newest(home, "iris"), home, lambda folder: spoil_file(folder / store.ONNX))

    with pytest.raises(DamagedVersion, match="can't be loaded"):
        predictor.load(specs["iris"], version, version.digest)


def spoil_file(path: Path) -> None:
    """Replace a file's content."""
    path.write_bytes(b"this is no graph")


class MoreFeatures(Features):
    """Iris with a feature that no version was trained on."""

    sepal_length_cm: float = number("Sepal", unit="cm", low=0.1, high=30, example=5.1)
    sepal_width_cm: float = number("Sepal", unit="cm", low=0.1, high=30, example=3.5)
    petal_length_cm: float = number("Petal", unit="cm", low=0.1, high=30, example=1.4)
    petal_width_cm: float = number("Petal", unit="cm", low=0.1, high=30, example=0.2)
    stem_cm: float = number("Stem", unit="cm", low=0.1, high=300, example=40)


class MorePenguinFeatures(Features):
    """Penguins with a feature that no version was trained on."""

    bill_length_mm: float | None = number("Bill", unit="mm", low=10, high=100, example=39.1, optional=True)
    bill_depth_mm: float | None = number("Bill", unit="mm", low=5, high=40, example=18.7, optional=True)
    flipper_length_mm: float | None = number(
        "Flipper", unit="mm", low=100, high=300, example=181, optional=True
    )
    body_mass_g: float | None = number("Mass", unit="g", low=1000, high=10000, example=3750, optional=True)
    island: Literal["Biscoe", "Dream", "Torgersen"] = category("Island", example="Dream")
    sex: Literal["female", "male"] | None = category("Sex", example="male", optional=True)
    colour: Literal["black", "blue"] = category("Colour of the ring", example="blue")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("iris", {"features": MoreFeatures}),
        ("penguins", {"features": MorePenguinFeatures}),
        ("iris", {"target": classes("setosa", "versicolor")}),
        ("iris", {"target": classes("setosa", "versicolor", "virginica", "zwergiris")}),
        ("iris", {"target": classes("germanica", "versicolor", "virginica")}),
    ],
    ids=["a new number", "a new category", "a class less", "a class more", "another class"],
)
def test_a_version_of_an_older_spec_is_refused(
    specs: dict[str, Spec], trained_home: Path, name: str, changes: dict[str, Any]
) -> None:
    """After an edit of the spec, a version trained before it is not served as if it fitted."""
    changed = replace(specs[name], **changes)
    version = store.newest(trained_home, name)

    with pytest.raises(DamagedVersion):
        predictor.load(changed, version, version.digest)


# ----------------------------------------------------------------------------- without a compiled one


@pytest.fixture
def plain(specs: dict[str, Spec], home: Path) -> Version:
    """A version of iris that could not be compiled."""
    return copy_version(store.newest(home, "iris"), home, lambda folder: (folder / store.ONNX).unlink())


def test_without_a_graph_the_pipeline_answers(specs: dict[str, Spec], plain: Version) -> None:
    """A version without a graph is served by scikit-learn, with the same answers."""
    spec = specs["iris"]
    loaded = predictor.load(spec, plain, plain.digest)
    rows = rows_of(spec, datasets.load(spec).columns)
    pipeline = store.load_pipeline(plain, plain.digest)

    expected = pipeline.predict_proba(spec.frame(spec.columns(rows)))

    assert "scikit-learn" == plain.runtime
    assert np.abs(expected - figures(loaded.predict(rows))).max() < 1e-12


def test_an_estimator_that_does_not_compile_is_saved_and_served(specs: dict[str, Spec], home: Path) -> None:
    """Its version has the reason why there is no graph, and is served by its pipeline."""

    def pipeline(seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        boosting = HistGradientBoostingClassifier(random_state=seed, max_iter=5)
        return make_pipeline(FunctionTransformer(np.positive), boosting)

    spec = replace(specs["iris"], pipeline=pipeline)
    candidate = training.train(spec, seed=0)
    version = training.save(candidate, home)
    loaded = predictor.load(spec, version, version.digest)

    assert "scikit-learn" == version.runtime == version.metadata["runtime"]
    assert version.metadata["compiled"]
    assert not (version.path / store.ONNX).exists()
    (answer,) = loaded.predict([spec.rows.object(spec.example)])
    assert "setosa" == answer.predicted_class


class Bomb:
    """Does something as soon as it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def test_nothing_is_unpickled_before_its_digest_matched(
    specs: dict[str, Spec], plain: Version, tmp_path: Path
) -> None:
    """A pickle that somebody put in the place of the pipeline never runs."""
    (plain.path / store.PIPELINE).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))

    with pytest.raises(DamagedVersion, match=store.PIPELINE):
        predictor.load(specs["iris"], plain, plain.digest)

    assert not (tmp_path / "exploded").exists()


def test_a_compiled_version_never_unpickles(specs: dict[str, Spec], home: Path, tmp_path: Path) -> None:
    """If there is a graph, the pickle is not opened, even if its digest matches."""
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
    version = copy_version(
        store.newest(home, "iris"), home, lambda folder: write(folder / store.PIPELINE, bomb)
    )

    predictor.load(specs["iris"], version, version.digest)

    assert not (tmp_path / "exploded").exists()


def write(path: Path, content: bytes) -> None:
    """Write a file."""
    path.write_bytes(content)


def test_loading_compiled_versions_brings_no_training_packages(trained_home: Path) -> None:
    """A process that loads and answers with every compiled model has neither scikit-learn nor pandas."""
    done = run("python", "-c", LOAD, str(trained_home), *SHIPPED, home=trained_home)

    assert 0 == done.returncode, done.stderr
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded
    assert set() == loaded & {"sklearn", "pandas", "scipy", "skl2onnx", "joblib"}


def test_golden_requests_cover_every_class(specs: dict[str, Spec], trained_home: Path) -> None:
    """They have rows of each class."""
    spec = specs["penguins"]
    golden = store.newest(trained_home, "penguins").read_json(store.GOLDEN)
    answered = np.array(golden["probabilities"]).argmax(axis=1)

    assert set(range(len(spec.target.texts))) == set(answered.tolist())
    assert TOLERANCE <= 1e-6


def test_a_row_of_another_model_is_no_row(specs: dict[str, Spec]) -> None:
    """Rows are validated by their own spec before they reach a predictor."""
    with pytest.raises(InvalidInput):
        specs["iris"].rows.object(specs["penguins"].example)
