"""`docs/lesson.md`: its blocks, run one after the other, show what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents import blocks, copy_project, started, wait_ready
from tests.servers import PROJECT, free_port, run

PAGE = PROJECT / "docs" / "lesson.md"
FLOWERS = re.compile(r"^450 flowers, (\d+)% of them as labelled, by version (\w+)$", re.MULTILINE)

FLIGHTS = re.compile(
    r"^600 flights, wrong by ([\d.]+) min \(bias (-?[\d.]+)\), (\d+)% in their intervals,"
    r" by version (\w+)$",
    re.MULTILINE,
)

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("script", ["flowers.py", "flights.py"])
def test_without_a_server_a_script_ends_with_one_sentence(script: str, tmp_path: Path) -> None:
    """The sentence names the likely cause."""
    url = f"http://127.0.0.1:{free_port()}"
    done = run("python", f"docs/{script}", "4", "--url", url, home=tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    assert re.fullmatch(f"{script}: .*: is `make serve` running\\?\n", done.stderr)


def test_the_lesson_shows_the_loop(tmp_path: Path) -> None:
    """Accuracy falls and rises; the gate rejects wrong labels; the rollback restores the first version."""
    port, project = free_port(), copy_project(tmp_path / "project")
    log, shown = tmp_path / "first.log", tmp_path / "second.log"
    for name in ("flowers.py", "flights.py"):
        script = project / "docs" / name
        script.write_text(script.read_text().replace(":3000", f":{port}"))
    make, *others = (
        block.replace("/tmp/lesson", str(tmp_path / "home")).replace(":3000", f":{port}")
        for block in blocks(PAGE, "sh")
    )
    with started(f"{make.strip()} PORT={port}", project, tmp_path / "home", log) as server:
        wait_ready(f"http://127.0.0.1:{port}", server, log)
        with started("\n".join(others), project, tmp_path / "home", shown) as terminal:
            code = terminal.wait(timeout=300)

    printed = shown.read_text()
    assert 0 == code, printed
    (worse, first), (better, second), (_, third) = FLOWERS.findall(printed)
    assert int(worse) < int(better) - 5
    assert first != second == third
    assert "promoted: not worse on any rule" in printed
    assert re.search(r'"status":"rejected".*"sentence":"rejected: [^"]*dataset log-loss rose', printed)
    assert f"{first} is the champion again; it was {second}" in printed
    assert "until we know" in printed
    assert re.search(rf"{first} .*champion", printed)
    assert_the_number_is_cured(printed)


def assert_the_number_is_cured(printed: str) -> None:
    """Summer is wrong, and says so; what has learnt from July is right about August."""
    (worse, bias, held, old), (better, _, again, new) = FLIGHTS.findall(printed)
    assert float(bias) < -5
    assert float(worse) > 1.3 * float(better)
    assert int(held) < 80 < int(again)
    assert old != new
    for words in ("above estimate", "below level", f"planes: {new} is the champion"):
        assert words in printed
    assert re.search("temperature_c +│ drifted", printed)
