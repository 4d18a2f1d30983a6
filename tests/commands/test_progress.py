"""Progress bars: seen on a terminal, and nowhere else."""

from __future__ import annotations

import pytest

from prediction.commands import progress


def test_where_nobody_looks_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A log gets no bar, and not even an empty line."""
    for bar in (progress.bar(), progress.remaining()):
        with bar:
            bar.advance(bar.add_task("work", total=2))

    assert ("", "") == capsys.readouterr()


@pytest.mark.parametrize(("bar", "words"), [(progress.bar, "1/2 rows"), (progress.remaining, "-:--:--")])
def test_on_a_terminal_it_tells_how_far_the_work_is(
    bar: object, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In rows, or by the time that is left."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert callable(bar)
    with bar() as shown:
        shown.advance(shown.add_task("work", total=2))

    assert words in capsys.readouterr().err.replace("\x1b[", "").replace("0m", "")
