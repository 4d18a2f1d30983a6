"""`docs/lesson.md`: its blocks, run one after the other, show what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents import blocks, copy_project, started, wait_ready
from tests.servers import PROJECT, free_port, run

PAGE = PROJECT / "docs" / "lesson.md"
FLOWERS = re.compile(r"^450 flowers, (\d+)% of them as labelled, by version (\w+)$", re.MULTILINE)

pytestmark = pytest.mark.timeout(900)


def test_without_a_server_flowers_ends_with_one_sentence(tmp_path: Path) -> None:
    """The sentence names the likely cause."""
    url = f"http://127.0.0.1:{free_port()}"
    done = run("python", "docs/flowers.py", "3", "--url", url, home=tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    assert re.fullmatch("flowers.py: .*: is `make serve` running\\?\n", done.stderr)


def test_the_lesson_shows_the_loop(tmp_path: Path) -> None:
    """Accuracy falls and rises; the gate rejects wrong labels; the rollback restores the first version."""
    port, project = free_port(), copy_project(tmp_path / "project")
    log, shown = tmp_path / "first.log", tmp_path / "second.log"
    flowers = project / "docs" / "flowers.py"
    flowers.write_text(flowers.read_text().replace(":3000", f":{port}"))
    make, *others = (
        block.replace("/tmp/lesson", str(tmp_path / "home")).replace(":3000", f":{port}")
        for block in blocks(PAGE, "sh")
    )
    with started(f"{make.strip()} PORT={port}", project, tmp_path / "home", log) as server:
        wait_ready(f"http://127.0.0.1:{port}", server, log)
        with started("\n".join(others), project, tmp_path / "home", shown) as terminal:
            code = terminal.wait(timeout=240)

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
