"""HTML from the templates, everything escaped, and the files that pages load."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = {
    "dashboard.css": "text/css",
    "plots.js": "text/javascript",
    "dashboard.js": "text/javascript",
    "plotly.js": "text/javascript",
}

GIST_LETTERS = 100
VALUE_LETTERS = 200


def render(template: str, **values: Any) -> str:
    """Fill a template."""
    return _environment().get_template(template).render(**values)


def asset(name: str) -> Path:
    """Return the file of one of `ASSETS`; plotly's script comes from its own package."""
    if name != "plotly.js":
        return TEMPLATES / name
    package = importlib.util.find_spec("plotly")  # found without an import, which takes a second
    if package is None or package.origin is None:
        raise FileNotFoundError("plotly is not installed")
    return Path(package.origin).parent / "package_data" / "plotly.min.js"


@cache
def fingerprint(*names: str) -> str:
    """Return a short text that changes when one of these assets changes."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(asset(name).read_bytes())
    return digest.hexdigest()[:16]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "number": number,
        "plain": plain,
        "typeset": typeset,
        "clock": clock,
        "p_value": p_value,
        "figure": figure,
        "words": words,
        "found": found,
        "gist": gist,
    }
    environment.globals |= {"inlined": inlined, "fingerprint": fingerprint, "assets": tuple(ASSETS)}
    return environment


def words(name: str, unit: str = "") -> str:
    """Write a name such as `petal_width_cm` or `malic_acid_g_l` as words, without its unit, cm or g/l."""
    spoken = unit.lower().replace("%", " percent ")
    endings = (re.sub("[^a-z0-9]+", "_", each).strip("_") for each in (spoken, spoken.partition(" vol")[0]))
    for ending in filter(None, endings):
        name = name.removesuffix(f"_{ending}")
    return name.replace("_", " ")


def percent(share: float | None) -> str:
    """Write a share as a percentage with one decimal."""
    return "-" if share is None else f"{share:.1%}".replace("%", "\N{NO-BREAK SPACE}%")


def number(value: float) -> str:
    """Write a number with four significant digits, and from 1,000 on without decimals."""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"


def figure(value: float) -> str:
    """Write a figure of the gate: a share with three decimals, and larger numbers shorter."""
    return f"{value:.3f}" if abs(value) < 10 else number(value)


def plain(value: float | str) -> str:
    """Write a value unrounded, and a whole number without a decimal point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if len(value) <= VALUE_LETTERS else value[:VALUE_LETTERS] + "\N{HORIZONTAL ELLIPSIS}"
    return str(value).removesuffix(".0")


def typeset(sentence: str) -> str:
    """Write ` -> ` in a sentence as an arrow without a line break before it."""
    return sentence.replace(" -> ", "\N{NO-BREAK SPACE}\N{RIGHTWARDS ARROW} ")


def clock(at: str) -> str:
    """Write a time of ours, ISO 8601 in UTC, to the second."""
    return at[:19].replace("T", " ")


def gist(sentence: str) -> str:
    """Shorten a sentence: cut it at its first bracket, and to `GIST_LETTERS`."""
    return textwrap.shorten(
        sentence.partition(" (")[0], GIST_LETTERS, placeholder=" \N{HORIZONTAL ELLIPSIS}"
    )


def found(state: str) -> str:
    """Write a state of drift; a test that does not reject does not prove stability."""
    return "no drift found" if state == "stable" else state


def p_value(p: float) -> str:
    """Write a p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def inlined(name: str) -> Markup:
    """Return the text of an asset, for a page that loads no files."""
    return Markup(asset(name).read_text(encoding="utf-8"))  # noqa: S704 -- our own files, and plotly's
