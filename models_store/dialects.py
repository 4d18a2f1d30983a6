"""How the files of a model are written, where that is not plain: encoding, separator, numbers, times.

It declares this only: `prediction.batch.cells` reads cells, and `csv_files` reads the file.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models_store.faults import Fault
from models_store.validation import listing

PLAIN = "1234.5"
NUMBERS = (PLAIN, "1234,5", "1.234,5", "1,234.5", "$1.234,5%", "$1,234.5%")
"""Ways to write numbers. Marks between thousands and signs may be left out: `1.234,5` takes `7,5` too.
But `1234,5` takes no point, because that of a file with decimal points would become one of thousands."""

DECIMAL_COMMAS = tuple(way for way in NUMBERS if ",5" in way)

SEPARATORS = (",", ";", "\t", "|")
UTF_8 = "utf-8"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a CSV is written that this model gets, and the cells of any file.

    With a dialect, the usual words for a missing value are missing values too: `NA`, `N/A`, `NaN` and
    `null`; and in numbers, flags and moments also `?`, `-`, `.`, `None` and infinity.

    Parameters
    ----------
    encoding
        That of files that are not UTF-8 and have no byte order mark.
    separator
        Between cells: `,`, `;`, a tab or `|`. Files with commas are read too.
    numbers
        How numbers are written, one of `NUMBERS`, by the name of the feature; by default `1234.5`.
    times
        How times are written, as `strptime` names it, by the name of the feature; ISO 8601 is read too.
    missing
        More words that are missing values, by the name of the feature.
    """

    encoding: str = UTF_8
    separator: str = ","
    numbers: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def faults(self, names: Collection[str]) -> list[Fault]:
        """Say what is wrong with the declaration.

        Parameters
        ----------
        names
            Those of the features.
        """
        found = [] if _is_encoding(self.encoding) else [f"there is no encoding {self.encoding!r}"]
        if self.separator not in SEPARATORS:
            found.append(f"the separator is one of {listing(map(repr, SEPARATORS))}")
        for part in ("numbers", "times", "missing"):
            given = getattr(self, part)
            unknown = [each for each in given if each not in names] if isinstance(given, Mapping) else []
            if not isinstance(given, Mapping):
                found.append(f"{part} is a dict by the name of the feature")
            elif unknown:
                found.append(f"{part}: there is no feature {listing(map(repr, unknown))}")
            else:
                found += [f"{part} of {name}: {words}" for name, words in _wrong(part, given)]
        return [Fault(("dialect",), words) for words in found]

    def words(self, name: str) -> str:
        """Say how the cells of a feature are written, where that is not plain; else nothing."""
        if name in self.numbers:
            return f"written as {self.numbers[name]}"
        return f"written as {self.times[name]}" if name in self.times else ""


def _is_encoding(name: Any) -> bool:
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except (LookupError, TypeError, ValueError):
        return False


def _wrong(part: str, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with the entries of a part, by feature."""
    if part == "numbers":
        words = f"a way to write numbers is one of {listing(map(repr, NUMBERS))}"
        return [(name, words) for name, way in given.items() if way not in NUMBERS]
    if part == "times":
        words = "a way to write times has a day, a month and a year, such as '%d.%m.%Y'"
        return [(name, words) for name, way in given.items() if not _is_time(way)]
    words = "give a list of words"
    return [(name, words) for name, found in given.items() if not _is_listed(found)]


def _is_time(way: Any) -> bool:
    return isinstance(way, str) and all(
        any(each in way for each in ways) for ways in (("%d",), ("%m", "%b", "%B"), ("%y", "%Y"))
    )


def _is_listed(found: Any) -> bool:
    return isinstance(found, list | tuple | set | frozenset) and all(
        isinstance(word, str) for word in found
    )
