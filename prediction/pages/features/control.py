"""The field of a form for a feature, as the template draws it; it knows no kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Control:
    """One field.

    Parameters
    ----------
    value
        Its value at first.
    reads
        How the page makes JSON of it: `text`, `number` or `flag`.
    attributes
        Of an `<input>`.
    options
        Of a `<select>`; a field without options is an `<input>`.
    range
        The possible values in words, to stand behind the description; may be empty.
    """

    value: str
    reads: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    range: str = ""
