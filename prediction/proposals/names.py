"""Names of fields and classes, made of the names that people give to columns."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, Sequence

from models_store import faults
from models_store.spec import Features

MAX_CHARACTERS = 60
UNITS = re.compile(r"\s*[\[(]([^\[\]()]{1,12})[\])]\s*$")
"""A unit in brackets at the end of a header."""

SUFFIXES = {
    **dict.fromkeys(("mm", "cm", "km", "kg", "mg", "ml", "ms"), ""),
    "pct": "%",
    "percent": "%",
    "usd": "USD",
    "eur": "EUR",
}
"""Last words of a name that are units, and how the unit is written if otherwise."""

USED = {
    "Dialect",
    "Features",
    "Literal",
    "Path",
    "Spec",
    "TYPE_CHECKING",
    "classes",
    "quantity",
    "annotations",
}
USED |= {"number", "integer", "flag", "category", "text", "moment", "datetime", "pd", "Pipeline"}
USED |= {"float", "int", "bool", "str", "list", "load", "pipeline", "SPEC", "BaseEstimator"}
"""Names that the file of a spec uses itself: a field of that name would hide them."""


def fields(headers: Sequence[str]) -> list[str]:
    """Return a name of a field for each header; a header that can be one stays as it is."""
    found: list[str] = []
    for position, header in enumerate(headers, start=1):
        found.append(_unique(_field(header, position), {*found, *headers} - {header}))
    return found


def _field(header: str, position: int) -> str:
    if is_field(header):
        return header
    plain = snake(header) or f"column_{position}"
    if plain[0].isdigit():
        plain = f"n_{plain}"
    return next(each for each in (plain, f"{plain}_value", f"the_{plain}") if is_field(each))


def is_field(name: str) -> bool:
    """Tell whether a name can be that of a feature."""
    return (
        re.fullmatch(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_CHARACTERS - 1}}}", name) is not None
        and not keyword.iskeyword(name)
        and not hasattr(Features, name)
        and not name.startswith(("model_validate", "model_dump"))  # pydantic's own
        and not faults.of_feature_name(name)
        and name not in USED
    )


def snake(header: str) -> str:
    """Return a name in lower-case ASCII letters, digits and _."""
    plain = unicodedata.normalize("NFKD", header.replace("ß", "ss")).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain.replace("%", " percent "))
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")[:MAX_CHARACTERS].strip("_")


def _unique(name: str, taken: Iterable[str]) -> str:
    number, made = 2, name
    while made in taken:
        number, made = number + 1, f"{name}_{number}"
    return made


def camel(name: str) -> str:
    """Return a name as classes have it."""
    return "".join(part[:1].upper() + part[1:] for part in snake(name).split("_")) or "Model"


def description(header: str, name: str) -> str:
    """Return a header in words for people."""
    words = re.sub(r"[_\s.]+", " ", UNITS.sub("", header)).strip()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", words) or name.replace("_", " ")
    return words[:1].upper() + words[1:]


def unit(header: str) -> str:
    """Return the unit that a header names, such as kg of `Weight (kg)` and of `weight_kg`; or nothing."""
    found = UNITS.search(header)
    if found:
        return found[1].strip()
    last = header.lower().replace(" ", "_").rpartition("_")[2]
    return SUFFIXES.get(last, "") or last if last in SUFFIXES and last != header.lower() else ""
