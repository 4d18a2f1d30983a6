"""Labels: texts, integers or booleans, their canonical texts, and which of them a spec may declare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models_store import faults

Label = str | int | bool

MAX_LABEL = 255
"""Characters of a text: the journal's columns are so wide."""

MAX_INTEGER = 2**53
"""Every JSON reader reads integers up to this one exactly."""

KINDS: dict[type, str] = {str: "texts", bool: "booleans", int: "integers"}


def text_of(label: Label) -> str:
    """Return the canonical text of a label."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def shown(labels: Iterable[Label]) -> str:
    """Write labels as Python does."""
    return ", ".join(f'"{label}"' if isinstance(label, str) else str(label) for label in labels)


def of_labels(labels: tuple[Any, ...]) -> list[str]:
    """Check the labels of a target."""
    if len(labels) == 1 and isinstance(labels[0], list | tuple):
        return [f"write the labels without brackets: classes({shown(labels[0])})"]
    if len({type(label) for label in labels}) > 1 or not {type(label) for label in labels} <= {*KINDS}:
        return ["give labels that are all texts, all integers or all booleans"]
    words = faults.of_repeats(labels)
    if len(set(labels)) < 2:
        words.append("give two or more labels")
    elif not words and list(labels) != sorted(labels):
        words.append(
            f"give the labels sorted, as scikit-learn orders them: classes({shown(sorted(labels))})"
        )
    long = [label for label in labels if isinstance(label, str) and not _is_storable(label)]
    large = [label for label in labels if isinstance(label, int) and abs(label) > MAX_INTEGER]
    words += [
        f"{label[:20]!r} is no label: a text has 1 to {MAX_LABEL} characters, no NUL" for label in long
    ]
    return words + [f"{label} is no label: integers are from -2**53 to 2**53" for label in large]


def _is_storable(text: str) -> bool:
    return 0 < len(text) <= MAX_LABEL and "\x00" not in text


def of_positive(labels: tuple[Label, ...], positive: Label | None) -> list[str]:
    """Check that the positive class is one of two."""
    if positive is None:
        return []
    if len(labels) != 2:
        return ["positive= is for two classes: leave it out"]
    is_one = any(type(positive) is type(label) and positive == label for label in labels)
    return [] if is_one else [f"positive={positive!r} is no label: give one of {shown(labels)}"]


def wrong(label: Any, wanted: type, expected: str) -> str:
    """Say what is wrong with a label of a dataset.

    Parameters
    ----------
    wanted
        The type of the declared labels; `expected` names them.
    """
    kind = type(label)
    if label is None or (kind is not str and str(label) in ("nan", "<NA>")):
        return "there is no label: leave such rows out"
    if kind is float and wanted is not str:
        example = f"y.astype({wanted.__name__})"
        return f"the label {label!r} is a float: return {KINDS[wanted]}, for example {example}"
    if kind in KINDS and kind is not wanted:
        other = f"the label {label!r} is no {KINDS[wanted].removesuffix('s')}"
        return f"{other}: declare classes(...) with {KINDS[kind]}, or return {KINDS[wanted]}"
    return f"the label {label!r} is not {expected}"
