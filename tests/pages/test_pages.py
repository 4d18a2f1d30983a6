"""Templates: everything escaped, figures as people read them, files that are there."""

from __future__ import annotations

import re

import pytest
from jinja2 import UndefinedError

from prediction.pages import pages


def test_every_asset_is_a_file() -> None:
    """Plotly's script too, which comes from its package."""
    for name in pages.ASSETS:
        assert pages.asset(name).stat().st_size > 500
    assert pages.asset("plotly.js").stat().st_size > 1_000_000


def test_a_fingerprint_is_that_of_the_contents() -> None:
    """Each file has its own, several have one together, and it can stand in an address."""
    found = [pages.fingerprint(name) for name in pages.ASSETS]

    assert len({*found, pages.fingerprint(*pages.ASSETS)}) == len(pages.ASSETS) + 1
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in found)


def test_what_is_missing_is_an_error() -> None:
    """A template that asks for a value which is not given fails, and shows no gap."""
    with pytest.raises(UndefinedError):
        pages.render("dashboard.html")


@pytest.mark.parametrize("name", ["dashboard.html", "figures.html", "report.html", "mistake.html"])
def test_no_template_marks_a_value_as_safe(name: str) -> None:
    """All that is inserted is escaped; attributes are in double quotes, JSON's in single ones."""
    text = (pages.TEMPLATES / name).read_text()

    assert "|safe" not in text.replace(" ", "")
    assert [] == re.findall(r"\s[a-z-]+=\{\{", text)
    assert {"figure | tojson"} >= set(re.findall(r"='\{\{ (.*?) \}\}'", text))


@pytest.mark.parametrize(
    "name", ["dashboard.html", "mistake.html", "dashboard.css", "dashboard.js", "plots.js"]
)
def test_pages_load_nothing_from_outside(name: str) -> None:
    """No address of another host, and no style or handler that the policy would refuse."""
    text = (pages.TEMPLATES / name).read_text()

    assert [] == re.findall(r"https?://\S+|//[a-z]+\.[a-z]+/", text)
    assert [] == re.findall(r"\son[a-z]+=|<script>|javascript:|eval\(|innerHTML = `", text)


def test_the_gist_of_a_sentence() -> None:
    """Figures in brackets are left out, and what is long all the same ends with a word."""
    verdict = "promoted: not worse on any rule (dataset macro-F1 0.933 -> 0.967; too few rows for x (12))"
    long = pages.gist("a word " * 50)

    assert "promoted: not worse on any rule" == pages.gist(verdict)
    assert "trained, seed 0" == pages.gist("trained, seed 0")
    assert re.fullmatch("(a word )+(a )?\N{HORIZONTAL ELLIPSIS}", long)
    assert len(long) <= pages.GIST_LETTERS
    assert "no drift found" == pages.found("stable")
    assert "drifted" == pages.found("drifted")


def test_figures_for_people() -> None:
    """Shares, numbers, p-values, times and names."""
    assert ("93.4\u00a0%", "-") == (pages.percent(0.934), pages.percent(None))
    assert ("12,345", "0.1", "1,235") == (pages.number(12345), pages.number(0.1), pages.number(1234.567))
    assert ("1,000", "999.6") == (pages.number(1000.4), pages.number(999.6))
    assert ("0.001", "< 0.001") == (pages.p_value(0.001), pages.p_value(0.000999))
    assert ("10,000", "-1,234,568") == (pages.number(10_000.0), pages.number(-1_234_567.8))
    found = [pages.plain(value) for value in (3750.0, 39.1, 12345.678, "male")]
    assert ["3750", "39.1", "12345.678", "male"] == found
    assert "log-loss 0.11\u00a0\u2192 0.08" == pages.typeset("log-loss 0.11 -> 0.08")
    assert ("< 0.001", "0.050") == (pages.p_value(0.00001), pages.p_value(0.05))
    assert "2026-11-23 08:30:00" == pages.clock("2026-11-23T08:30:00.123456+00:00")
    assert ("sepal length", "body mass g") == (
        pages.words("sepal_length_cm", "cm"),
        pages.words("body_mass_g"),
    )
    assert "malic acid" == pages.words("malic_acid_g_l", "g/l")
    assert "alcohol" == pages.words("alcohol_percent", "% vol") == pages.words("alcohol_percent", "%")


def test_values_are_written_as_json_has_them_and_long_texts_are_cut() -> None:
    """A flag is true or false, and a page of 20 predictions stays readable."""
    assert ("true", "false") == (pages.plain(True), pages.plain(False))
    assert "x" * 200 + "\u2026" == pages.plain("x" * 2_000)


def test_an_inlined_asset_is_its_text_unescaped() -> None:
    """The report holds style and scripts as they are."""
    assert (pages.TEMPLATES / "plots.js").read_text() == str(pages.inlined("plots.js"))
