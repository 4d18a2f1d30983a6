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
from prediction.retraining.datasets import Example
from prediction.retraining.splits import HOLDOUT_SHARE, Ranked, Split
from tests import kinds
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


@every_spec
def test_about_a_quarter_of_each_class_is_held_out(name: str) -> None:
    """In the catalog's datasets too: within four standard deviations of a draw for each row."""
    dataset = datasets.load(SPECS[name])
    labels = dataset.labels if kinds.predicts_classes(SPECS[name]) else ["a number"] * len(dataset.labels)
    held_out = [labels[row] for row in dataset.holdout]

    assert not set(dataset.training) & set(dataset.holdout)
    for kind, count in Counter(labels).items():
        deviation = (count * HOLDOUT_SHARE * (1 - HOLDOUT_SHARE)) ** 0.5
        assert abs(Counter(held_out)[kind] - count * HOLDOUT_SHARE) < 4 * deviation


def test_the_split_keeps_its_rows_from_release_to_release() -> None:
    """Otherwise a new version would be trained on rows with which older versions were measured."""
    dataset = datasets.load(SPECS["iris"])

    assert [0, 3, 10, 13, 20, 24] == dataset.holdout[:6]
    assert (120, 30) == (len(dataset.training), len(dataset.holdout))


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
        (no_file, "leaf: load() failed in test_datasets.py, line .*: FileNotFoundError: .*data/mine.csv"),
        (lambda: dict[str, Any]()["x"], "leaf: load() failed in .*, line .*: KeyError: 'x': it must"),
        (lambda: None, "leaf: load() returns NoneType: return two things, the rows and their labels"),
        (lambda: ([[1.0]], ["ash"]), "leaf: load() returns rows as list: return a pandas DataFrame"),
        (lambda: (spec_of(leaves(3)).load()[0], None), "leaf: load() returns labels as NoneType: return a"),
        (lambda: (spec_of(leaves(3)).load()[0].iloc[:0], []), "leaf: load() returns no rows"),
        (
            lambda: (pd.DataFrame([[1, 2, "plain"]], columns=["length_cm", "length_cm", "edge"]), ["ash"]),
            "the columns length_cm more than once",
        ),
        (lambda: (pd.DataFrame({"edge": ["plain"]}), ["ash"]), "lacks the columns length_cm"),
        (lambda: (spec_of(leaves(3)).load()[0], ["ash"]), "3 rows and 1 labels"),
        (spec_of([*leaves(60), (5000.0, "plain", "ash")]).load, "row 60 .* length_cm must be"),
        (spec_of([(1.0, "", "ash"), *leaves(60)]).load, "row 0 .* edge must be one of plain"),
    ],
    ids=[
        *("no file", "an error", "nothing", "no frame", "no labels", "no rows", "twice"),
        *("no column", "no label", "out of range", "missing"),
    ],
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

    assert len(dataset.training) > 120
    assert {1.0} == set(dataset.weights)


def test_the_rows_of_each_part_are_counted(specs: dict[str, Spec]) -> None:
    """Examples are counted as training rows too, from the first one on."""
    features = {name: item.example + 0.123 for name, item in specs["iris"].inputs.items()}

    dataset = datasets.load(specs["iris"], [Example("id-0", features, "setosa")])

    counts = {"training": 121, "of_feedback": 1, "holdout": 30, "feedback_holdout": 0, "repeated": 0}
    assert counts == dataset.count()


def test_a_repeated_example_counts_once(specs: dict[str, Spec]) -> None:
    """The same features with the same label are one row, even with many ids."""
    features = {name: item.example + 0.123 for name, item in specs["iris"].inputs.items()}
    same = [Example(f"id-{number}", features, "setosa") for number in range(50)]

    dataset = datasets.load(specs["iris"], same)

    fed = [row for row in dataset.training if row >= dataset.own_rows]
    assert len(fed) + len(dataset.feedback_holdout) == 1


def many(spec: Spec, count: int = 200) -> list[Example]:
    """Make examples of iris, no two alike, a second apart."""
    return [
        Example(
            f"id-{number}",
            {name: round(1 + number / 100, 3) for name in spec.inputs},
            spec.target.texts[number % 3],
            at_us=number * 1_000_000,
        )
        for number in range(count)
    ]


def fed(dataset: datasets.Dataset, rows: list[int]) -> set[int]:
    """Return which examples are among some rows."""
    return {row - dataset.own_rows for row in rows if row >= dataset.own_rows}


def test_an_example_is_split_by_its_features(specs: dict[str, Spec]) -> None:
    """Whatever its id is: the features of a held-out example are never trained on, now or later."""
    examples = many(specs["iris"])
    renamed = [replace(example, prediction_id=f"other-{example.prediction_id}") for example in examples]
    one, other = (datasets.load(specs["iris"], each) for each in (examples, renamed))

    assert one.feedback_holdout == other.feedback_holdout
    assert 25 < len(one.feedback_holdout) < 75


def test_by_time_the_latest_examples_are_held_out(specs: dict[str, Spec]) -> None:
    """A quarter, by the time of the prediction; a version is judged from its own cut on."""
    spec = replace(specs["iris"], time="sepal_length_cm")
    before = datasets.load(spec, many(spec, 100))
    after = datasets.load(spec, many(spec, 120), judged=before.split)

    assert {*range(75, 100)} == fed(before, before.feedback_holdout)
    assert {*range(90, 120)} == fed(after, after.feedback_holdout)
    assert 75_000_000 == before.split.feedback_cut_us
    assert set() == after.known
    assert {90, 91, 92} == fed(
        after,
        sorted(
            datasets.load(
                spec, many(spec, 120), judged=replace(before.split, feedback_cut_us=93_000_000)
            ).known
        ),
    )


def test_examples_of_a_group_stay_together(specs: dict[str, Spec]) -> None:
    """If the group is a feature, which predictions have; else they are split by all their features."""
    spec = replace(specs["iris"], group="sepal_width_cm")
    examples = [
        replace(example, features=example.features | {"sepal_width_cm": float(number % 20)})
        for number, example in enumerate(many(spec))
    ]
    dataset = datasets.load(spec, examples)
    held, learnt = (fed(dataset, rows) for rows in (dataset.feedback_holdout, dataset.training))

    assert not {row % 20 for row in held} & {row % 20 for row in learnt}
    assert 200 == len(held | learnt)


def test_examples_can_judge_without_being_learnt_from(specs: dict[str, Spec]) -> None:
    """`loop train` learns from the dataset alone; the same examples are held out, and the digest is its."""
    spec = specs["iris"]
    plain, learnt = datasets.load(spec), datasets.load(spec, many(spec))
    judged = datasets.load(spec, many(spec), learn=False)

    assert (plain.training, plain.digest) == (judged.training, judged.digest)
    assert plain.training_digest == judged.training_digest != learnt.training_digest
    assert learnt.feedback_holdout == judged.feedback_holdout


def test_examples_that_an_earlier_release_learnt_do_not_judge_it(specs: dict[str, Spec]) -> None:
    """It drew by the ids: of the examples that are held out now, it learnt from about three quarters."""
    dataset = datasets.load(specs["iris"], many(specs["iris"]), judged=Ranked(frozenset()))
    known = fed(dataset, sorted(dataset.known))

    assert set(dataset.holdout) < dataset.known
    assert known < fed(dataset, dataset.feedback_holdout)
    assert len(known) > len(dataset.feedback_holdout) / 2
    same = datasets.load(specs["iris"], many(specs["iris"]), judged=Split("hash", "", 0.25))
    assert set() == same.known


def test_the_digest_of_training_rows_ignores_what_is_held_out(specs: dict[str, Spec]) -> None:
    """New labels that are all held out, or that repeat known rows, bring nothing to learn."""
    spec = specs["iris"]
    first = datasets.load(spec, many(spec, 100))
    whole = datasets.load(spec, many(spec))
    held = [many(spec)[row] for row in fed(whole, whole.feedback_holdout)]
    repeated = [replace(example, prediction_id="again") for example in many(spec, 100)]
    second = datasets.load(spec, [*many(spec, 100), *repeated, *held])

    assert first.training_digest == second.training_digest
    assert first.digest != second.digest
    assert len(second.feedback_holdout) > len(first.feedback_holdout)
    assert second.repeated >= 100
    relabelled = [replace(example, label="setosa") for example in many(spec, 100)]
    assert first.training_digest != datasets.load(spec, relabelled).training_digest
