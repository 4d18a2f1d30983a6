"""One unit scored into one part, by the same function in any thread, process and machine.

The part is written whole or not at all, and holds its own counts. Its unit is done when it is there.
"""

from __future__ import annotations

import json
import platform
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial

from models_store import catalog
from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch import files, jobs, scorers
from prediction.batch.bulk import ids, places, units
from prediction.batch.bulk.places import PLAN, InputFile, OutputFolder
from prediction.batch.bulk.plans import ANOTHER, Bounds, PlannedFile, RunPlan, RunRecording
from prediction.batch.files import Stretch, Unwritable
from prediction.batch.formats import json_lines, parquet_files
from prediction.batch.frames import Rows
from prediction.batch.jobs import Job, Summary
from prediction.batch.scorers import LocalScorer, Pinned
from prediction.batch.sinks import Writer
from prediction.batch.sources import Known

FACTS = "prediction-loop"
"""The key of what a part counts, in the metadata of its Parquet file."""

NUMBERED = re.compile(r": .*\b(row|line) \d")

_loading = threading.Lock()


@dataclass(frozen=True)
class Unit:
    """A unit to score; plain values, which travel to a worker anywhere."""

    number: int
    model: str
    pinned: Pinned
    file: PlannedFile
    bounds: Bounds
    output: str
    part: str
    refused: str
    recorded: RunRecording | None = None


@dataclass(frozen=True)
class Result:
    """What became of a unit.

    Parameters
    ----------
    classes
        How often each class was predicted.
    absent
        The optional features that the file has no column for.
    error
        Why the unit has no part.
    """

    number: int
    rows: int = 0
    refused: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)
    absent: Sequence[str] = ()
    error: str = ""


def unit(plan: RunPlan, number: int, output: OutputFolder) -> Unit:
    """Make the task of a unit."""
    bounds = plan.units[number]
    return Unit(
        number,
        plan.model,
        plan.pinned,
        plan.files[bounds.file],
        bounds,
        output.url,
        plan.part(number),
        plan.refused(number),
        plan.recorded,
    )


def score(unit: Unit) -> Result:
    """Score a unit into its part, and list its refused rows beside it; rows count from 1 in the unit.

    A unit that can't be read is a result with an error. The other errors, such as those of the output and
    of the version, concern all units, and are raised.
    """
    try:
        return _score(unit)
    except Unwritable:
        raise
    except InvalidInput as error:
        return Result(unit.number, error=f"{error}{_counted_from(unit, str(error))}")


def _counted_from(unit: Unit, error: str) -> str:
    """Say from where an error counts rows and lines, if not from the beginning of the file."""
    if unit.bounds.start == 0 or not NUMBERED.search(error):
        return ""
    return f" (rows and lines are counted from byte {unit.bounds.start:,} on, and the header is line 1)"


def _score(unit: Unit) -> Result:
    _demand_plan(unit.output)
    spec, scorer = _loaded(unit.model, unit.pinned)
    if unit.recorded is None:
        return _write(unit, Job(spec, scorer, strict=False))
    make = partial(_ids, unit.recorded.run, unit.number)
    with closing(scorers.recording(scorer, unit.recorded.database, make)) as recording:
        return _write(unit, Job(spec, recording, strict=False))


def _ids(run: str, number: int, rows: Rows) -> list[str]:
    return ids.of_rows(run, number, rows.numbers)


def _write(unit: Unit, job: Job) -> Result:
    output, summary = OutputFolder(unit.output), Summary(unit.model)
    source = job.open(_stretch(unit), _known(unit))
    with output.draft(unit.part) as part:
        listed = part.with_name(unit.refused)
        with Writer(part) as scored, Writer(listed, jobs.REFUSED_COLUMNS) as refused:
            job.write(source, scored, refused, summary)
            counts = dict(summary.classes), summary.absent
            result = Result(unit.number, summary.rows, summary.refused, *counts)
            scored.describe(FACTS, _facts(result))
        if summary.refused:  # before the part: with it, the unit is done
            with output.draft(unit.refused) as draft:
                listed.replace(draft)
    return result


@lru_cache(maxsize=2)
def _demand_plan(folder: str) -> None:
    """Check that this process sees the output of the run: on another machine a path may be another folder.

    Raises
    ------
    Unwritable
        When it does not.
    """
    if OutputFolder(folder).read(PLAN) is None:
        raise Unwritable(
            f"{folder} is not the output of the run on {platform.node()}: name a folder that all workers"
            " share, or a bucket"
        )


def _loaded(model: str, pinned: Pinned) -> tuple[Spec, LocalScorer]:
    with _loading:  # threads would load it twice
        return _load(model, pinned)


@lru_cache(maxsize=2)
def _load(model: str, pinned: Pinned) -> tuple[Spec, LocalScorer]:
    (spec,) = catalog.select([model])
    return spec, scorers.load_pinned(spec, pinned)


def _stretch(unit: Unit) -> Stretch:
    file, bounds = unit.file.file, unit.bounds
    if file.kind == ".parquet":
        return units.whole(file)
    head = b""
    if bounds.start and unit.file.head:
        with file.open(0, unit.file.head) as opened:
            head = opened.read()
    return units.stretch(file, bounds.start, bounds.end, head)


def _known(unit: Unit) -> Known:
    return Known(unit.file.form, unit.file.kinds, slice(unit.bounds.start, unit.bounds.end))


def look(stretch: tuple[int, InputFile, Bounds]) -> tuple[int, dict[str, list[str]]]:
    """Return the number of some lines of JSON, and the kinds of values of each column in them."""
    number, file, bounds = stretch
    lines = units.stretch(file, bounds.start, bounds.end)
    with files.reading(lines):
        kinds = json_lines.column_kinds(lines)
    return number, {name: sorted(found) for name, found in kinds.items()}


def done(plan: RunPlan, output: OutputFolder) -> Iterator[Result]:
    """Yield the results of the units that have a part already.

    Raises
    ------
    InvalidInput
        When a file of such a name was written by something else, or is damaged.
    """
    numbers = {plan.part(number): number for number in range(len(plan.units))}
    for part in output.files():
        name = part.url.rpartition("/")[2]
        if name in numbers:
            yield _read(part, numbers[name])
        elif name.startswith(places.PART):
            raise InvalidInput(f"{part.url} is no part of the plan in {PLAN}: {ANOTHER}")


def _read(part: InputFile, number: int) -> Result:
    """Return what a part keeps of its result."""
    from pyarrow.lib import ArrowException

    damaged = f"{part.url} is damaged: delete it, and its unit is scored again"
    with (
        files.one_sentence(damaged, (OSError, ArrowException)),
        parquet_files.opened(units.whole(part)) as opened,
    ):
        facts = (opened.metadata.metadata or {}).get(FACTS.encode(), b"")
    try:
        return Result(number, **json.loads(facts))
    except (ValueError, TypeError):
        raise InvalidInput(f"{part.url} is no part of a run: {ANOTHER}") from None


def _facts(result: Result) -> str:
    """Return what a part keeps of its result: it does not depend on its number or on the time."""
    found = asdict(result)
    del found["number"], found["error"]
    return json.dumps(found, sort_keys=True)
