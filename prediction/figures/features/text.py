"""The distribution of a text: its length, and its share of words that the training data does not have.

A profile holds no words, only numbers made of them.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from models_store.features.text import Text
from prediction.figures import drift
from prediction.figures.drift import Drift
from prediction.figures.features import halves, number

KEY = "lengths"
MAX_KNOWN = 20_000
"""Words that are kept, the most frequent first."""

MOSTLY = 0.5
"""A text with a larger share of unknown words is unlike the training data."""

WORD = re.compile(r"\w+")


def profile(feature: Text, present: list[str]) -> dict[str, Any]:
    """Return `lengths` (in characters), `words` (numbers made of those of one half) and `unknown`.

    `unknown` has the share of unknown words of the texts of the other half, `known` the words of both.
    """
    first, second = halves.split(present)
    known = _most(first)
    return {
        KEY: number.evenly_spaced(sorted(map(len, present)), number.SAMPLE_SIZE),
        "words": known,
        "unknown": number.evenly_spaced(sorted(_shares(second, known)), number.SAMPLE_SIZE),
        "known": _most(present),
    }


def _most(texts: Iterable[str]) -> list[int]:
    counts = Counter(word for each in texts for word in _words(each))
    return sorted(word for word, _ in counts.most_common(MAX_KNOWN))


def _words(text: str) -> list[int]:
    """Return a number for each word, in small letters."""
    return [zlib.crc32(word.encode()) for word in WORD.findall(text.lower())]


def _shares(texts: Sequence[str], known: Iterable[int]) -> list[float]:
    every = frozenset(known)
    return [_share(each, every) for each in texts]


def _share(text: str, known: frozenset[int]) -> float:
    words = _words(text)
    return sum(word not in known for word in words) / len(words) if words else 0.0


def compare(feature: Text, seen: dict[str, Any], live: list[str], rows: int) -> list[Drift]:
    """Compare lengths, and shares of unknown words, by the test of Kolmogorov and Smirnov."""
    lengths: list[float] = [len(each) for each in live]
    unknown = _shares(live, seen["words"])
    half = max(1, rows // 2)
    return [
        drift.kolmogorov_smirnov(f"{feature.name} (length)", rows, seen[KEY], lengths),
        drift.kolmogorov_smirnov(f"{feature.name} (unknown words)", half, seen["unknown"], unknown),
    ]


def unlike(feature: Text, seen: dict[str, Any]) -> Callable[[Sequence[Any]], list[tuple[int, str]]]:
    """Make the check of texts that are longer than all others, or whose words are mostly unknown."""
    longest, known = max(seen[KEY], default=0), frozenset(seen["known"])

    def check(values: Sequence[Any]) -> list[tuple[int, str]]:
        found = ((row, _reason(value, longest, known)) for row, value in enumerate(values) if value)
        return [(row, words) for row, words in found if words]

    return check


def _reason(text: str, longest: int, known: frozenset[int]) -> str:
    if len(text) > longest:
        return f"{len(text)} characters are more than in any text of the training data, {longest}"
    share = _share(text, known)
    return f"{share:.0%} of its words are not in the training data" if share > MOSTLY else ""
