"""What a spec refuses to be, what it derives from its schema, and its way between rows and frames."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, Field

from models_store.errors import InvalidInput, InvalidSpec
from models_store.faults import RESERVED_NAMES
from models_store.features import feature
from models_store.features.category import Category
from models_store.features.number import Number
from models_store.spec import Columns, Features, GateRules, Spec, category, classes, number
from tests.servers import run


class Bread(Features):
    """One loaf: a number that must be there, one that may be missing, and both kinds of category."""

    mass_g: float = number("Mass", unit="g", low=100, high=2000, example=750)
    crumb: float | None = number("Pores", unit="", low=0, high=1, example=0.4, optional=True)
    flour: Literal["rye", "wheat"] = category("Main flour", example="rye")
    seeds: Literal["none", "poppy"] | None = category("Topping", example="poppy", optional=True)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return two loaves."""
    frame = pd.DataFrame(
        {"mass_g": [750, 500], "crumb": [0.4, None], "flour": ["rye", "wheat"], "seeds": ["none", None]}
    )
    return frame, pd.Series(["dark", "white"])


def pipeline(seed: int) -> Any:
    """Fit nothing: these specs are only looked at."""
    raise NotImplementedError(seed)


BREAD = Spec(
    name="bread",
    title="Colour of a loaf",
    features=Bread,
    target=classes("dark", "white"),
    load=load,
    pipeline=pipeline,
)


def schema(**fields: tuple[Any, Any]) -> type[Features]:
    """Make a feature schema from pairs of annotation and field."""
    annotations = {name: annotation for name, (annotation, _) in fields.items()}
    defaults = {name: field for name, (_, field) in fields.items()}
    return type("Made", (Features,), {"__annotations__": annotations, "__module__": __name__, **defaults})


def some_number(**changes: Any) -> Any:
    """Declare a number whose parts a test may change."""
    return number("Some", **{"unit": "cm", "low": 0, "high": 9, "example": 1, **changes})


def some_category(**changes: Any) -> Any:
    """Declare a category whose parts a test may change."""
    return category("Some", **changes)


def test_features_are_read_from_the_schema() -> None:
    """Order, unit, range, categories, example and the rule for missing values come from the schema."""
    assert ["mass_g", "crumb", "flour", "seeds"] == list(BREAD.inputs)
    assert {"mass_g": 750, "crumb": 0.4, "flour": "rye", "seeds": "poppy"} == BREAD.example
    mass, flour = BREAD.inputs["mass_g"], BREAD.inputs["flour"]
    assert isinstance(mass, Number)
    assert (100, 2000, "g") == (mass.low, mass.high, mass.unit)
    assert isinstance(flour, Category)
    assert ("rye", "wheat") == flour.categories
    assert {"mass_g": False, "crumb": True, "flour": False, "seeds": True} == {
        name: feature.optional for name, feature in BREAD.inputs.items()
    }
    assert GateRules() == BREAD.gate


def test_a_feature_says_what_it_expects_in_words() -> None:
    """The words hold the range with its unit, or the categories, and whether null is one of them."""
    assert {
        "mass_g": "a number from 100 to 2000 g",
        "crumb": "a number from 0 to 1 or null",
        "flour": "one of rye, wheat",
        "seeds": "one of none, poppy or null",
    } == {name: feature.expected for name, feature in BREAD.inputs.items()}


def test_the_schema_tells_its_readers_the_unit_and_the_rule_for_missing_values() -> None:
    """What the docs page shows of a feature has description, unit, range and example."""
    fields = Bread.model_json_schema()["properties"]

    assert "Mass, g" == fields["mass_g"]["description"]
    assert "Pores; may be missing" == fields["crumb"]["description"]
    assert [750] == fields["mass_g"]["examples"]
    assert "g" == fields["mass_g"]["unit"]
    assert (100, 2000) == (fields["mass_g"]["minimum"], fields["mass_g"]["maximum"])
    assert {"mass_g", "flour"} == set(Bread.model_json_schema()["required"])


@pytest.mark.parametrize(
    "name",
    ["", "Iris", "2iris", "_iris", "iris-2", "iris/x", "iris\n", "írisz", "iris x", "iris_", 51 * "i"],
)
def test_a_name_that_fits_no_route_is_refused(name: str) -> None:
    """Names are lower-case letters, digits and underscores, and fit the model store's tags."""
    with pytest.raises(InvalidSpec, match="lower-case"):
        replace(BREAD, name=name)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_the_name_of_a_route_is_refused(name: str) -> None:
    """A model can't take the place of a route that is the service's or BentoML's."""
    with pytest.raises(InvalidSpec, match="route"):
        replace(BREAD, name=name)


def test_the_classes_of_the_first_release_are_refused_with_a_remedy() -> None:
    """`classes=` is not accepted, as a keyword or in its place; the error has the new line."""
    facts = {"name": "bread", "title": "Colour", "features": Bread, "load": load, "pipeline": pipeline}
    remedy = re.escape("declare what it predicts by target=classes('dark', 'white'), imported from")

    with pytest.raises(InvalidSpec, match=f"bread: {remedy}"):
        Spec(classes=("dark", "white"), **facts)  # type: ignore[call-arg, arg-type]
    with pytest.raises(InvalidSpec, match=f"bread: target: {remedy}"):
        Spec(target=("dark", "white"), **facts)  # type: ignore[arg-type]


def test_faults_of_the_target_are_those_of_the_spec() -> None:
    """They stand beside the others, with their place."""
    with pytest.raises(InvalidSpec, match=r"bread: target: give two or more labels"):
        replace(BREAD, target=classes("dark"))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "has no field"),
        ({"a": (int, some_number())}, "goes with `float`, not with `int`: declare `int` with integer"),
        (
            {"a": (str, category("Some", example="x"))},
            "list the categories, .* or take any text by .* or text",
        ),
        (
            {"a": (bool, some_category(example=True))},
            "goes with `Literal.*`, not with `bool`: declare `bool` with flag",
        ),
        ({"a": (float, 1.0)}, "declare `float`"),
        ({"a": (float, some_number(low=9, high=0))}, "low is 9, which is above high, 0"),
        ({"a": (float, some_number(high=float("inf")))}, "finite numbers, not 0 and inf"),
        (
            {"a": (date, some_number())},
            "goes with `float`, not with `date`: declare `datetime` with moment",
        ),
        ({"a": (float, Field(ge=0, le=1))}, "declare `float` with number"),
        ({"a": (Literal["x", ""], category("Some", example="x"))}, "each category is a text"),
        ({"label": (float, some_number())}, "column of that name"),
        ({"probability_white": (float, some_number())}, "column of that name"),
        ({"a": (float | int | None, some_number(optional=True))}, "not with a union of several"),
        ({"a": (float, some_number(example=10))}, "its example must be"),
        ({"a": (float, some_number(example="1"))}, "its example must be"),
        ({"a": (float, some_number(example=None))}, "its example must be"),
        ({"a": (Literal["x", "y"], category("Some", example="z"))}, "its example must be"),
    ],
)
def test_a_schema_that_describes_no_model_is_refused(features: dict[str, Any], message: str) -> None:
    """Each feature is a float with a range or a choice of strings, and its example is valid."""
    with pytest.raises(InvalidSpec, match=f"bread.*{message}"):
        replace(BREAD, features=schema(**features))


def test_all_faults_of_a_spec_are_named_at_once() -> None:
    """Each has its place, in the sentence and in the detail; good features are checked beside bad ones."""
    features = schema(
        when=(date, some_number()),
        mass=(float, some_number(low=9, high=0)),
        size=(float, some_number(example=10)),
        good=(float, some_number()),
        flour=(Literal["rye", "oats"], category("Flour", example="wheat")),
    )
    rules: dict[str, Any] = {"metric": "auc", "recall_floor": -0.1}
    gate = GateRules(**rules)
    with pytest.raises(InvalidSpec) as refused:
        Spec("Bread", " ", features, ("white", "dark"), load, pipeline=None, gate=gate)  # type: ignore[arg-type]

    assert [
        ["name"],
        ["title"],
        ["target"],
        ["pipeline"],
        ["gate", "metric"],
        ["gate", "recall_floor"],
        ["features", "when"],
        ["features", "mass"],
        ["features", "size"],
        ["features", "flour"],
    ] == [item["loc"] for item in refused.value.detail]
    told = str(refused.value)
    assert told.startswith("Bread: 10 faults: (1) name: 'Bread' is no name of a model: use up to 50")
    assert "(9) features.size: its example must be a number from 0 to 9 cm; (10) features.flour: " in told
    assert "\n" not in told


@pytest.mark.parametrize("features", [None, dict, BaseModel, Bread(mass_g=750, flour="rye")])
def test_features_are_a_schema_of_ours(features: Any) -> None:
    """Something else is refused, and the remedy named."""
    with pytest.raises(InvalidSpec, match="bread: features: give a class derived from Features"):
        replace(BREAD, features=features)


@pytest.mark.parametrize(
    ("annotation", "field"),
    [
        (Literal[1, 2], some_category(example=1)),
        (float, some_number(optional=True)),
        (Literal["x", "y"], category("Some", example="x", optional=True)),
    ],
    ids=["categories that are numbers", "number without None", "category without None"],
)
def test_a_field_that_contradicts_itself_is_refused(annotation: Any, field: Any) -> None:
    """Categories are strings, and a feature that may be missing accepts null."""
    with pytest.raises(InvalidSpec, match=r"bread: features\.a: "):
        replace(BREAD, features=schema(a=(annotation, field)))


def test_a_row_is_parsed_from_json_and_from_objects_alike() -> None:
    """Both ways give the same row; an absent value that may be missing is None."""
    of_json = BREAD.rows.row(b'{"mass_g": 750, "flour": "rye", "seeds": null}')
    of_object = BREAD.rows.object({"mass_g": 750, "flour": "rye"})

    assert Bread(mass_g=750, crumb=None, flour="rye", seeds=None) == of_json == of_object


def test_integers_are_numbers() -> None:
    """JSON knows one kind of number, so 750 is 750.0."""
    assert 750.0 == BREAD.rows.row(b'{"mass_g": 750, "flour": "rye"}').model_dump()["mass_g"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 10_000, "the body is not JSON"),
        (b"[1, 2, 3, 4]", "send an object with the fields mass_g, crumb, flour, seeds"),
        (b"null", "send an object"),
        (b'"rye"', "send an object"),
        (b'{"mass_g": 750, "flour": "rye", "colour": 1}', "colour: unknown field; the fields are mass_g"),
        (b'{"mass_g": 750}', "flour: is required: one of rye, wheat"),
        (b'{"mass_g": 5, "flour": "rye"}', "mass_g: must be a number from 100 to 2000 g"),
        (b'{"mass_g": 750, "flour": "Rye"}', "flour: must be one of rye, wheat"),
        (
            b'{"mass_g": 750, "flour": "rye", "seeds": "sesame"}',
            "seeds: must be one of none, poppy or null",
        ),
        (b'{"mass_g": 750, "flour": "rye", "crumb": 2}', "crumb: must be a number from 0 to 1 or null"),
    ],
)
def test_the_error_of_a_wrong_row_is_in_plain_words(raw: bytes, message: str) -> None:
    """The message names the model, the field and what is expected, and no class of any library."""
    with pytest.raises(InvalidInput) as refused:
        BREAD.rows.row(raw)

    text = str(refused.value)
    assert text.startswith("invalid input for bread: ")
    assert message in text
    assert not [word for word in ("pydantic", "Bread", "Features", "http") if word in text]


def test_every_wrong_field_of_a_row_is_listed() -> None:
    """The message tells the first and how many more there are; the detail has all of them."""
    with pytest.raises(InvalidInput, match=r"\(and 2 more, see detail\)") as refused:
        BREAD.rows.object({"mass_g": "750", "crumb": True, "flour": None})

    assert [["mass_g"], ["crumb"], ["flour"]] == [item["loc"] for item in refused.value.detail]
    assert ["mass_g", "crumb", "flour"] == refused.value.features


def test_bad_rows_of_a_batch_are_named_by_their_index() -> None:
    """Good rows between them are not mentioned."""
    good, bad, other = b'{"mass_g": 750, "flour": "rye"}', b'{"mass_g": 1, "flour": "rye"}', b"3"
    with pytest.raises(InvalidInput, match=r"1\.mass_g: must be") as refused:
        BREAD.rows.rows(b"[" + b",".join([good, bad, good, other]) + b"]", 10)

    assert [[1, "mass_g"], [3]] == [item["loc"] for item in refused.value.detail]


@pytest.mark.parametrize("row", [b"1", b"null", b"[]", b'"rye"'])
def test_every_bad_row_of_a_batch_is_named(row: bytes) -> None:
    """Rows that are no objects are each named too, however many there are."""
    with pytest.raises(InvalidInput) as refused:
        BREAD.rows.rows(b"[" + b",".join([row] * 30) + b"]", 100)

    assert [[index] for index in range(30)] == [item["loc"] for item in refused.value.detail]


def test_a_batch_has_a_limit() -> None:
    """As many rows as the limit are parsed; one more is refused with the limit."""
    row = b'{"mass_g": 750, "flour": "rye"}'

    assert 3 == len(BREAD.rows.rows(b"[" + b",".join([row] * 3) + b"]", 3))
    with pytest.raises(InvalidInput, match="at most 3 rows in a batch"):
        BREAD.rows.rows(b"[" + b",".join([row] * 4) + b"]", 3)


@pytest.mark.parametrize("raw", [b"{}", b"1", b"null", b'{"mass_g": 750, "flour": "rye"}'])
def test_a_batch_that_is_no_array_is_refused(raw: bytes) -> None:
    """The error of an object says that an array is expected."""
    with pytest.raises(InvalidInput, match="send an array of rows"):
        BREAD.rows.rows(raw, 3)


def test_a_batch_full_of_errors_lists_the_first_hundred() -> None:
    """Validation ends there, so the answer comes in a moment."""
    with pytest.raises(InvalidInput, match="and more: detail has the first 100") as refused:
        BREAD.rows.rows(b"[" + b",".join([b"{}"] * 100_000) + b"]", 100_000)

    assert 100 == len(refused.value.detail)


def test_at_most_twenty_categories_are_named() -> None:
    """The message of a feature with many categories has the first of them, and how many there are."""
    of_many = Category(optional=True, categories=tuple(f"zip{number}" for number in range(2_000)))

    assert of_many.expected.startswith("one of zip0, zip1, ")
    assert of_many.expected.endswith(", zip19 and 1980 more or null")


def test_rows_become_columns() -> None:
    """Each feature has one list, in the order of the rows, None where a value is missing."""
    rows = [
        BREAD.rows.object({"mass_g": 750, "flour": "rye"}),
        BREAD.rows.object({"seeds": "poppy", "mass_g": 500, "flour": "wheat", "crumb": 0.5}),
    ]

    assert {
        "mass_g": [750, 500],
        "crumb": [None, 0.5],
        "flour": ["rye", "wheat"],
        "seeds": [None, "poppy"],
    } == BREAD.columns(rows)


def test_a_frame_takes_the_types_that_pipelines_expect() -> None:
    """Numbers are float64 with NaN and categories are of their own dtype, for all values."""
    columns: Columns = {
        "mass_g": [750, 500],
        "crumb": [None, None],
        "flour": ["rye", "rye"],
        "seeds": [None, "none"],
    }
    frame = BREAD.frame(columns)

    assert list(BREAD.inputs) == list(frame.columns)
    assert ["float64", "float64", "category", "category"] == [str(kind) for kind in frame.dtypes]
    assert frame["crumb"].isna().all()
    assert BREAD.columns_of(frame) == columns


@pytest.mark.parametrize(
    "missing",
    [
        pd.Series([None, 0.5], dtype="object"),
        pd.Series([float("nan"), 0.5], dtype="float64"),
        pd.Series([np.float32("nan"), 0.5], dtype="object"),
        pd.Series([pd.NaT, 0.5], dtype="object"),
        pd.Series([pd.NA, 0.5], dtype="object"),
        pd.Series([None, 0.5], dtype="Float64"),
    ],
    ids=["None", "NaN", "NaN of numpy", "NaT", "NA", "Float64"],
)
def test_every_way_to_write_a_missing_value_is_none(missing: pd.Series) -> None:
    """However pandas writes it, a missing value is None in the columns."""
    frame = load()[0].assign(crumb=missing)

    assert [None, 0.5] == BREAD.columns_of(frame)["crumb"]


@pytest.mark.parametrize("dtype", ["object", "str", "string", "category"])
def test_categories_may_have_any_dtype_of_pandas(dtype: str) -> None:
    """A dataset's strings are strings in the columns, and its missing ones None."""
    frame = load()[0]

    assert ["none", None] == BREAD.columns_of(frame.astype({"seeds": dtype}))["seeds"]


def test_random_rows_lie_in_the_physical_ranges() -> None:
    """Each of them is a valid row, and they fill the ranges from end to end."""
    columns = BREAD.random_columns(2000, np.random.default_rng(0))
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    assert 2000 == len([BREAD.rows.object(row) for row in rows])
    assert min(columns["mass_g"]) < 150
    assert max(columns["mass_g"]) > 1950
    assert {"rye", "wheat"} == set(columns["flour"])


def test_random_rows_miss_what_may_be_missing() -> None:
    """About one in ten optional values is None, the others never are, and the seed decides which."""
    columns = BREAD.random_columns(2000, np.random.default_rng(0))
    gone = {name: values.count(None) for name, values in columns.items()}

    assert (0, 0) == (gone["mass_g"], gone["flour"])
    assert 140 < gone["crumb"] < 260
    assert 140 < gone["seeds"] < 260
    assert columns == BREAD.random_columns(2000, np.random.default_rng(0))
    assert columns != BREAD.random_columns(2000, np.random.default_rng(1))


def test_nearby_rows_have_values_of_the_dataset_or_ones_next_to_them() -> None:
    """A number is a step of 32 or of 64 bits beside, an integer one more or less; others are as seen."""
    number = next(name for name, each in BREAD.inputs.items() if each.kind == "number")
    seen = BREAD.random_columns(50, np.random.default_rng(0))
    found = BREAD.nearby_columns(2000, np.random.default_rng(0), seen)

    assert set(found[number]) - set(seen[number])
    assert set(BREAD.inputs[number].span or ()) <= set(found[number])
    for name, each in BREAD.inputs.items():
        ends = [*each.span, 0.0] if each.span else []
        near = [value for old in [*seen[name], *ends] if old is not None for value in each.near(old)]
        assert set(found[name]) <= {*seen[name], *near}
    assert found == BREAD.nearby_columns(2000, np.random.default_rng(0), seen)


def test_the_serving_path_imports_neither_scikit_learn_nor_pandas(tmp_path: Path) -> None:
    """A process that loads the catalog and validates rows has not loaded what only training needs."""
    code = (
        "import sys; from models_store import catalog\n"
        "for spec in catalog.load().values(): spec.columns([spec.rows.object(spec.example)])\n"
        "print({'sklearn', 'pandas', 'scipy', 'bentoml'} & set(sys.modules))"
    )
    done = run(sys.executable, "-W", "error", "-c", code, home=tmp_path)

    assert ("", "set()\n") == (done.stderr, done.stdout)


def test_parsing_leaves_its_object_as_it_was() -> None:
    """Defaults are filled into the row, and not into what the caller gave."""
    raw = {"mass_g": 750, "flour": "rye"}
    BREAD.rows.object(raw)

    assert {"mass_g": 750, "flour": "rye"} == raw


def test_a_feature_may_have_another_name_in_files() -> None:
    """The header of its column; no two features are found in one column."""
    mass = number("Mass", unit="g", low=1, high=9, example=2, header="Mass (g)")
    width = number("Width", unit="m", low=1, high=9, example=2, header="width")

    spec = replace(BREAD, features=schema(mass_g=(float, mass), width=(float, width)))

    assert {"Mass (g)": "mass_g"} == spec.headers
    again = schema(mass_g=(float, mass), width=(float, replaced(width, header="mass_g")))
    with pytest.raises(InvalidSpec, match=r"features.width: its header 'mass_g' is that of mass_g"):
        replace(BREAD, features=again)
    wrong = schema(width=(float, replaced(width, header=3)))
    with pytest.raises(InvalidSpec, match="header is the name of a column, a text, not 3"):
        replace(BREAD, features=wrong)


def replaced(field: Any, **changes: Any) -> Any:
    """Return a declaration of a number with changes."""
    (mark,) = (each for each in field.metadata if isinstance(each, Number))
    return feature.field(replace(mark, **changes))
