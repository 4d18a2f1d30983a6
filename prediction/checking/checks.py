"""All that can be said of a spec in seconds: its faults, each with its line, and how it would be served."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models_store import catalog, compiled, failures, pipelines
from models_store.errors import Error, InvalidSpec
from models_store.spec import Spec
from prediction.checking import places, rows
from prediction.checking.places import Places
from prediction.checking.rows import Seen
from prediction.retraining import datasets

RANDOM_ROWS = 200
"""For a first proof that a graph agrees; a training compares on many more."""


@dataclass(frozen=True)
class Finding:
    """A fault, and its line in the file, if it has one."""

    line: int | None
    words: str


@dataclass
class Check:
    """What was found out about one spec."""

    name: str
    file: Path
    faults: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(name: str) -> Check:
    """Check a spec: its schema, its rows, a fit on a sample, and whether that compiles."""
    found = Check(name, catalog.file(name))
    broken = catalog.broken().get(name)
    if broken is not None:
        found.faults = _of_broken(broken, places.parse(found.file))
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit on few rows warns of much that a training does not
        _check_rows(catalog.load()[name], found)
    return found


def _of_broken(broken: catalog.Broken, parsed: Places | None) -> list[Finding]:
    """List the faults of a file that has no spec, with the line of each."""
    if parsed is None:
        return [Finding(broken.line, broken.told)]
    if broken.detail:
        return [
            Finding(parsed.line(each["loc"]), f"{'.'.join(map(str, each['loc']))}: {each['msg']}")
            for each in broken.detail
        ]
    wrong = [Finding(line, words) for line, words in parsed.wrong_calls()]
    known = {each.line for each in wrong}
    return sorted(
        [*wrong, *([] if broken.line in known else [Finding(broken.line, broken.told)])],
        key=lambda each: each.line or 0,
    )


def _check_rows(spec: Spec, found: Check) -> None:
    try:
        X, y = datasets.loaded(spec)
    except InvalidSpec as error:
        found.faults.append(_of_function(spec, spec.load, error))
        return
    try:
        seen = rows.look(spec, X, y)
    except (Error, TypeError, ValueError) as error:
        found.faults.append(_of_function(spec, spec.load, error))
        return
    line = _first_line(spec.load)
    found.faults += [Finding(line, f"load(): {words}") for words in seen.faults]
    found.notes.append(f"{len(spec.inputs)} features, {seen.checked} of {len(X)} rows checked")
    if not seen.faults:
        _check_split(replace(spec, load=lambda: (X, y)), spec, found)
    _check_fit(spec, seen, found)


def _check_split(given: Spec, spec: Spec, found: Check) -> None:
    try:
        dataset = datasets.load(given)
    except Error as error:
        found.faults.append(_of_function(spec, spec.load, error))
        return
    if not dataset.holdout:
        words = "no row of load() can be held out to judge by: give at least two different rows of a class"
        found.faults.append(Finding(_first_line(spec.load), words))


def _check_fit(spec: Spec, seen: Seen, found: Check) -> None:
    columns, labels = rows.sample(spec, seen)
    if not labels:
        return
    try:
        pipeline = pipelines.fit(spec, 0, columns, labels, [1.0] * len(labels))
        pipelines.checked(pipeline, spec, columns, "a sample of its rows")
        graph = compiled.build(pipeline, spec, columns, 0, labels=labels, random_rows=RANDOM_ROWS)
    except InvalidSpec as error:
        found.faults.append(_of_function(spec, spec.pipeline, error))
        return
    served = "onnx" if graph.onnx is not None else "scikit-learn, because no graph agrees"
    found.notes.append(f"fitted on {len(labels)} rows; served by {served} ({graph.reason})")


def _of_function(spec: Spec, function: Callable[..., Any], error: Exception) -> Finding:
    """Return the fault of a function of a spec, with the line of the exception, or of the function."""
    raised = failures.line(failures.root(error), failures.file_of(function))
    return Finding(raised or _first_line(function), str(error).removeprefix(f"{spec.name}: "))


def _first_line(function: Callable[..., Any]) -> int | None:
    return getattr(getattr(function, "__code__", None), "co_firstlineno", None)
