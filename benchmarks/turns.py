"""One turn of one peer: start its server, check its answers, do every work, weigh it, end it.

Only the server that is measured runs: on few cores an idle one still takes time (polls, collectors,
heartbeats) and memory from it. Each turn starts its server anew, so that start and memory are measured
as often as speed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from benchmarks import load, machine, training
from benchmarks.peers import Peer, Place
from benchmarks.rows import Row, Rows
from benchmarks.server import Command, Server
from benchmarks.works import BATCHES, SINGLE, SINGLE_ROWS, WORKS, Work

CHECKED_ROWS = 20


class WrongAnswer(Exception):
    """A peer that does not answer as the scikit-learn pipeline does."""


@dataclass
class Turn:
    """What one turn measured; start and memory are those of its first server.

    Each work's figures are those of `load.Figures`, and with them the processor time that the server
    used for one answer, and `foreign`: the cores that all other programs kept busy meanwhile.
    """

    peer: str
    round: int
    ready_seconds: float = 0.0
    memory: dict[str, float] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def run(peer: Peer, place: Place, rows: dict[str, Rows], number: int, seconds: float) -> Turn:
    """Take a peer's turn.

    Raises
    ------
    CannotStart, WrongAnswer
        When nothing could be measured.
    """
    turn = Turn(peer.name, number)
    shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(parents=True)
    for command in peer.commands(place):
        first = rows[command.models[0]]
        log = place.folder / f"{first.model}.log"
        with Server(command, log, *peer.request(first.model, first.rows[:1])) as server:
            for model in command.models:
                check(peer, server, rows[model])
            for work in works(peer, command):
                _measure(turn, peer, server, place, work, rows[work.model], seconds)
            if not turn.memory:
                turn.ready_seconds, turn.memory = server.ready_seconds, asdict(server.memory())
    return turn


def works(peer: Peer, command: Command) -> list[Work]:
    """Return what a peer's server is made to do."""
    return [
        work
        for work in WORKS
        if work.model in command.models
        and (work.rows == 1 or peer.batches)
        and (work.name in SINGLE or not peer.full_journal)
    ]


def check(peer: Peer, server: Server, rows: Rows) -> None:
    """Ask some rows one by one, and together, and compare the answers with scikit-learn's."""
    if peer.read is None:
        return
    some = rows.rows[:CHECKED_ROWS]
    found = [_ask(peer, server, rows.model, [row])[0] for row in some]
    together = _ask(peer, server, rows.model, some) if peer.batches else found
    expected = rows.said[:CHECKED_ROWS]
    if not found == together == expected:
        raise WrongAnswer(f"{rows.model}: answered {found}, and {together}, not {expected}")


def _ask(peer: Peer, server: Server, model: str, rows: Sequence[Row]) -> list[str]:
    status, answer = server.ask(*peer.request(model, rows))
    if status != 200 or peer.read is None:
        raise WrongAnswer(f"{model}: {status} {str(answer)[:300]}")
    return peer.read(model, answer)


def _measure(
    turn: Turn, peer: Peer, server: Server, place: Place, work: Work, rows: Rows, seconds: float
) -> None:
    generator, _ = machine.cores()
    bodies = [peer.request(work.model, batch) for batch in _batches(work, rows.rows)]
    order = load.Order(
        port=server.command.port,
        connections=work.connections,
        seconds=seconds * work.length,
        warm_up_seconds=min(1.0, seconds / 4),
        requests=[load.request(server.command.port, path, body) for path, body in bodies],
        core=generator,
    )
    with training.beside(place.home) if work.training else nullcontext():
        everything, served, since = machine.cpu_seconds(), server.cpu_seconds(), time.perf_counter()
        try:
            figures = load.run(order)
        except RuntimeError as error:
            turn.failures[work.name] = str(error)
            return
        seconds_passed = time.perf_counter() - since
        served = server.cpu_seconds() - served
        foreign = machine.cpu_seconds() - everything - served - figures.busy_seconds
    turn.figures[work.name] = asdict(figures) | {
        "server_ms": served / figures.sent * 1000,
        "foreign": max(0.0, foreign / seconds_passed),
    }


def _batches(work: Work, rows: Sequence[Row]) -> list[list[Row]]:
    """Draw the rows of each distinct request."""
    wanted = BATCHES if work.rows > 1 else SINGLE_ROWS
    endless = (rows[number % len(rows)] for number in range(wanted * work.rows))
    return [list(islice(endless, work.rows)) for _ in range(wanted)]
