"""The rows of `load()` against the schema: the first bad ones, and a sample of the good ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models_store.errors import InvalidInput, InvalidSpec
from models_store.spec import Columns, Spec

MOST = 10
"""Bad rows that are listed."""

SECONDS = 2.0
"""Rows are validated no longer than this."""

SAMPLE_ROWS = 300


@dataclass(frozen=True)
class Seen:
    """What was seen of the rows.

    Parameters
    ----------
    faults
        The first bad rows and labels; no more than `MOST`.
    checked
        How many rows were validated.
    good
        The numbers of those without a fault.
    """

    faults: list[str]
    checked: int
    good: list[int]
    columns: Columns
    labels: list[str]


def look(spec: Spec, X: Any, y: Any) -> Seen:
    """Validate rows and labels as a training does, but go on after a fault."""
    columns, labels = spec.columns_of(X), y.tolist() if hasattr(y, "tolist") else list(y)
    end = time.monotonic() + SECONDS
    faults: list[str] = []
    good: list[int] = []
    texts: list[str] = []
    number = -1
    for number, values in enumerate(zip(*columns.values(), strict=True)):
        found, text = _faults(spec, dict(zip(columns, values, strict=True)), labels[number])
        faults += [f"row {number}: {each}" for each in found]
        texts.append(text)
        if not found:
            good.append(number)
        if len(faults) >= MOST or (number % 1000 == 0 and time.monotonic() > end):
            break
    return Seen(faults[:MOST], number + 1, good, columns, texts)


def _faults(spec: Spec, row: dict[str, Any], label: Any) -> tuple[list[str], str]:
    """Return what is wrong with a row, and its label as a canonical text."""
    found = []
    try:
        spec.rows.object(row)
    except InvalidInput as error:
        found += [f"{'.'.join(map(str, each['loc']))} {each['msg']}" for each in error.detail]
    try:
        (text,) = spec.target.read([label])
    except InvalidSpec as error:
        return [*found, str(error).removeprefix("row 0 of load(): ")], ""
    return found, text


def sample(spec: Spec, seen: Seen) -> tuple[Columns, list[str]]:
    """Choose good rows, as they would be read: as many of each stratum, the first ones."""
    strata = spec.target.strata([seen.labels[row] for row in seen.good]) if seen.good else []
    share = max(2, SAMPLE_ROWS // max(1, len(set(strata))))
    counts: dict[Any, int] = {}
    chosen = []
    for row, stratum in zip(seen.good, strata, strict=True):
        counts[stratum] = counts.get(stratum, 0) + 1
        if counts[stratum] <= share:
            chosen.append(row)
    return _read(spec, seen.columns, chosen), [seen.labels[row] for row in chosen]


def _read(spec: Spec, columns: Columns, rows: Sequence[int]) -> Columns:
    """Return rows as a training validates them: a moment, for example, becomes a text."""
    chosen = [{name: values[row] for name, values in columns.items()} for row in rows]
    return spec.columns([spec.rows.object(each) for each in chosen])
