"""What the commands share."""

from __future__ import annotations

import argparse

import pytest

from prediction.commands import subcommands


def declared() -> argparse.ArgumentParser:
    """Make a parser of one command."""
    parser = argparse.ArgumentParser(prog="loop")
    example = "loop greet iris\nloop greet iris --json"
    run = subcommands.on_versions(lambda *_: 0)
    commands = parser.add_subparsers()
    command = subcommands.add(commands, "greet", run, "greet a model", example=example)
    subcommands.add_model(command)
    subcommands.add_reason(command)
    subcommands.add_json(command)
    return parser


def test_examples_end_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """On lines of their own, after a sentence and the arguments."""
    with pytest.raises(SystemExit):
        declared().parse_args(["greet", "--help"])

    told = capsys.readouterr().out
    assert "\nGreet a model.\n" in told
    assert told.rstrip().endswith("\nexample:\n  loop greet iris\n  loop greet iris --json")


def test_json_has_several_lines_and_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    """People read it too."""
    subcommands.print_json({"model": "fougère"})

    assert '{\n  "model": "fougère"\n}\n' == capsys.readouterr().out
