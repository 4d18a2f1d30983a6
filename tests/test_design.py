"""docs/design.md and docs/decisions/ say what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.servers import PROJECT

DESIGN = PROJECT / "docs" / "design.md"
DECISIONS = sorted((PROJECT / "docs" / "decisions").glob("*.md"))
PACKAGES = (PROJECT, PROJECT / "prediction")


def section(title: str) -> str:
    """Return the text below a heading of the design page."""
    return DESIGN.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("page", [DESIGN, *DECISIONS], ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    """A path in the text is a file of the project, from its root or from `prediction/`."""
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", page.read_text()))

    assert [] == [
        name for name in sorted(named) if not any((folder / name).is_file() for folder in PACKAGES)
    ]


@pytest.mark.parametrize("subject", ["row", "label", "run"])
def test_a_life_has_at_most_ten_steps(subject: str) -> None:
    """Each step of the life of a row, a label and a run names at least one file."""
    steps = re.split(r"^\d+\. ", section(f"The life of one {subject}"), flags=re.MULTILINE)[1:]

    assert 1 < len(steps) <= 10
    assert [] == [step for step in steps if not re.search(r"`[a-z_/]+\.py`", step)]


def test_every_folder_is_in_the_table() -> None:
    """The table of folders has each package of `prediction/`, and no other."""
    packages = {path.parent.name for path in (PROJECT / "prediction").glob("*/__init__.py")}

    assert packages == set(
        re.findall(r"^\| `prediction/([a-z]+)/` \|", section("The folders"), re.MULTILINE)
    )


@pytest.mark.parametrize("number", range(1, len(DECISIONS) + 1))
def test_a_decision_has_context_decision_and_cost(number: int) -> None:
    """Decisions are numbered without a gap, and each has its three parts in order."""
    (page,) = (path for path in DECISIONS if path.name.startswith(f"{number:04}-"))
    headings = re.findall(r"^#+ .*$", page.read_text(), re.MULTILINE)

    assert headings[0].startswith(f"# {number}. ")
    assert ["## Context", "## Decision", "## What it costs"] == headings[1:]
