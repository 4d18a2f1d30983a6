"""Which rows are trained on and which are held out; feedback beside the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store import catalog
from models_store.errors import InvalidSpec
from models_store.spec import Spec
from prediction.retraining import datasets
from prediction.retraining.datasets import HOLDOUT_SHARE, Example
from tests.leaves import Row, leaves, rows_of, spec_of

SPECS = catalog.load()

every_spec = pytest.mark.parametrize("name", list(SPECS))


rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 30).map(float)),
        st.sampled_from(["plain", "toothed"]),
        st.sampled_from(["ash", "oak", "yew"]),
    ),
    min_size=1,
    max_size=150,
)


@settings(deadline=None, max_examples=50)
@given(rows)
def test_every_row_is_either_trained_on_or_held_out(data: list[Row]) -> None:
    """The two parts share no row, and together they are the dataset."""
    dataset = datasets.load(spec_of(data))

    assert list(range(len(data))) == sorted(dataset.training + dataset.holdout)
    assert sorted(data, key=repr) == sorted(
        rows_of(dataset, dataset.training) + rows_of(dataset, dataset.holdout), key=repr
    )


@settings(deadline=None, max_examples=50)
@given(rows)
def test_rows_with_the_same_features_are_in_one_part(data: list[Row]) -> None:
    """No held-out row has the features of a row that is trained on, even if the labels differ."""
    dataset = datasets.load(spec_of(data))
    held_out = {row[:2] for row in rows_of(dataset, dataset.holdout)}

    assert not held_out & {row[:2] for row in rows_of(dataset, dataset.training)}


@settings(deadline=None, max_examples=50)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_move_the_split(data: list[Row], random: Any) -> None:
    """A shuffled dataset holds out the same rows."""
    shuffled = list(data)
    random.shuffle(shuffled)
    one, other = datasets.load(spec_of(data)), datasets.load(spec_of(shuffled))

    assert Counter(rows_of(one, one.holdout)) == Counter(rows_of(other, other.holdout))


@settings(deadline=None, max_examples=30)
@given(st.integers(4, 200))
def test_each_class_is_held_out_by_its_share(count: int) -> None:
    """If no two rows have the same features, the holdout has exactly its share of each class."""
    data = leaves(count * 3)
    dataset = datasets.load(spec_of(data))
    distinct = len({row[:2] for row in data}) == len(data)
    _, labels = dataset.part(dataset.holdout)

    for kind in ("ash", "oak", "yew"):
        assert not distinct or round(count * HOLDOUT_SHARE) == Counter(labels)[kind]


@every_spec
def test_the_holdout_is_stratified(name: str) -> None:
    """In the catalog's datasets too; rows with the same features may change the share by two rows."""
    dataset = datasets.load(SPECS[name])
    _, held_out = dataset.part(dataset.holdout)

    assert not set(dataset.training) & set(dataset.holdout)
    for kind, count in Counter(dataset.labels).items():
        assert abs(Counter(held_out)[kind] - count * HOLDOUT_SHARE) <= 2


def test_the_split_keeps_its_rows_from_release_to_release() -> None:
    """Otherwise a new version would be trained on rows with which older versions were measured."""
    dataset = datasets.load(SPECS["iris"])

    assert [0, 2, 3, 10, 13, 20] == dataset.holdout[:6]
    assert (114, 36) == (len(dataset.training), len(dataset.holdout))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[1:],
        lambda data: [*data, data[0]],
        lambda data: [(1.5, *data[0][1:]), *data[1:]],
        lambda data: [(*data[0][:2], "oak"), *data[1:]],
        lambda data: [(data[0][0], "toothed", "ash"), *data[1:]],
        lambda data: [data[0], (None, *data[1][1:]), *data[2:]],
    ],
    ids=["a row less", "a row more", "a number", "a label", "a category", "a value missing"],
)
def test_the_digest_tells_datasets_apart(change: Callable[[list[Row]], list[Row]]) -> None:
    """It is a SHA-256 of all values and labels; the same data has the same digest."""
    data = leaves(30)
    digest = datasets.load(spec_of(data)).digest

    assert 64 == len(digest)
    assert digest == datasets.load(spec_of(leaves(30))).digest
    assert digest != datasets.load(spec_of(change(data))).digest


def no_file() -> Any:
    """Read a file that does not exist."""
    return pd.read_csv("data/mine.csv")


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (no_file, "leaf: load() can't read its data: .*data/mine.csv"),
        (lambda: (pd.DataFrame({"edge": ["plain"]}), ["ash"]), "lacks the columns length_cm"),
        (lambda: (spec_of(leaves(3)).load()[0], ["ash"]), "3 rows and 1 labels"),
        (spec_of([*leaves(60), (5000.0, "plain", "ash")]).load, "row 60 .* length_cm must be"),
        (spec_of([(1.0, "", "ash"), *leaves(60)]).load, "row 0 .* edge must be one of plain"),
    ],
    ids=["no file", "no column", "no label", "out of range", "missing"],
)
def test_a_dataset_that_does_not_match_the_spec_is_refused(load: Callable[[], Any], words: str) -> None:
    """Rows that the service would refuse are not trained on; the row and the feature are named."""
    with pytest.raises(InvalidSpec, match=words.replace("(", r"\(").replace(")", r"\)")):
        datasets.load(replace(spec_of(leaves(60)), load=load))


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("iris", "fe82f1a32300a407355cec39d5176af6b1f42d7921e7d4665560f79585e38aba"),
        ("penguins", "26edb3a73901ef111af1db46e7cc978ddc7d6987dcd0c43baea5661605470bb7"),
    ],
)
def test_the_digest_is_the_same_from_release_to_release(name: str, digest: str) -> None:
    """The ledger keeps digests: the same rows must have the same digest later."""
    assert digest == datasets.load(SPECS[name]).digest


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("iris", "f3f95c94850950af66661f8d8eadd72b1d6946e6e0e5fcd84f9ad03880851afe"),
        ("penguins", "006dc666857961d9e32902c74dca5b49cc2fdb75a045305370911a0217d0a6be"),
    ],
)
def test_the_digest_with_examples_is_the_same_from_release_to_release(name: str, digest: str) -> None:
    """The digest covers examples as well, and a missing value of an example is a null."""
    spec = SPECS[name]
    features = {name: value for name, value in spec.example.items() if not spec.inputs[name].optional}
    examples = [Example(f"id-{number}", features, spec.target.texts[number % 3]) for number in range(5)]

    assert digest == datasets.load(spec, examples).digest


def test_many_examples_weigh_no_more_than_the_dataset(specs: dict[str, Spec]) -> None:
    """Each weighs min(1, dataset rows / examples), so that together they are not a majority."""
    spec = specs["iris"]
    flood = [
        Example(
            f"id-{number}",
            {name: round(1 + number / 100, 3) for name in spec.inputs},
            spec.target.texts[number % 3],
        )
        for number in range(2000)
    ]

    dataset = datasets.load(spec, flood)

    own = [w for row, w in zip(dataset.training, dataset.weights, strict=True) if row < dataset.own_rows]
    fed = [w for row, w in zip(dataset.training, dataset.weights, strict=True) if row >= dataset.own_rows]
    assert {1.0} == set(own)
    assert len(fed) > 1000
    assert abs(sum(fed) - sum(own)) < 1e-6


def test_examples_with_the_features_of_a_held_out_row_are_never_trained_on(specs: dict[str, Spec]) -> None:
    """Their ids do not matter."""
    spec = specs["iris"]
    plain = datasets.load(spec)
    held = plain.part(plain.holdout)[0]
    copies = [
        Example(f"copy-{row}", {name: values[row] for name, values in held.items()}, "setosa")
        for row in range(len(plain.holdout))
    ]

    dataset = datasets.load(spec, copies)

    learnt = [row for row in dataset.training if row >= dataset.own_rows]
    assert [] == learnt
    assert plain.holdout == dataset.holdout
    assert plain.training == dataset.training


def test_an_example_that_repeats_a_row_of_the_dataset_is_not_used(specs: dict[str, Spec]) -> None:
    """The row is already there; with another label it is new."""
    spec = specs["iris"]
    plain = datasets.load(spec)
    columns, labels = plain.part(plain.training[:20])

    def copies(label: str | None) -> list[Example]:
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [Example(f"copy-{number}", row, label or labels[number]) for number, row in enumerate(rows)]

    assert plain.training == datasets.load(spec, copies(label=None)).training
    assert len(plain.training) < len(datasets.load(spec, copies("virginica")).training)


def test_few_examples_weigh_as_much_as_rows_of_the_dataset(specs: dict[str, Spec]) -> None:
    """A weight is never more than 1."""
    features = {name: item.example + 0.123 for name, item in specs["iris"].inputs.items()}
    few = [
        Example(f"id-{number}", features | {"petal_width_cm": 0.3 + number / 100}, "setosa")
        for number in range(10)
    ]

    dataset = datasets.load(specs["iris"], few)

    assert len(dataset.training) > 114
    assert {1.0} == set(dataset.weights)


def test_the_rows_of_each_part_are_counted(specs: dict[str, Spec]) -> None:
    """Examples are counted as training rows too, from the first one on."""
    features = {name: item.example + 0.123 for name, item in specs["iris"].inputs.items()}

    dataset = datasets.load(specs["iris"], [Example("id-0", features, "setosa")])

    counts = {"training": 115, "of_feedback": 1, "holdout": 36, "feedback_holdout": 0}
    assert counts == dataset.count()


def test_a_repeated_example_counts_once(specs: dict[str, Spec]) -> None:
    """The same features with the same label are one row, even with many ids."""
    features = {name: item.example + 0.123 for name, item in specs["iris"].inputs.items()}
    same = [Example(f"id-{number}", features, "setosa") for number in range(50)]

    dataset = datasets.load(specs["iris"], same)

    fed = [row for row in dataset.training if row >= dataset.own_rows]
    assert len(fed) + len(dataset.feedback_holdout) == 1
