"""Classes as a target: labels that are texts, integers or booleans, and their canonical texts.

The journal, the store and the metrics hold the canonical text of a label; clients and files get the label
itself. Everything below `http` and `batch` works with texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from models_store.errors import InvalidSpec
from models_store.validation import listing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Label = str | int | bool

MAX_LABEL = 255
"""Characters of a text: the journal's columns are so wide."""

MAX_INTEGER = 2**53
"""Every JSON reader reads integers up to this one exactly."""

KINDS: dict[type, str] = {str: "texts", bool: "booleans", int: "integers"}


@dataclass(frozen=True)
class Classes:
    """Two or more classes. `classes` makes it.

    Parameters
    ----------
    labels
        All of one type, sorted, as scikit-learn orders the columns of `predict_proba`.
    positive
        The class that one looks for, if there are two.
    """

    kind: ClassVar[str] = "classes"

    labels: tuple[Label, ...]
    positive: Label | None = None

    def __post_init__(self) -> None:
        _check_labels(self.labels)
        if self.positive is not None:
            _check_positive(self.labels, self.positive)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The canonical text of each label, in the order of the labels."""
        return tuple(_text(label) for label in self.labels)

    @cached_property
    def values(self) -> dict[str, Label]:
        """The labels by their canonical texts."""
        return dict(zip(self.texts, self.labels, strict=True))

    @property
    def expected(self) -> str:
        """Describes a valid label in words."""
        return f"one of {listing(self.texts)}"

    def text(self, label: Any) -> str:
        """Return the canonical text of a valid label."""
        return _text(label)

    def value(self, text: str) -> Label:
        """Return the label of a canonical text; the text itself if the spec no longer has that class."""
        return self.values.get(text, text)

    def knows(self, text: str) -> bool:
        """Whether a canonical text is that of a class."""
        return text in self.values

    def read(self, y: Any) -> list[str]:
        """Return the canonical texts of the labels of a dataset.

        Raises
        ------
        InvalidSpec
            Naming the first label that is none of the classes.
        """
        if getattr(y, "ndim", 1) != 1:
            raise InvalidSpec("load() returns labels with several columns: a model has one label a row")
        labels = y.tolist() if hasattr(y, "tolist") else list(y)
        texts = [_text(label) if type(label) in KINDS else "" for label in labels]
        for number, (label, text) in enumerate(zip(labels, texts, strict=True)):
            if type(label) is not type(self.labels[0]) or text not in self.values:
                raise InvalidSpec(f"row {number} of load(): {self._wrong(label)}")
        return texts

    def as_y(self, texts: Iterable[str]) -> NDArray[np.generic]:
        """Return labels as the pipeline is fitted with them, from their canonical texts."""
        import numpy as np

        kind = object if isinstance(self.labels[0], str) else type(self.labels[0])
        return np.array([self.values[text] for text in texts], kind)

    def _wrong(self, label: Any) -> str:
        kind, wanted = type(label), type(self.labels[0])
        found = f"the label {label!r}"
        if kind in KINDS and kind is not wanted:
            other = f"{found} is no {KINDS[wanted].removesuffix('s')}"
            return f"{other}: declare classes(...) with {KINDS[kind]}, or return {KINDS[wanted]}"
        return f"{found} is not {self.expected}"


def classes(*labels: Label, positive: Label | None = None) -> Classes:
    """Declare the classes that a model tells apart.

    Parameters
    ----------
    labels
        Two or more, sorted, each once: all texts, all integers or all booleans. Answers and feedback have
        them as they are.
    positive
        The class that one looks for, "fraud" for example, if there are two.

    Raises
    ------
    InvalidSpec
    """
    return Classes(labels, positive)


def _text(label: Label) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def _shown(labels: Iterable[Label]) -> str:
    return ", ".join(f'"{label}"' if isinstance(label, str) else str(label) for label in labels)


def _check_labels(labels: tuple[Label, ...]) -> None:
    if len(labels) == 1 and isinstance(labels[0], list | tuple):
        raise InvalidSpec(f"classes(...): write the labels without brackets: classes({_shown(labels[0])})")
    if len(labels) < 2:
        raise InvalidSpec("classes(...): give two or more labels")
    if len({type(label) for label in labels}) > 1 or type(labels[0]) not in KINDS:
        raise InvalidSpec("classes(...): give labels that are all texts, all integers or all booleans")
    ordered: list[Any] = sorted({*labels})
    if list(labels) != ordered:
        raise InvalidSpec(f"classes(...): give each label once, sorted: classes({_shown(ordered)})")
    for label in labels:
        if isinstance(label, str) and not (0 < len(label) <= MAX_LABEL and "\x00" not in label):
            words = f"a text has 1 to {MAX_LABEL} characters, and no NUL"
            raise InvalidSpec(f"classes(...): {label[:20]!r}: {words}")
        if isinstance(label, int) and abs(label) > MAX_INTEGER:
            raise InvalidSpec(f"classes(...): {label} is too large: integers are at most 2**53")


def _check_positive(labels: tuple[Label, ...], positive: Label) -> None:
    if len(labels) != 2:
        raise InvalidSpec("classes(...): positive= is for two classes: leave it out")
    if not any(type(positive) is type(label) and positive == label for label in labels):
        raise InvalidSpec(f"classes(...): positive={positive!r} is no label: give one of {_shown(labels)}")
