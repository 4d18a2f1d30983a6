"""`loop init`: what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from prediction.commands import cli


def test_it_makes_a_folder_and_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once: the second time it is one sentence."""
    shop = tmp_path / "shop"

    assert 0 == cli.main(["init", str(shop)])
    assert f"next: cd {shop} && loop new MODEL FILE --target COLUMN" in capsys.readouterr().out
    assert 1 == cli.main(["init", str(shop)])
    assert capsys.readouterr().err.startswith(
        f"loop init: {shop / 'service.py'} is there already, and stays"
    )


def test_the_next_command_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with a blank is quoted, and nobody goes to the folder where they are."""
    monkeypatch.chdir(tmp_path)

    assert 0 == cli.main(["init", "my shop"])
    assert "next: cd 'my shop' && loop new " in capsys.readouterr().out
    assert 0 == cli.main(["init", "."])
    assert "next: loop new " in capsys.readouterr().out
