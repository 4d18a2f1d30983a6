"""The raw table of `loop new` is a file to score: the same rows, whatever its dialect is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_store.spec import Spec
from prediction.batch import dialects, frames
from prediction.batch.frames import Rows
from prediction.batch.sources import Source
from prediction.proposals import proposing, running, writing
from prediction.proposals.proposing import TableWish
from prediction.retraining import datasets

ROWS = 120
RNG = np.random.default_rng(0)
YES = RNG.random(ROWS) < 0.4


def _numbers() -> list[float]:
    return [float(each) for each in (RNG.normal(1000, 400, ROWS) + 300 * YES).round(2)]


def german() -> bytes:
    """Semicolons, decimal commas and points between thousands, days first, Windows-1252, blank rows."""
    lines = ["Kundennr.;Größe (cm);Umsatz;Anteil;seit;Stadt;Stufe;aktiv;Model;gekündigt"]
    for row, number in enumerate(_numbers()):
        whole, cents = f"{number:.2f}".split(".")
        amount = f"{int(whole):,}".replace(",", ".") + f",{cents}"
        city = " München " if row % 3 else "Köln"
        cells = [
            f"K{row:04}",
            f"{150 + row % 40},5" if row % 50 else "?",
            amount,
            f"{row % 7},25 €",
            f"{1 + row % 28:02}.03.2021",
        ]
        cells += [city, "n/a" if row == 5 else "VIP" if row % 2 else "neu", "TRUE" if row % 5 else "false"]
        lines.append(";".join([*cells, "A", "Ja" if YES[row] else "" if row == 7 else "nein"]))
    lines.insert(30, ";" * 9)
    return "\r\n".join([*lines, ";" * 9, ""]).encode("cp1252")


def american() -> bytes:
    """Commas between thousands, signs, a word for missing values, months first, names of rows of R."""
    lines = ['"Order Date","Net $","% off","qty","at","class"']
    for row, number in enumerate(_numbers()):
        quantity = "unknown" if row in (11, 12) else str(row * 31)
        cells = [f'"{row + 1}"', f"{1 + row % 12:02}/{1 + row % 28:02}/2020", f'"${number:,.2f}"']
        cells += [f"{row % 9}%", quantity, f"2020-03-{1 + row % 28:02} {row % 24:02}:10:00"]
        lines.append(",".join([*cells, "b" if YES[row] else "a"]))
    return "\n".join(lines).encode("utf-8-sig")


def tabbed() -> bytes:
    """Tabs, UTF-16, exponents with a comma, one of the columns without a name."""
    lines = ["\tKraft\tDruck\tArt"]
    for row, number in enumerate(_numbers()):
        cells = [f"x{row % 3}", f"{number * 1e-9:.3e}".replace(".", ","), f"{row * 1.5}".replace(".", ",")]
        lines.append("\t".join([*cells, "gut" if YES[row] else "schlecht"]))
    return "\n".join(lines).encode("utf-16")


def lines() -> bytes:
    """JSON with numbers as texts, texts as numbers, and several ways to be missing."""
    rows = [
        {
            "amount": f"{number:,.2f}" if row % 2 else number,
            "level": row % 3 if row % 4 else "top",
            "when": f"{1 + row % 28}/{1 + row % 12}/2020",
            "done": ["TRUE", "False", "NA"][row % 3],
            "kind": "b" if YES[row] else "a",
        }
        for row, number in enumerate(_numbers())
    ]
    return "\n".join(map(json.dumps, rows)).encode()


TABLES = {
    "german": (german, "rows.csv", "gekündigt"),
    "american": (american, "rows.csv", "class"),
    "tabbed": (tabbed, "rows.csv", "Art"),
    "lines": (lines, "rows.jsonl", "kind"),
}


@pytest.fixture(scope="module", params=list(TABLES))
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Spec, Path]]:
    """Make a spec of a table, and run its file."""
    folder = tmp_path_factory.mktemp(request.param)
    content, name, target = TABLES[request.param]
    path = folder / name
    path.write_bytes(content())
    wish = TableWish("raw", path, target)
    writing.write(folder, "raw", proposing.propose(wish))
    text = (folder / "raw.py").read_text()
    with running.run(text, str(folder / "raw.py")) as module:
        yield request.param, module.SPEC, path


def scored(spec: Spec, path: Path) -> tuple[Rows, list[Any]]:
    """Read and validate a file as `loop score` does; return the labels too, as they stand there."""
    types: dict[str, type] = dict.fromkeys(frames.column_types(spec), str)
    source = Source(path, 1_000, types, spec.headers, spec.dialect)
    frames.demand(spec, source.names, str(path))
    chunks = dialects.ReadChunks(source, dialects.cells_of(spec, source.has_commas), {})
    (chunk,) = list(chunks)
    rows = frames.validate(spec, chunk, 1)
    label = list(chunk.columns.values())[-1]
    return rows, label.to_pylist()


def test_the_raw_table_has_the_rows_of_the_dataset(made: tuple[str, Spec, Path]) -> None:
    """Each value; a row without a label is scored too. No cell is refused."""
    _, spec, path = made
    expected = datasets.load(spec).columns
    rows, labels = scored(spec, path)

    assert [] == rows.bad_values
    assert ROWS == len(rows)
    kept = [row for row, label in enumerate(labels) if label]
    for name, values in expected.items():
        found = [rows.columns[name][row] for row in kept]
        assert values == [None if value is None or value != value else value for value in found], name


def test_the_spec_says_how_the_table_is_written(made: tuple[str, Spec, Path]) -> None:
    """Where it is not plain."""
    name, spec, _ = made
    dialect = spec.dialect
    assert dialect is not None
    if name == "german":
        assert ("cp1252", ";") == (dialect.encoding, dialect.separator)
        assert ["1234,5", "1.234,5", "$1.234,5%"] == list(dialect.numbers.values())
        assert {"seit": "%d.%m.%Y"} == dialect.times
    elif name == "american":
        assert {"net": "$1,234.5%", "percent_off": "$1,234.5%"} == dialect.numbers
        assert {"qty": ("unknown",)} == dialect.missing
    elif name == "tabbed":
        assert ("utf-16", "\t") == (dialect.encoding, dialect.separator)
    else:
        assert {"amount": "1,234.5"} == dialect.numbers


def refused(spec: Spec, path: Path, text: str, encoding: str = "utf-8") -> list[tuple[int, str, str]]:
    """Read another file; return its refused values."""
    path.write_text(text, encoding=encoding)
    return [(each.row, each.field, each.reason) for each in scored(spec, path)[0].bad_values]


@pytest.mark.parametrize("made", ["german"], indirect=True)
def test_the_rest_of_a_table_is_read_in_its_dialect(made: tuple[str, Spec, Path], tmp_path: Path) -> None:
    """UTF-8 too; what differs is refused row by row, with the way that the table is written in."""
    _, spec, _ = made
    header = "Größe (cm);Umsatz;Anteil;seit;Stadt;Stufe;aktiv;version\n"
    good = "170,5;1.000,50;7 %;31.12.2022;Köln;neu;TRUE;1\n"
    rows = [
        good,
        good.replace("170,5", "-"),
        ";" * 7 + "\n",
        good.replace("170,5", "170.5"),
        good.replace("1.000,50", "1000,5"),
        good.replace("31.12.2022", "12/31/2022"),
        good.replace("31.12.2022", "2022-12-31"),
        good.replace("Köln", "Bonn"),
        good.replace("neu", "NA"),
        good.replace("TRUE", "1"),
        good.replace(";1\n", "\n"),
        good,
    ]
    for encoding in ("utf-8", "cp1252", "utf-16"):
        found = refused(spec, tmp_path / "rest.csv", header + "".join(rows), encoding)

        assert [(3, "grosse_cm"), (5, "seit"), (7, "Stadt"), (9, "aktiv"), (10, "")] == [
            (row, field) for row, field, _ in found
        ]
        reasons = [reason for *_, reason in found]
        assert reasons[0].endswith('or null, written as 1234,5, and is the text "170.5"')
        assert reasons[1].endswith('written as %d.%m.%Y, and is the text "12/31/2022"')
        assert "must be one of" in reasons[2]
        assert "has 7 cells where the header has 8" == reasons[4]


@pytest.mark.parametrize("made", ["german"], indirect=True)
def test_a_plain_file_is_read_plainly(made: tuple[str, Spec, Path], tmp_path: Path) -> None:
    """Commas between cells: then 1.500 is one and a half, and no point stands between thousands."""
    _, spec, _ = made
    path = tmp_path / "plain.csv"
    path.write_text(
        "Größe (cm),Umsatz,Anteil,seit,Stadt,Stufe,aktiv\n170.5,1.500,7,2022-12-31,Köln,neu,true\n"
    )
    rows, _ = scored(spec, path)

    assert [] == rows.bad_values
    assert (170.5, 1.5) == (rows.columns["grosse_cm"][0], rows.columns["Umsatz"][0])
