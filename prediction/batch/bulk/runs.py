"""A run: files and folders scored into the parts of a folder, by the workers of an executor.

Its state is its output: a run that was killed goes on when it is started again in the same way.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from models_store.errors import Error, InvalidInput
from models_store.spec import Spec
from prediction.batch import scorers
from prediction.batch.bulk import clusters, endings, ids, parts, places, plans, running, units
from prediction.batch.bulk.parts import Result, Unit
from prediction.batch.bulk.places import InputFile, OutputFolder
from prediction.batch.bulk.plans import Bounds, PlannedFile, RunPlan, RunRecording
from prediction.batch.bulk.units import Sizes
from prediction.batch.bulk.workers import Processes
from prediction.batch.jobs import Summary, Watch

AGAIN = "give the same command again to go on"
TASKS_OF_AN_EXECUTOR = 64
"""The most tasks that an executor of the caller has at a time."""

TASKS_OF_A_PROCESS = 2


@dataclass(frozen=True)
class Workers:
    """Who scores the units: an executor of the caller, a Dask cluster, or processes of this machine.

    Parameters
    ----------
    dask
        The address of a scheduler.
    outstanding
        The most units that an executor has at a time.
    """

    executor: Executor | None = None
    processes: int | None = None
    dask: str | None = None
    outstanding: int = TASKS_OF_AN_EXECUTOR

    def __post_init__(self) -> None:
        given = [name for name in ("executor", "dask", "processes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InvalidInput(f"{given[0]} has its own workers: leave {given[1]} out")
        if self.processes is not None and self.processes < 1:
            raise InvalidInput("processes must be 1 or more")
        if self.outstanding < 1:  # with none no unit would be scored
            raise InvalidInput("outstanding must be 1 or more")


def score(
    spec: Spec,
    rows: Sequence[str | Path],
    output: OutputFolder,
    *,
    version: str | None = None,
    workers: Workers,
    sizes: Sizes | None = None,
    journal: bool = False,
    watch: Watch | None = None,
) -> Summary:
    """Score files into a folder.

    Parameters
    ----------
    rows
        Paths, folders, patterns and URLs.
    journal
        Whether rows are recorded; on workers that may be on other machines, on PostgreSQL only.

    Raises
    ------
    InvalidInput
        When the folder holds another run, or can't be written.
    """
    for each in rows:
        if output.lies_in(each):  # its parts would be read when the run goes on
            raise InvalidInput(f"{output.url} lies in {each}, which is read: {plans.ANOTHER}")
    recorded = _recorded(workers) if journal else None
    found = places.find(rows)
    held = next((each for each in found if output.holds(each)), None)
    if held is not None:
        raise InvalidInput(f"{held.url} is read, and lies in {output.url}: {plans.ANOTHER}")
    with _executor(workers) as (executor, outstanding):
        run = _Run(spec, output, executor, outstanding, recorded)
        plan = run.plan(found, version, sizes or Sizes())
        return run.score(plan, watch)


def _recorded(workers: Workers) -> RunRecording:
    database = scorers.database()
    is_here = workers.dask is None and isinstance(
        workers.executor, ThreadPoolExecutor | ProcessPoolExecutor | None
    )
    if database == "sqlite" and not is_here:
        raise InvalidInput(
            "workers on other machines can't record rows in a SQLite journal: let PREDICTION_DATABASE_URL"
            " name a PostgreSQL, or leave journal out"
        )
    return RunRecording(ids.new_run(), database)


@contextmanager
def _executor(workers: Workers) -> Iterator[tuple[Executor, int]]:
    if workers.executor is not None:
        yield workers.executor, workers.outstanding
        return
    if workers.dask is not None:
        with clusters.connect(workers.dask) as cluster:
            yield cluster, max(workers.outstanding, TASKS_OF_A_PROCESS * cluster.threads)
        return
    count = workers.processes or len(os.sched_getaffinity(0))
    with Processes(count) as executor:
        try:
            yield executor, TASKS_OF_A_PROCESS * count
        except BaseException:
            executor.kill()
            raise


@dataclass(frozen=True)
class _Run:
    spec: Spec
    output: OutputFolder
    executor: Executor
    outstanding: int
    recorded: RunRecording | None

    def plan(self, found: Sequence[InputFile], version: str | None, sizes: Sizes) -> RunPlan:
        """Return the plan that the output has, or write one."""
        known = plans.read(self.output)
        if known is None:
            made = self._make(found, version, sizes)
            if plans.write(made, self.output):
                return made
            known = plans.read(self.output)
            assert known is not None
        journal = self.recorded is not None
        plans.demand_same(known, self.output, self.spec.name, version, found, journal=journal)
        self._demand_vouched(known)
        return known

    def _demand_vouched(self, known: RunPlan) -> None:
        """Check the digest in the plan: whoever can write into the folder could name another version's."""
        version = known.pinned.version
        if scorers.pin(self.spec, version).digest != known.pinned.digest:
            raise InvalidInput(
                f"{self.output.url}/{places.PLAN} can't be used: it names another content of version"
                f" {version} than this home has: {plans.ANOTHER}"
            )

    def _make(self, found: Sequence[InputFile], version: str | None, sizes: Sizes) -> RunPlan:
        files, bounds = list[PlannedFile](), list[Bounds]()
        pinned = scorers.pin(self.spec, version)
        for number, file in enumerate(found):
            planned, cuts = units.cut(file, number, self.spec, sizes)
            if file.kind == ".jsonl" and len(cuts) > 1:
                try:
                    planned = replace(planned, kinds=self._look(file, cuts))
                except InvalidInput:  # as one unit it fails alone, and says why
                    cuts = [Bounds(number)]
            files.append(planned)
            bounds += cuts
        return RunPlan(
            format=1,
            model=self.spec.name,
            asked=version,
            pinned=pinned,
            files=files,
            units=bounds,
            recorded=self.recorded,
        )

    def _look(self, file: InputFile, cuts: Sequence[Bounds]) -> dict[str, list[str]]:
        """Return the kinds of values of each column of JSON Lines, in the order of the columns."""
        lines = [(number, file, each) for number, each in enumerate(cuts)]
        results = dict(running.run(parts.look, lines, self.executor, self.outstanding, _refuse))
        kinds: dict[str, set[str]] = {}
        for number in range(len(cuts)):
            for name, found in results[number].items():
                kinds.setdefault(name, set()).update(found)
        return {name: sorted(found) for name, found in kinds.items()}

    def score(self, plan: RunPlan, watch: Watch | None) -> Summary:
        """Score the units that have no part yet."""
        self.output.clean()
        results = self._done(plan)
        summary, started = Summary(plan.model), time.perf_counter()
        for result in results.values():
            endings.add(summary, plan, result)
        summary.rows_before = summary.rows
        weights = _weights(plan)
        total, weight = sum(weights), sum(weights[number] for number in results)
        try:
            for result in self._results(plan, results):
                results[result.number] = result
                endings.add(summary, plan, result)
                weight += weights[result.number]
                summary.seconds = time.perf_counter() - started
                if watch is not None:
                    watch(summary, weight / total)
            if summary.failed or endings.read(self.output) is None:
                endings.write(plan, self.output, results, summary)
            else:
                endings.clear(plan, self.output)
        except KeyboardInterrupt as stopped:
            stopped.add_note(_told(plan, summary))
            raise
        except Error as error:
            raise type(error)(f"{error}; {_told(plan, summary)}") from error
        self.output.clean()
        if summary.refused:
            summary.refused_file = f"{self.output.url}/{endings.REFUSED}"
        summary.seconds = time.perf_counter() - started
        return summary

    def _done(self, plan: RunPlan) -> dict[int, Result]:
        """Return the results of units that are done; before the end, one whose list is lost is not."""
        done = list(parts.done(plan, self.output))
        if len(done) < len(plan.units) or endings.read(self.output) is None:
            there = self.output.list()
            done = [each for each in done if not each.refused or plan.refused(each.number) in there]
        return {each.number: each for each in done}

    def _results(self, plan: RunPlan, done: Mapping[int, Result]) -> Iterator[Result]:
        left = [number for number in range(len(plan.units)) if number not in done]
        tasks = (parts.unit(plan, number, self.output) for number in left)
        return running.run(parts.score, tasks, self.executor, self.outstanding, _failed)


def _failed(unit: Unit, reason: str) -> Result:
    return Result(unit.number, error=reason)


def _refuse(_: object, reason: str) -> NoReturn:
    raise InvalidInput(reason)


def _weights(plan: RunPlan) -> list[float]:
    """Return how large each unit is, about, in bytes."""
    units_of = Counter(each.file for each in plan.units)
    return [(plan.files[each.file].file.size + 1) / units_of[each.file] for each in plan.units]


def _told(plan: RunPlan, summary: Summary) -> str:
    return f"{summary.units:,} of {len(plan.units):,} units are done: {AGAIN}"
