"""From raw figures to Markdown: medians over rounds, ratios within a round, the targets.

`python -m benchmarks.report benchmarks/results/FILE.json` fills `benchmarks/README.md` from a file.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.works import BATCH_ROWS, MODELS

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
OTHERS = ("quickstart", "mlserver", "litserve", "mlflow")

Figure = Callable[[dict[str, Any]], float | None]
"""Picks one figure from a turn; None where the turn has none."""


@dataclass(frozen=True)
class Ratio:
    """A ratio of two figures of the same round: the median over rounds, and its range."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Target:
    """What is promised.

    Parameters
    ----------
    at_least
        Whether the ratio must reach `limit`, or stay below it.
    """

    words: str
    ratio: Ratio | None
    limit: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the median keeps the promise."""
        if self.ratio is None:
            return False
        return self.ratio.median >= self.limit if self.at_least else self.ratio.median <= self.limit


class Report:
    """The tables of one run."""

    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results
        self.turns: list[dict[str, Any]] = results["turns"]
        measured = {turn["peer"] for turn in self.turns}
        self.peers = [peer.name for peer in PEERS if peer.name in measured]

    def markdown(self) -> str:
        """Write everything."""
        parts = [
            self._machine(),
            *(self._singles(model) for model in self._models()),
            self._batches(),
            self._training(),
            self._start(),
            self._targets(),
            self._left_out(),
        ]
        return "\n\n".join(part for part in parts if part)

    def _models(self) -> list[str]:
        measured = {work for turn in self.turns for work in turn["figures"]}
        return [model for model in MODELS if f"{model}-16" in measured]

    def median(self, peer: str, figure: Figure) -> float | None:
        """Return the median over rounds of one figure of a peer."""
        found = [value for turn in self._of(peer) if (value := figure(turn)) is not None]
        return statistics.median(found) if found else None

    def ratio(self, peer: str, other: str, figure: Figure, of_other: Figure | None = None) -> Ratio | None:
        """Compare two peers round by round."""
        theirs = {turn["round"]: (of_other or figure)(turn) for turn in self._of(other)}
        found = []
        for turn in self._of(peer):
            ours, base = figure(turn), theirs.get(turn["round"])
            if ours is not None and base:
                found.append(ours / base)
        return Ratio(statistics.median(found), min(found), max(found)) if found else None

    def targets(self) -> list[Target]:
        """Return what is promised, measured; what was not measured is not met."""
        best = self._best_other()
        ours = "ours"
        return [
            self._target("iris, 16 connections: requests/s, ours / classroom", "classroom", 6),
            self._target(f"iris, 16 connections: requests/s, ours / best other ({best})", best, 5),
            Target(
                "iris, 16 connections: p99, ours / lowest p99 of all these",
                self._lowest_p99("iris-16"),
                1,
                at_least=False,
            ),
            self._target(
                "penguins, 16 connections: requests/s, ours / classroom", "classroom", 40, "penguins-16"
            ),
            self._target("iris, 16 connections: requests/s, ours / limit", "limit", 0.3),
            *(
                Target(
                    f"{model}, {BATCH_ROWS:,} rows: rows/s, ours in a batch / classroom row by row",
                    self.ratio(ours, "classroom", _rows(f"{model}-batch"), _rate(f"{model}-16")),
                    50,
                    at_least=True,
                )
                for model in ("iris", "penguins")
            ),
            Target(
                "iris, 16 connections: requests/s, a million rows in the journal / an empty one",
                self.ratio("ours-1m", ours, _rate("iris-16")),
                0.95,
                at_least=True,
            ),
            Target(
                "start to the first answer, ours / quickstart",
                self.ratio(ours, "quickstart", lambda turn: turn["ready_seconds"] or None),
                0.7,
                at_least=False,
            ),
            Target(
                "memory of a worker, ours / quickstart",
                self.ratio(ours, "quickstart", _memory("worker")),
                0.7,
                at_least=False,
            ),
        ]

    def _target(self, words: str, other: str, limit: float, work: str = "iris-16") -> Target:
        return Target(words, self.ratio("ours", other, _rate(work)), limit, at_least=True)

    def _of(self, peer: str) -> list[dict[str, Any]]:
        return [turn for turn in self.turns if turn["peer"] == peer]

    def _best_other(self) -> str:
        rates = {name: self.median(name, _rate("iris-16")) or 0 for name in OTHERS}
        return max(rates, key=lambda name: rates[name])

    def _lowest_p99(self, work: str) -> Ratio | None:
        found = [self.ratio("ours", name, _pick(work, "p99_ms")) for name in ("classroom", *OTHERS)]
        ratios = [ratio for ratio in found if ratio is not None]
        return max(ratios, key=lambda ratio: ratio.median) if ratios else None

    def _machine(self) -> str:
        machine, options = self.results["machine"], self.results["options"]
        versions = ", ".join(f"{name} {number}" for name, number in self.results["versions"].items())
        pinned = "one for the server, one for the load" if machine["pinned"] else "not pinned"
        return (
            f"Measured on {self.results['date'][:10]}: {machine['processor']}, {machine['cores']} cores"
            f" ({pinned}), {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}."
            f" Medians of {options['rounds']} rounds of {options['seconds']:g} s a figure."
            f" {self._quiet()}"
            f"\n\nVersions: {versions}."
        )

    def _quiet(self) -> str:
        foreign = [
            figures["foreign"]
            for turn in self.turns
            for work, figures in turn["figures"].items()
            if not work.endswith("training")
        ]
        return (
            f"Other programs, and the system's own work, kept {statistics.median(foreign):.2f} cores busy"
            f" at the median and {max(foreign):.2f} at most."
            if foreign
            else ""
        )

    def _singles(self, model: str) -> str:
        head = ["peer"]
        for connections in (1, 16, 64):
            head += [f"{connections}: requests/s", "p50 ms", "p99 ms"]
        lines = []
        for peer in self.peers:
            cells = [peer]
            for connections in (1, 16, 64):
                cells += self._speed(peer, f"{model}-{connections}")
            cells.append(_number(self.median(peer, _pick(f"{model}-16", "server_ms"))))
            for ratio in (
                self.ratio("ours", peer, _rate(f"{model}-16")),
                self.ratio(peer, "ours", _pick(f"{model}-16", "server_ms")),
            ):
                cells.append(str(ratio) if ratio and peer != "ours" else "")
            lines.append(cells)
        title = f"### {model}: single rows, by connections"
        head += ["16: processor ms a request", "16: requests/s, ours / this one (range)"]
        head += ["16: processor time, this one / ours (range)"]
        return f"{title}\n\n" + _table(head, lines)

    def _batches(self) -> str:
        head, lines = ["peer"], []
        for model in self._models():
            head += [f"{model}: rows/s", "p50 ms", "p99 ms"]
        for peer in self.peers:
            cells = []
            for model in self._models():
                work = f"{model}-batch"
                rate = self.median(peer, _rows(work))
                by_row = self.median(peer, _rate(f"{model}-16")) if peer == "classroom" else None
                cells += [
                    f"{_number(by_row)} row by row" if by_row else _number(rate),
                    _number(self.median(peer, _pick(work, "p50_ms"))),
                    _number(self.median(peer, _pick(work, "p99_ms"))),
                ]
            if any(cells):
                lines.append([peer, *cells])
        return f"### Batches of {BATCH_ROWS:,} rows, one after the other\n\n" + _table(head, lines)

    def _training(self) -> str:
        head = ["peer", "requests/s", "p50 ms", "p99 ms", "p99 without, ms"]
        lines = []
        for peer in self.peers:
            cells = self._speed(peer, "iris-training")
            if any(cells):
                alone = self.median(peer, _pick("iris-16", "p99_ms"))
                lines.append([peer, *cells, _number(alone)])
        title = "### iris, 16 connections, `train.py` beside it on the server's core"
        return f"{title}\n\n" + _table(head, lines)

    def _start(self) -> str:
        head = ["peer", "start to first answer, s", "worker, MiB", "all processes, MiB", "processes"]
        lines = [
            [
                peer,
                _number(self.median(peer, lambda turn: turn["ready_seconds"] or None)),
                *(_number(self.median(peer, _memory(n))) for n in ("worker", "total", "processes")),
            ]
            for peer in self.peers
        ]
        return "### Start and memory, all models, after all of the above\n\n" + _table(head, lines)

    def _targets(self) -> str:
        lines = [
            [
                target.words,
                f"{'at least' if target.at_least else 'at most'} {target.limit:g}",
                str(target.ratio) if target.ratio else "not measured",
                "yes" if target.met else "no",
            ]
            for target in self.targets()
        ]
        head = ["ratio within a round", "target", "median (range)", "met"]
        return "### Targets\n\n" + _table(head, lines)

    def _left_out(self) -> str:
        lines = [f"- {peer} left out: {why}" for peer, why in self.results["left_out"].items()]
        for turn in self.turns:
            where = f"{turn['peer']}, round {turn['round']}"
            lines += [f"- {where}, {work}: {why}" for work, why in turn["failures"].items()]
            for work, figures in turn["figures"].items():
                if figures["failed"]:
                    answer = figures["first_failure"].split("\r\n", 1)[0]
                    lines.append(f"- {where}, {work}: {figures['failed']} answers like {answer!r}")
        return "### What failed\n\n" + "\n".join(lines) if lines else ""

    def _speed(self, peer: str, work: str) -> list[str]:
        figures = [_rate(work), _pick(work, "p50_ms"), _pick(work, "p99_ms")]
        return [_number(self.median(peer, figure)) for figure in figures]


def fill(results: dict[str, Any]) -> None:
    """Put a run's tables into the README, between its two marks."""
    text = README.read_text()
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    README.write_text(f"{before}{BEGIN}\n\n{Report(results).markdown()}\n\n{END}{after}")


def _rate(work: str) -> Figure:
    return _pick(work, "requests_per_second")


def _rows(work: str) -> Figure:
    def pick(turn: dict[str, Any]) -> float | None:
        rate = _rate(work)(turn)
        return None if rate is None else rate * BATCH_ROWS

    return pick


def _pick(work: str, name: str) -> Figure:
    def pick(turn: dict[str, Any]) -> float | None:
        return turn["figures"][work][name] if work in turn["figures"] else None

    return pick


def _memory(name: str) -> Figure:
    return lambda turn: turn["memory"].get(name)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    fill(json.loads(Path(sys.argv[1]).read_text()))
