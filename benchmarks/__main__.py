"""Measure this service against its peers: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import environments, journals, machine, report, rows, turns
from benchmarks.environments import CannotInstall
from benchmarks.peers import OWN_ENVIRONMENT, PEERS, PROJECT, Peer, Place, releases
from benchmarks.server import CannotStart, Server, environment
from benchmarks.works import MODELS

CACHE = PROJECT / ".cache" / "benchmarks"
RESULTS = Path(__file__).parent / "results"
JOURNAL_ROWS = 1_000_000
ROUNDS_TO_PUBLISH = 5


def main(arguments: list[str]) -> int:
    """Measure, print the tables, and write the raw figures; a full run fills the README."""
    options = _parser().parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    chosen = [peer for peer in PEERS if not options.only or peer.name in options.only]
    results: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "versions": machine.versions() | releases(),
        "options": {"rounds": options.rounds, "seconds": options.seconds},
        "left_out": {},
        "installed": {},
        "turns": [],
    }
    places = _install(chosen, results)
    trained = train()
    asked = rows.load(trained)
    full = _fill_journal(trained, asked) if any(peer.full_journal for peer in chosen) else trained
    for number in range(1, options.rounds + 1):
        for peer in [peer for peer in chosen if peer.name not in results["left_out"]]:
            place = Place(places[peer.name], CACHE / "turn", CACHE / "home")
            _copy(full if peer.full_journal else trained, place.home)  # its predictions are not counted yet
            _take_turn(peer, place, asked, number, options.seconds, results)
            _write(results)
    print(f"\n{report.Report(results).markdown()}\n")
    if options.rounds >= ROUNDS_TO_PUBLISH and len(chosen) == len(PEERS):
        report.fill(results)
        print(f"{report.README.relative_to(PROJECT)} has these figures now")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--rounds", type=int, default=5, help="turns of each peer; default: 5")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement; default: 4")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="one round of one second: does it run?")
    return parser


def _install(chosen: list[Peer], results: dict[str, Any]) -> dict[str, Path]:
    places = {}
    for peer in chosen:
        places[peer.name] = OWN_ENVIRONMENT
        if peer.requirements is not None:
            places[peer.name] = CACHE / "environments" / peer.name
            try:
                environments.make(places[peer.name], peer.requirements)
                results["installed"][peer.name] = environments.frozen(places[peer.name])
            except CannotInstall as error:
                _leave_out(peer, f"not installed: {error}", results)
    return places


def train() -> Path:
    """Train every model into a home that is copied for each turn."""
    home = CACHE / "trained"
    shutil.rmtree(home, ignore_errors=True)
    print("train", flush=True)
    own = environment(OWN_ENVIRONMENT, home)
    subprocess.run(
        [sys.executable, "train.py"], cwd=PROJECT, env=own, stdout=subprocess.DEVNULL, check=True
    )
    return home


def _fill_journal(trained: Path, asked: dict[str, rows.Rows]) -> Path:
    """Let the service record a few predictions in a home, and copy them a million times."""
    home = CACHE / "full"
    _copy(trained, home)
    ours = PEERS[0]
    (command,) = ours.commands(Place(OWN_ENVIRONMENT, CACHE, home))
    with Server(
        command, home / "server.log", *ours.request(MODELS[0], asked[MODELS[0]].rows[:1])
    ) as server:
        for model in MODELS:
            turns.check(ours, server, asked[model])
    print(f"fill a journal with {JOURNAL_ROWS:,} predictions", flush=True)
    journals.fill(home / "journal.db", JOURNAL_ROWS)
    return home


def _take_turn(
    peer: Peer,
    place: Place,
    asked: dict[str, rows.Rows],
    number: int,
    seconds: float,
    results: dict[str, Any],
) -> None:
    print(f"round {number}: {peer.name}", end="", flush=True)
    try:
        turn = turns.run(peer, place, asked, number, seconds)
    except (CannotStart, turns.WrongAnswer, OSError, subprocess.CalledProcessError) as error:
        print()
        _leave_out(peer, f"{type(error).__name__}: {error}", results)
        return
    results["turns"].append(asdict(turn))
    rate = turn.figures.get("iris-16", {}).get("requests_per_second", 0)
    print(f": ready in {turn.ready_seconds:.1f} s, iris at 16 connections {rate:,.0f} requests/s")


def _leave_out(peer: Peer, why: str, results: dict[str, Any]) -> None:
    results["left_out"][peer.name] = why.replace(str(PROJECT), ".")
    print(f"{peer.name} is left out: {why}", file=sys.stderr)


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    os.sync()  # a large copy is else written while the turn is measured


def _write(results: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{results['date'].replace(':', '')}.json"
    path.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
