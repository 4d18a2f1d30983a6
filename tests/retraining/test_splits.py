"""The rules of the split: what is held out, and what stays where it is when rows are added."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store import catalog
from models_store.errors import InvalidSpec
from models_store.spec import Spec
from prediction.retraining import datasets, fingerprints, splits
from prediction.retraining.splits import HOLDOUT_SHARE, Point, Ranked, Rule, Split
from tests.leaves import leaves, spec_of

KEYS = [splits.group_key(number) for number in range(40)]

labelled = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from("abc")), min_size=1, max_size=60)
timed = st.lists(st.tuples(st.integers(0, 30).map(float), st.sampled_from("abc")), min_size=1, max_size=60)


def by_hash(rows: list[tuple[str, str]]) -> tuple[Split, list[Point]]:
    """Split rows, given as key and label."""
    points = [splits.hashed(key) for key, _ in rows]
    return splits.make("hash", "", points, [label for _, label in rows]), points


def by_time(rows: list[tuple[float, str]]) -> tuple[Split, list[Point]]:
    """Split rows, given as time and label."""
    points = [Point(repr(at), at) for at, _ in rows]
    return splits.make("time", "at", points, [label for _, label in rows]), points


def keys_of(rows: list[Any]) -> dict[str, set[str]]:
    """Return the keys of each class."""
    found = defaultdict[str, set[str]](set)
    for key, label in rows:
        found[label].add(key if isinstance(key, str) else repr(key))
    return found


@settings(deadline=None)
@given(labelled, labelled)
def test_a_row_stays_on_its_side_when_rows_are_added(
    rows: list[tuple[str, str]], more: list[tuple[str, str]]
) -> None:
    """The hash of a row alone says its side; only the exceptions that a split notes may change theirs."""
    (before, points), (after, _) = by_hash(rows), by_hash(rows + more)
    exceptions = {*before.trained, *before.held, *after.trained, *after.held}

    for point in points:
        if point.key not in exceptions:
            assert before.holds(point) == after.holds(point) == (point.at < HOLDOUT_SHARE)


@settings(deadline=None)
@given(labelled)
def test_a_class_has_an_exception_only_while_its_hashes_are_on_one_side(
    rows: list[tuple[str, str]],
) -> None:
    """So a class with hashes on both sides causes none any more, however it grows; a class causes one."""
    split, _ = by_hash(rows)
    one_sided = [
        keys
        for keys in keys_of(rows).values()
        if len({splits.hashed(key).at < HOLDOUT_SHARE for key in keys}) == 1
    ]

    assert len(split.trained) + len(split.held) <= len(one_sided)
    for key in (*split.trained, *split.held):
        assert any(key in keys for keys in one_sided)


@settings(deadline=None)
@given(labelled)
def test_each_class_is_trained_on_and_held_out_where_possible(rows: list[tuple[str, str]]) -> None:
    """If not: it has one key, or each key is the last of some class, or one was kept for such a class."""
    split, points = by_hash(rows)
    out = {point.key for point in points if split.holds(point)}
    classes = keys_of(rows)

    for keys in classes.values():
        assert keys - out
        if not keys & {*out, *split.trained} and len(keys) > 1:
            others = [other for other in classes.values() if other & keys]
            assert all(any(len(other - out) == 1 and key in other for other in others) for key in keys)


@settings(deadline=None)
@given(timed)
def test_time_holds_out_the_latest_rows_of_each_class(rows: list[tuple[float, str]]) -> None:
    """No row before the cut is held out; each class has a row to learn from, if need be its earliest."""
    split, points = by_time(rows)
    out = {point.key for point in points if split.holds(point)}

    assert all(point.at >= split.cut for point in points if point.key in out)
    for label, keys in keys_of(rows).items():
        earliest = min(at for at, name in rows if name == label)
        assert keys - out
        assert earliest < split.cut or repr(earliest) in split.trained
    assert () == split.held


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000).map(float), min_size=4, max_size=100, unique=True))
def test_the_latest_quarter(moments: list[float]) -> None:
    """Of moments that differ, a quarter is held out, rounded down; later rows only move the cut forward."""
    cut = splits.latest_quarter(moments)

    assert len(moments) // 4 == sum(moment >= cut for moment in moments)
    assert cut <= splits.latest_quarter([*moments, max(moments) + 1, max(moments) + 2])


@pytest.mark.parametrize(
    ("moments", "cut"),
    [
        ([1, 2, 2, 2], 2),
        ([1, 1, 1, 2, 2, 3, 3, 3, 3], 3),
        ([1, 1, 1, 1, 2, 2, 2, 3], 3),
        ([1, 1], 2),
        ([], 1),
    ],
)
def test_rows_of_one_moment_stay_together(moments: list[float], cut: float) -> None:
    """At most a quarter is held out, but the latest moment in any case, unless it is the only one."""
    assert cut == splits.latest_quarter(moments)


def test_a_split_can_be_read_from_its_note() -> None:
    """What BentoML's metadata leaves out, nulls, is null again."""
    for split in (
        Split("hash", "", 0.25, ("a",), ("b", "c")),
        Split("time", "at", 12.5, feedback_cut_us=7),
        Split("group", "herd", 0.25),
    ):
        note = {name: value for name, value in split.as_note().items() if value is not None}
        assert split == splits.read_note(note)


def grouped(values: list[Any], dtype: str = "object", rule: Rule = "group") -> list[Point]:
    """Return where rows stand by a column."""
    return splits.points(rule, pd.Series(values, dtype=dtype, name="herd"), [KEYS[0]] * len(values))


def test_a_group_has_one_key_whatever_type_its_column_got() -> None:
    """One gap makes floats of a column of integers; a row without a group stands by its features."""
    one, other = grouped([7, 8], "int64"), grouped([7, None], "float64")

    assert one[0] == other[0] != one[1]
    assert splits.hashed(KEYS[0]) == other[1]
    assert grouped(["a"]) != grouped(["b"])


def test_times_are_numbers_dates_or_iso_texts() -> None:
    """Dates and texts of one moment stand at the same place, in microseconds since 1970."""
    texts = grouped(["2026-01-31T13:00:00+01:00", "2026-01-31"], rule="time")
    dates = grouped(["2026-01-31 12:00", "2026-01-31"], "datetime64[ns]", rule="time")

    assert texts == dates
    assert 1769860800e6 == texts[0].at
    assert [1999.0, 2001.0] == [point.at for point in grouped([1999, 2001], "int64", rule="time")]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["2026-01-31", None], "row 1 of load\\(\\): taken is missing, and Spec\\(time=\\) names it"),
        (["soon", "later"], "the values of taken must be numbers, dates, or texts such as 2026-01-31T12"),
        ([True, False], "the values of taken must be numbers, dates"),
    ],
)
def test_a_column_without_times_is_refused(values: list[Any], words: str) -> None:
    """The error names the spec, the column and the argument of the spec."""
    with pytest.raises(InvalidSpec, match=f"leaf: .*{words}"):
        datasets.load(spec_with("taken", values * 30, time="taken"))


def spec_with(column: str, values: list[Any], **named: Any) -> Spec:
    """Make a spec of leaves whose frame has one column more."""
    spec = spec_of(leaves(len(values)))

    def load() -> Any:
        X, y = spec.load()
        return X.assign(**{column: values}), y

    return replace(spec, load=load, **named)


def test_a_group_is_held_out_whole() -> None:
    """The trees of one plot are not on both sides; the column need not be a feature."""
    plots = [f"plot {number // 5}" for number in range(120)]
    dataset = datasets.load(spec_with("plot", plots, group="plot"))
    held, trained = ({plots[row] for row in rows} for rows in (dataset.holdout, dataset.training))

    assert ("group", "plot") == (dataset.split.rule, dataset.split.column)
    assert not held & trained
    assert 24 == len(held | trained)
    assert held


def test_the_latest_rows_are_held_out() -> None:
    """A quarter, whatever the order of the rows, and the version notes from when on."""
    years = [2000 + (7 * number) % 40 for number in range(120)]
    dataset = datasets.load(spec_with("year", years, time="year"))

    assert {*range(2030, 2040)} == {years[row] for row in dataset.holdout}
    assert 2030 == dataset.split.cut


def test_a_column_that_is_not_there_is_named() -> None:
    """It is looked for among the columns of load()."""
    with pytest.raises(InvalidSpec, match=r"leaf: .* lacks the columns plot"):
        datasets.load(replace(spec_of(leaves(30)), group="plot"))


def ranked_holdout(hashes: list[str], labels: list[str]) -> list[int]:
    """Choose rows as releases before did: the quarter of each class with the smallest hashes."""
    chosen: set[str] = set()
    for name in set(labels):
        of_class = sorted(row for row, label in zip(hashes, labels, strict=True) if label == name)
        chosen.update(of_class[: round(len(of_class) * HOLDOUT_SHARE)])
    return [row for row, digest in enumerate(hashes) if digest in chosen]


@settings(deadline=None, max_examples=50)
@given(st.integers(20, 150), st.integers(0, 150), st.data())
def test_an_earlier_release_is_judged_by_rows_that_it_surely_held_out(
    count: int, more: int, data: st.DataObject
) -> None:
    """Its cut is not known any more, but it lies above its golden requests; the dataset may have grown."""
    rows = leaves(count + more)
    data.draw(st.randoms(use_true_random=False)).shuffle(rows)
    spec = spec_of(rows)
    columns, labels = spec.columns_of(spec.load()[0]), [label for *_, label in rows]
    hashes = fingerprints.plain(columns)
    held = ranked_holdout(hashes[:count], labels[:count])
    golden = frozenset(hashes[row] for row in data.draw(st.permutations(held))[:8])

    proven = Ranked(golden).proves(hashes, labels)

    trained = {hashes[row] for row in set(range(count)) - set(held)}
    assert golden <= {row for row, is_proven in zip(hashes, proven, strict=True) if is_proven}
    assert not trained & {row for row, is_proven in zip(hashes, proven, strict=True) if is_proven}


@pytest.mark.parametrize("name", ["iris", "penguins"])
def test_the_rows_that_are_proven_are_most_of_the_holdout(name: str) -> None:
    """Versions of earlier releases can be judged, and not only by their golden requests."""
    spec = catalog.load()[name]
    plain = datasets.load(spec)
    hashes = fingerprints.plain(plain.columns)
    golden = []
    for label in spec.target.texts:
        held = [row for row in ranked_holdout(hashes, plain.labels) if plain.labels[row] == label]
        golden += [hashes[row] for row in held[:4]]

    dataset = datasets.load(spec, judged=Ranked(frozenset(golden)))

    assert len(dataset.holdout) - len(dataset.known) > len(dataset.holdout) / 2


def test_a_champion_is_not_judged_by_rows_that_it_was_trained_on() -> None:
    """Another rule, an earlier cut, or a column that is gone: what the champion may know is `known`."""
    years = [2000 + number % 40 for number in range(120)]
    spec = spec_with("year", years, time="year")
    by_features = datasets.load(spec, judged=Split("hash", "", 0.25))
    later = datasets.load(spec, judged=Split("time", "year", 2035.0))
    gone = datasets.load(spec, judged=Split("group", "plot", 0.25))
    same = datasets.load(spec, judged=by_features.split)

    plain = datasets.load(replace(spec, time=None))
    assert set(by_features.holdout) - set(plain.holdout) == by_features.known
    assert {2030, 2031, 2032, 2033, 2034} == {years[row] for row in later.known}
    assert set(gone.holdout) == gone.known
    assert set() == same.known


def test_moved_exceptions_are_known() -> None:
    """A small class grows: the row that was trained on for its sake is held out now, and does not judge."""
    below = [key for key in KEYS if splits.hashed(key).at < HOLDOUT_SHARE]
    small = sorted(below, key=lambda key: splits.hashed(key).at)[:3]
    for one, two in pairwise(small):
        before, _ = by_hash([(one, "a"), *((key, "b") for key in KEYS if key not in small)])
        after, _ = by_hash([(one, "a"), (two, "a"), *((key, "b") for key in KEYS if key not in small)])

        assert ((one,), (two,)) == (before.trained, after.trained)
        assert after.holds(splits.hashed(one))
        assert not before.holds(splits.hashed(one))
