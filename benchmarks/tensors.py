"""The Open Inference Protocol beside MLServer, 1,000 rows a request: `python -m benchmarks.tensors`.

Both serve the same estimators, one connection, on one core, in turns. Ours validates, records and counts
every row; MLServer does none of it, and has no binary tensors over REST, so it gets JSON. Then the steps of
one request of ours are timed in this process: what recording costs is one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import environments, load, machine, rows
from benchmarks.__main__ import CACHE, train
from benchmarks.peers import OWN_ENVIRONMENT, PEERS, Peer, Place
from benchmarks.server import Server
from benchmarks.works import BATCH_ROWS
from models_store import catalog
from prediction.http.open_inference import requests
from prediction.http.open_inference.inferring import Inference, Model
from prediction.journal import recorder
from prediction.journal.database import Journal
from prediction.serving import preparing
from prediction.serving.runtime import Runtime
from prediction.serving.tables import ColumnTable
from tests import tensors

MODELS = ("iris", "penguins")
STEPS_REPEATED = 60
OURS, OTHER = "ours", "mlserver"


@dataclass
class Timed:
    """The times of the steps of one request, in ms."""

    steps: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        started = time.perf_counter()
        yield
        self.steps.setdefault(name, []).append((time.perf_counter() - started) * 1000)


def forms(peer: Peer, port: int, model: str, some: list[rows.Row]) -> dict[str, str]:
    """Return the requests of a peer by form: whole, as the load generator sends them."""
    if peer.name == OTHER:
        return {"JSON tensors": load.request(port, *peer.request(model, some))}
    spec = catalog.load()[model]
    inputs = tensors.tensors(spec, some)
    path = f"/v2/models/{model}/infer"
    raw, headers = tensors.binary(inputs, parameters={"binary_data_output": True})
    return {
        "binary tensors": load.binary_request(port, path, raw, headers),
        "JSON tensors": load.request(port, path, {"inputs": inputs}),
        "rows": load.request(port, *peer.request(model, some)),
    }


def measure(peer: Peer, place: Place, asked: Mapping[str, rows.Rows], seconds: float) -> dict[str, float]:
    """Take a peer's turn; return rows a second by model and form."""
    found = {}
    shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(parents=True)
    (command,) = peer.commands(place)
    generator, _ = machine.cores()
    with Server(command, place.folder / "log", *peer.request("iris", asked["iris"].rows[:1])) as server:
        for model in MODELS:
            known = asked[model].rows
            some = (known * (BATCH_ROWS // len(known) + 1))[:BATCH_ROWS]
            for form, request in forms(peer, command.port, model, some).items():
                order = load.Order(command.port, 1, seconds, seconds / 4, [request], generator)
                figures = load.run(order)
                if figures.failed:
                    raise RuntimeError(f"{peer.name} {model} {form}: {figures.first_failure}")
                found[f"{model}, {peer.name}, {form}"] = figures.requests_per_second * BATCH_ROWS
        server.stop()
    return found


async def profile(home: Path, model: str, asked: Mapping[str, rows.Rows]) -> dict[str, float]:
    """Return the ms of each step of a binary request, when it was fastest: a busy machine only adds."""
    specs, timed = catalog.load(), Timed()
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    preparing.prepare(specs, home, journal, [])
    served = Runtime(specs, home, journal)
    served.follow()
    known, writer = Model(specs[model], served, BATCH_ROWS), recorder.make(journal)
    some = (asked[model].rows * BATCH_ROWS)[:BATCH_ROWS]
    raw, headers = tensors.binary(
        tensors.tensors(known.spec, some), parameters={"binary_data_output": True}
    )
    answer: Callable[[Any], Any] = served._serving[model].predictor.predict
    for _ in range(STEPS_REPEATED):
        with timed.step("read the tensors"):
            question = await requests.read(raw, headers[tensors.LENGTH].encode(), known.reader)
        with timed.step("validate"):
            columns = await known.validator.validate(question.columns, question.rows)
        with timed.step("score, warn, make ids and texts"):
            answered = answer(ColumnTable(known.spec, columns, question.rows))
        with timed.step("record"):
            await writer.record(answered)
        with timed.step("count"):
            served._serving[model].predictor.count(answered)
        with timed.step("write the answer"):
            Inference(known, None, {})._write(question, answered, "v")
    writer.close()
    journal.close()
    return {name: min(times) for name, times in timed.steps.items()}


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tensors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server; default: 5")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement; default: 4")
    options = parser.parse_args()
    peers = {peer.name: peer for peer in PEERS if peer.name in (OURS, OTHER)}
    environments.make(CACHE / "environments" / OTHER, peers[OTHER].requirements or [])
    trained = train()
    asked = rows.load(trained)
    found: list[dict[str, float]] = []
    for _ in range(options.rounds):
        turn: dict[str, float] = {}
        for name, peer in peers.items():
            environment = CACHE / "environments" / name if peer.requirements else OWN_ENVIRONMENT
            place = Place(environment, CACHE / "turn", CACHE / "home")
            shutil.rmtree(place.home, ignore_errors=True)
            shutil.copytree(trained, place.home, symlinks=True)
            turn |= measure(peer, place, asked, options.seconds)
        found.append(turn)
        print(json.dumps({name: round(value) for name, value in turn.items()}), flush=True)
    report(found)
    for model in MODELS:
        steps = asyncio.run(profile(CACHE / "home", model, asked))
        whole = sum(steps.values())
        print(f"\n| {model}: step of a binary request | ms | share |\n|---|---|---|")
        for name, milliseconds in [*steps.items(), ("all", whole)]:
            print(f"| {name} | {milliseconds:.2f} | {milliseconds / whole:.0%} |")


def report(found: list[dict[str, float]]) -> None:
    """Print the medians, and the ratios to MLServer within each round."""
    print("\n| model, server, form | rows/s | of MLServer's in the same round |\n|---|---|---|")
    for name in found[0]:
        beside = f"{name.partition(',')[0]}, {OTHER}, JSON tensors"
        ratios = sorted(turn[name] / turn[beside] for turn in found)
        speed = statistics.median(turn[name] for turn in found)
        least, most = ratios[0], ratios[-1]
        print(f"| {name} | {speed:,.0f} | {statistics.median(ratios):.2f} ({least:.2f}-{most:.2f}) |")


if __name__ == "__main__":
    main()
