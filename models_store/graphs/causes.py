"""Why a pipeline did not become a graph, in one plain line.

It translates what the converter says where only its authors understand that.
"""

from __future__ import annotations

import re

from models_store import failures

KNOWN = (
    (r"shape calculator for type '<class '(?:[\w.]*\.)?(\w+)'>'", r"no converter knows \1"),
    (
        r"at most 1 input\(s\) is\(are\) supported|Mismatch between expected shape",
        "its converter takes one matrix of numbers",
    ),
    (r"Unable to find column name", "it chooses columns by name, and a matrix has none"),
    (
        r"Conflicted constraint|bound to different types|does not match expected type",
        "its converter mixes numbers of 64 and of 32 bits",
    ),
    (r"'_TemperatureScaling' object", "no converter knows CalibratedClassifierCV(method='temperature')"),
    (r"FunctionTransformer is not supported", "no converter knows the function of a FunctionTransformer"),
    (r"invalid literal for int\(\)", "its converter takes only whole numbers as labels"),
)


class NoConverter(NotImplementedError):
    """An estimator with parameters that this project does not write; the message names both."""

    def __str__(self) -> str:
        return f"no converter knows {super().__str__()}"


def words(error: BaseException) -> str:
    """Say why, without a name of Python's if the line is plain."""
    found = failures.root(error)
    if isinstance(found, NoConverter):
        return str(found)
    text = failures.first_cause(found)
    for pattern, plain in KNOWN:
        match = re.search(pattern, str(found))
        if match:
            return match.expand(plain)
    return text
