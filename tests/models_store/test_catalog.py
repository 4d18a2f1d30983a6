"""The contract that every spec of the catalog keeps: a new file of the catalog is tested by being there."""

from __future__ import annotations

import json
import math
import shutil
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from models_store import catalog
from models_store.errors import InvalidInput, UnknownModel
from models_store.spec import Columns, Spec
from models_store.targets.quantity import Quantity
from tests import kinds
from tests.servers import PROJECT, SHIPPED, run

SPECS = catalog.load()
FEATURES = [(name, feature) for name, spec in SPECS.items() for feature in spec.inputs]
NUMBERS = [(name, feature) for name, feature in FEATURES if kinds.is_measured(SPECS[name].inputs[feature])]
CATEGORIES = [
    (name, feature) for name, feature in FEATURES if kinds.categories(SPECS[name].inputs[feature])
]

every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
every_feature = pytest.mark.parametrize(("name", "feature"), FEATURES)
every_number = pytest.mark.parametrize(("name", "feature"), NUMBERS)
every_category = pytest.mark.parametrize(("name", "feature"), CATEGORIES)


@lru_cache
def dataset(name: str) -> tuple[Columns, list[Any]]:
    """Load a spec's data once."""
    X, y = SPECS[name].load()
    return SPECS[name].columns_of(X), y.tolist()


def refusal(name: str, feature: str, value: Any) -> str:
    """Send an otherwise valid row, and return what is said of the one value that is not."""
    spec = SPECS[name]
    raw = json.dumps({**spec.example, feature: value}).encode()
    with pytest.raises(InvalidInput) as refused:
        spec.rows.row(raw)
    assert [[feature]] == [item["loc"] for item in refused.value.detail]
    assert [feature] == refused.value.features
    assert feature in str(refused.value)
    return str(refused.value.detail[0]["msg"])


@every_spec
def test_the_data_fits_the_schema(spec: Spec) -> None:
    """The frame has one column a feature, one label a row, and only rows that the service would take."""
    X, y = spec.load()
    columns = spec.columns_of(X)

    assert set(spec.inputs) == set(X.columns)
    assert len(X) == len(y) > 0
    for values in zip(*columns.values(), strict=True):
        spec.rows.object(dict(zip(columns, values, strict=True)))


@every_spec
def test_the_data_is_the_same_each_time(spec: Spec) -> None:
    """Loading twice gives the same rows in the same order."""
    (X, y), (X_again, y_again) = spec.load(), spec.load()

    pd.testing.assert_frame_equal(X, X_again)
    pd.testing.assert_series_equal(y, y_again)


@every_spec
def test_the_labels_are_those_of_the_target(spec: Spec) -> None:
    """The classes are the labels that occur, sorted, each once; numbers lie in the range."""
    _, labels = dataset(spec.name)

    if isinstance(spec.target, Quantity):
        assert spec.target.low <= min(labels) < max(labels) <= spec.target.high
    else:
        assert spec.target.texts == tuple(sorted(set(labels)))


@every_feature
def test_values_are_missing_only_where_they_may_be(name: str, feature: str) -> None:
    """A feature is optional exactly where the dataset has rows without it."""
    columns, _ = dataset(name)

    assert SPECS[name].inputs[feature].optional == (None in columns[feature])


@every_feature
def test_a_feature_is_described(name: str, feature: str) -> None:
    """A reader of the docs page finds a description, the unit of a number, and an example."""
    info, shown = SPECS[name].inputs[feature], SPECS[name].features.model_fields[feature].description

    assert info.description
    assert info.example is not None
    assert str(shown).startswith(info.description)
    assert info.unit in str(shown)


def fitted(spec: Spec) -> tuple[Any, pd.DataFrame, pd.Series]:
    """Fit a new pipeline on the frame of the dataset; return both, and the labels."""
    X, y = spec.load()
    frame = spec.frame(spec.columns_of(X))
    return spec.pipeline(0).fit(frame, y), frame, y


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if kinds.predicts_classes(spec)])
def test_a_classifier_fits(name: str) -> None:
    """Fitted on its own data, it answers with one probability for each class, in the spec's order."""
    spec = SPECS[name]
    pipeline, frame, y = fitted(spec)
    probabilities = pipeline.predict_proba(frame)

    assert spec.target.texts == tuple(pipeline.classes_)
    assert (len(y), len(spec.target.texts)) == probabilities.shape
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (pipeline.predict(frame) == y.to_numpy()).mean() > y.value_counts(normalize=True).max()


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if not kinds.predicts_classes(spec)])
def test_a_regressor_fits(name: str) -> None:
    """Fitted on its own data, it answers with one number for each row, nearer than the mean."""
    pipeline, frame, y = fitted(SPECS[name])
    said = pipeline.predict(frame)

    assert (len(y),) == said.shape
    assert np.abs(said - y).mean() < np.abs(y - y.mean()).mean()


@every_spec
def test_the_schemas_own_frame_is_that_of_the_dataset(spec: Spec) -> None:
    """Rows that came through the schema get the answers that rows of the dataset get."""
    columns, _ = dataset(spec.name)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    validated = [spec.rows.object(row) for row in rows]

    pd.testing.assert_frame_equal(spec.frame(columns), spec.frame(spec.columns(validated)))


@every_spec
def test_the_pipeline_is_new_each_time(spec: Spec) -> None:
    """Fitting one leaves the next unfitted, and the same one may be fitted twice."""
    first, frame, y = fitted(spec)
    first.fit(frame, y)

    assert first is not spec.pipeline(0)
    with pytest.raises(NotFittedError):
        check_is_fitted(spec.pipeline(0)[-1])


@every_spec
def test_the_example_is_valid(spec: Spec) -> None:
    """What the docs page offers to try is a row, alone and in a batch."""
    row = spec.rows.row(json.dumps(spec.example).encode())

    assert spec.example == row.model_dump()
    assert [row, row] == spec.rows.rows(json.dumps([spec.example] * 2).encode(), 2)


@every_number
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 10**400], ids=lambda v: str(v)[:6])
def test_a_number_that_is_no_measurement_is_refused(name: str, feature: str, value: float) -> None:
    """NaN, infinities and what is too large are told what a number looks like."""
    assert f"must be {SPECS[name].inputs[feature].expected}" == refusal(name, feature, value)


@every_number
@pytest.mark.parametrize("value", [True, False, "5.1", "", [5.1], {"value": 5.1}], ids=repr)
def test_only_numbers_are_numbers(name: str, feature: str, value: Any) -> None:
    """Booleans, strings of digits, arrays and objects are no numbers."""
    assert f"must be {SPECS[name].inputs[feature].expected}" == refusal(name, feature, value)


@every_number
def test_the_range_includes_its_ends_and_nothing_beyond(name: str, feature: str) -> None:
    """Both ends of the physical range are valid, the nearest numbers outside are not."""
    spec, (low, high) = SPECS[name], kinds.limits(SPECS[name].inputs[feature])
    whole = isinstance(low, int)
    below = low - 1 if whole else math.nextafter(low, -math.inf)
    above = high + 1 if whole else math.nextafter(high, math.inf)

    for end in (low, high):
        assert end == getattr(spec.rows.object({**spec.example, feature: end}), feature)
    for outside in (below, above, -1e9, 1e9):
        assert f"from {low:g} to {high:g}" in refusal(name, feature, outside)


@every_category
@pytest.mark.parametrize("value", ["Atlantis", 1, True, ["male"]], ids=repr)
def test_an_unknown_category_is_refused(name: str, feature: str, value: Any) -> None:
    """The allowed ones are listed."""
    message = refusal(name, feature, value)

    for allowed in kinds.categories(SPECS[name].inputs[feature]):
        assert allowed in message


@every_category
def test_every_category_is_taken_as_it_is_written(name: str, feature: str) -> None:
    """Each of the allowed ones is valid, also with blanks around it, but not in other letters."""
    spec = SPECS[name]

    for allowed in kinds.categories(spec.inputs[feature]):
        assert allowed == getattr(spec.rows.object({**spec.example, feature: allowed}), feature)
        refusal(name, feature, allowed.swapcase())
        assert allowed == getattr(spec.rows.object({**spec.example, feature: f" {allowed}\t"}), feature)


@every_feature
def test_null_and_absent_are_the_same(name: str, feature: str) -> None:
    """Where a value may be missing both ways to say so are valid; elsewhere neither is."""
    spec = SPECS[name]
    absent = {other: value for other, value in spec.example.items() if other != feature}

    if spec.inputs[feature].optional:
        assert getattr(spec.rows.object(absent), feature) is None
        assert getattr(spec.rows.object({**absent, feature: None}), feature) is None
    else:
        refusal(name, feature, None)
        with pytest.raises(InvalidInput, match=f"{feature}: is required"):
            spec.rows.object(absent)


@every_spec
def test_unknown_fields_are_refused(spec: Spec) -> None:
    """A field too many, or a misspelt one, is named, and so are those that there are."""
    with pytest.raises(InvalidInput) as refused:
        spec.rows.object({**spec.example, "colour": "red"})

    assert [["colour"]] == [item["loc"] for item in refused.value.detail]
    for feature in spec.inputs:
        assert feature in str(refused.value)


@every_spec
def test_a_list_of_values_is_told_the_names(spec: Spec) -> None:
    """Who sends the features by position learns their names."""
    with pytest.raises(InvalidInput) as refused:
        spec.rows.row(json.dumps(list(spec.example.values())).encode())

    for feature in spec.inputs:
        assert feature in str(refused.value)


@every_feature
def test_a_bad_value_in_a_batch_names_row_and_feature(name: str, feature: str) -> None:
    """The good rows before and after it are not mentioned."""
    spec = SPECS[name]
    rows = [spec.example, {**spec.example, feature: ["no such value"]}, spec.example]
    with pytest.raises(InvalidInput) as refused:
        spec.rows.rows(json.dumps(rows).encode(), 10)

    assert [[1, feature]] == [item["loc"] for item in refused.value.detail]


def test_the_catalog_is_in_alphabetical_order() -> None:
    """Specs stand under their names, which are those of their files."""
    files = sorted(path.stem for path in Path(catalog.__file__).parent.glob("[a-z]*.py"))

    assert files == list(SPECS) == [spec.name for spec in SPECS.values()]
    assert set(SHIPPED) <= set(SPECS)


def test_selecting_none_selects_all() -> None:
    """Named specs come in the order in which they were named."""
    assert list(SPECS) == [spec.name for spec in catalog.select([])]
    assert ["penguins", "iris"] == [spec.name for spec in catalog.select(["penguins", "iris"])]
    assert ["iris"] == [spec.name for spec in catalog.select(iter(["iris"]))]


def test_an_unknown_model_is_told_the_known_ones() -> None:
    """The message names what was asked for and what there is."""
    with pytest.raises(UnknownModel, match=f"'roses': the models are {', '.join(SPECS)}"):
        catalog.select(["iris", "roses"])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "SPEC = 1",
        "from models_store.catalog.iris import SPECS",
        "from models_store.catalog.iris import SPEC",
    ],
    ids=["empty", "no spec", "broken", "the name of another"],
)
def test_a_file_that_describes_no_model_is_named(content: str, tmp_path: Path) -> None:
    """A file of the catalog holds the spec of its own name, or it is broken; the others are loaded."""
    shutil.copytree(PROJECT / "models_store", tmp_path / "models_store")
    (tmp_path / "models_store" / "catalog" / "roses.py").write_text(content)
    code = "from models_store import catalog; print(*catalog.load(), *catalog.broken())"
    done = run(sys.executable, "-c", code, home=tmp_path, cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    assert [*SPECS, "roses"] == done.stdout.split()


def test_a_new_model_is_a_new_file(tmp_path: Path) -> None:
    """One file more in the catalog is one model more, with no other edit."""
    shutil.copytree(PROJECT / "models_store", tmp_path / "models_store")
    text = (PROJECT / "models_store" / "catalog" / "iris.py").read_text()
    (tmp_path / "models_store" / "catalog" / "lilies.py").write_text(text.replace('"iris"', '"lilies"'))
    code = "from models_store import catalog; print(*catalog.load())"
    done = run(sys.executable, "-c", code, home=tmp_path, cwd=tmp_path)

    assert [*sorted([*SPECS, "lilies"])] == done.stdout.split(), done.stderr


LILIES = (PROJECT / "models_store" / "catalog" / "iris.py").read_text().replace('"iris"', '"lilies"')
NAMES = "from models_store import catalog; print(catalog.FOLDER, *catalog.load())"


def python(code: str, cwd: Path, package: Path = PROJECT, **settings: Any) -> tuple[str, str]:
    """Run code in a process in a folder, with the package of another one; return output and last error."""
    code = f"import sys; sys.path.insert(0, {str(package)!r}); {code}"
    done = run(sys.executable, "-c", code, home=cwd / "home", cwd=cwd, **settings)
    return done.stdout.strip(), (done.stderr.splitlines() or [""])[-1]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of specs that belongs to no project."""
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "lilies.py").write_text(LILIES)
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package as it is installed: without specs."""
    ignored = shutil.ignore_patterns("__pycache__", *(f"{name}.py" for name in SPECS))
    shutil.copytree(PROJECT / "models_store", tmp_path / "package" / "models_store", ignore=ignored)
    return tmp_path / "package"


def test_the_setting_names_the_folder(outside: Path, tmp_path: Path) -> None:
    """Its specs are served, and ours are not; it may be relative."""
    for value in (outside, "specs"):
        assert (f"{outside} lilies", "") == python(NAMES, tmp_path, catalog=value)


def test_specs_of_any_folder_have_the_same_module_names(outside: Path, tmp_path: Path) -> None:
    """Pickles refer to them, and are loaded by a process that has not loaded the catalog."""
    pickled = tmp_path / "pickled"
    dump = "import pickle; from models_store.catalog import lilies;"
    dump += f"pickle.dump(lilies.load, open({str(pickled)!r}, 'wb'))"
    load = f"import pickle; print(pickle.load(open({str(pickled)!r}, 'rb')).__module__)"

    assert ("", "") == python(dump, tmp_path, catalog=outside)
    assert ("models_store.catalog.lilies", "") == python(load, tmp_path, catalog=outside)


def test_the_project_one_stands_in_is_the_default(package: Path, tmp_path: Path) -> None:
    """Or the nearest parent that has a catalog."""
    folder = tmp_path / "project" / "models_store" / "catalog"
    inside = tmp_path / "project" / "docs" / "pages"
    for each in (folder, inside):
        each.mkdir(parents=True)
    (folder / "lilies.py").write_text(LILIES)

    for where in (tmp_path / "project", inside):
        assert (f"{folder} lilies", "") == python(NAMES, where, package)


def test_elsewhere_an_installed_package_has_no_catalog(package: Path, tmp_path: Path) -> None:
    """It says so, and what to do."""
    assert (
        "",
        "models_store.errors.NoCatalog: no catalog here: go to the folder of a project, or set"
        " PREDICTION_CATALOG to a folder of specs",
    ) == python(NAMES, tmp_path, package)


def test_a_bento_serves_its_own_specs(package: Path, tmp_path: Path) -> None:
    """Also if the server is started in the folder of a project."""
    source = tmp_path / "bento" / "src"
    shutil.copytree(package, source)
    (tmp_path / "bento" / "bento.yaml").touch()
    own = source / "models_store" / "catalog"
    (own / "lilies.py").write_text(LILIES)

    assert (f"{own} lilies", "") == python(NAMES, PROJECT, source)


def test_a_project_of_its_own_may_have_an_empty_catalog(package: Path, tmp_path: Path) -> None:
    """It is found from the folders below too, and is not that of a clone around it."""
    project = tmp_path / "shop"
    inside = project / "catalog" / "data"
    inside.mkdir(parents=True)
    for name in ("service.py", "bentofile.yaml"):
        (project / name).touch()
    own = project / "catalog"
    words = f"{own} holds no spec: write one by `loop new`, or name a folder with a file for each model"

    for where in (project, inside):
        assert ("", f"models_store.errors.NoCatalog: {words}") == python(NAMES, where, package)
    (own / "lilies.py").write_text(LILIES)
    assert (f"{own} lilies", "") == python(NAMES, inside, package)


def test_a_folder_without_a_spec_is_named(tmp_path: Path) -> None:
    """By the variable."""
    (tmp_path / "empty").mkdir()
    remedy = "write one by `loop new`, or name a folder with a file for each model"
    words = f"PREDICTION_CATALOG: {tmp_path / 'empty'} holds no spec: {remedy}"

    assert ("", f"models_store.errors.NoCatalog: {words}") == python(NAMES, tmp_path, catalog="empty")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("\nSPEC = 1 +", ", line 2: SyntaxError: invalid syntax (lilies.py, line 2)"),
        ("import no_such_package", ", line 1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("\n\nSPEC = SPECS", ", line 3: NameError: name 'SPECS' is not defined"),
        ("SPEC = 1", ": it must define SPEC = Spec(name='lilies', ...)"),
        (
            LILIES.replace("low=0.1, high=30, example=5.1", "low=0.1, high=30, example=500"),
            ", line 42: lilies: features.sepal_length_cm: its example must be a number from 0.1 to 30 cm",
        ),
        ("import sys\nsys.exit(3)", ", line 2: SystemExit: 3"),
        ("class Mine(BaseException): ...\nraise Mine('a\\n\\nb')", ", line 2: Mine: a b"),
        (
            LILIES.replace("    target=", "    goal="),
            ", line 42: TypeError: Spec.__init__() got an unexpected keyword argument 'goal'",
        ),
        (
            LILIES.replace("    load=load,\n", ""),
            ": Spec() takes name, title, features, target, load, pipeline, gate, group, time, dialect",
        ),
        (LILIES.replace('"lilies"', '"lily"'), ": its SPEC has the name 'lily': give it the file's name"),
        (
            "from models_store.catalog.tulips import SPEC",
            ": its SPEC has the name 'tulips', which is the name of tulips.py: give it the file's name",
        ),
        ("SPEC = open('postgresql://me:secret@host/x')", "'postgresql://***@host/x'"),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_place(content: str, words: str, outside: Path) -> None:
    """The file, the line where there is one, what is wrong, and what to do; other files are loaded."""
    (outside / "lilies.py").write_text(content)
    (outside / "tulips.py").write_text(LILIES.replace('"lilies"', '"tulips"'))
    code = "from models_store import catalog; print(*catalog.load(), catalog.broken()['lilies'].reason)"

    told, error = python(code, outside.parent, catalog=outside)

    assert "" == error
    assert told.startswith("tulips specs/lilies.py")
    assert words in told
    missing = (
        "install the package in the environment of this command and of the server, and add it to"
        " requirements.txt"
    )
    assert told.endswith(": " + (missing if "no_such_package" in content else catalog.REMEDY))
    assert "\n" not in told
    assert "secret" not in told


def test_a_link_to_nothing_is_called_so(outside: Path) -> None:
    """Not a package that is missing."""
    (outside / "roses.py").symlink_to("nowhere.py")
    code = "from models_store import catalog; print(catalog.broken()['roses'].public)"

    assert ("roses.py: it is a link to a file that is missing", "") == python(
        code, outside.parent, catalog=outside
    )


def test_a_broken_file_is_run_once(outside: Path) -> None:
    """A file that fails after it has done something does not do it again in the same process."""
    (outside / "roses.py").write_text("print('here')\nraise ValueError")
    code = "from models_store import catalog; catalog.broken(); catalog.load(); print(*catalog.names())"

    assert ("here\nlilies roses", "") == python(code, outside.parent, catalog=outside)


def test_a_broken_package_is_told_with_its_line(outside: Path) -> None:
    """A spec may be a folder with an `__init__.py`."""
    (outside / "roses").mkdir()
    (outside / "roses" / "__init__.py").write_text("\nimport nothing_of_that_name")
    code = "from models_store import catalog; print(catalog.broken()['roses'].public)"

    told, _ = python(code, outside.parent, catalog=outside)

    assert told.startswith("__init__.py, line 2: ModuleNotFoundError: ")


def test_only_a_broken_model_is_not_selected(outside: Path) -> None:
    """The others are; the error of the broken one says why, and that of an unknown one lists all names."""
    (outside / "roses.py").write_text("raise ValueError('thorns')")
    code = (
        "from models_store import catalog; print([s.name for s in catalog.select({})]); catalog.demand({})"
    )

    chosen, error = python(code.format([], "'tulips'"), outside.parent, catalog=outside)
    _, refused = python(code.format(["roses"], "'roses'"), outside.parent, catalog=outside)

    assert "['lilies']" == chosen
    assert error.endswith("UnknownModel: there is no model 'tulips': the models are lilies, roses")
    assert "BrokenSpec: specs/roses.py, line 1: ValueError: thorns: correct the file" in refused


def test_data_beside_a_spec_is_copied_with_it(
    outside: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into another copy of the package, whose own specs go; caches and notes stay behind."""
    target = package / "models_store" / "catalog"
    (target / "tulips.py").touch()
    for name in ("own.csv", "own.parquet", "notes.md", ".hidden.csv", "__init__.py"):
        (outside / name).touch()
    (outside / "tables").mkdir()
    (outside / "tables" / "more.csv").touch()
    monkeypatch.setattr(catalog, "__path__", [str(outside)])

    catalog.copy_to(target)

    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert {"__init__.py", "lilies.py", "own.csv", "own.parquet", "tables/more.csv"} == found
    assert (target / "__init__.py").read_text() == Path(catalog.__file__).read_text()
