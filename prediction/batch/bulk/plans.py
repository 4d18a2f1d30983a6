"""The plan of a run, `plan.json` in its output: version, files and units. It is written once.

So a run that was killed goes on as it began, whatever is promoted meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from models_store.errors import InvalidInput
from prediction.batch.bulk.places import PART, PLAN, InputFile, OutputFolder
from prediction.batch.formats.csv_blocks import Form
from prediction.batch.scorers import Pinned

MIN_DIGITS = 5
"""Of the number in a part's name."""

ANOTHER = "name another folder to write"


@dataclass(frozen=True)
class PlannedFile:
    """A file to score, and what is known of all of it.

    Parameters
    ----------
    file
        As it was when the run began.
    form
        How it is written, if it is a CSV of several units.
    head
        How many bytes its header has then.
    kinds
        The kinds of values of each column, if it is JSON Lines of several units.
    """

    file: InputFile
    form: Form | None = None
    head: int = 0
    kinds: dict[str, list[str]] | None = None


@dataclass(frozen=True)
class Bounds:
    """Where a unit lies in its file: bytes, or row groups of Parquet; without an end, up to the file's."""

    file: int
    start: int = 0
    end: int | None = None


@dataclass(frozen=True)
class RunRecording:
    """How the rows of a run are recorded.

    Parameters
    ----------
    run
        The run's own id, from which the ids of the rows follow.
    database
        The kind of the journal's database.
    """

    run: str
    database: str


class RunPlan(BaseModel):
    """What a run does."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[1]
    model: str
    asked: str | None
    """The version that the caller named, if any."""
    pinned: Pinned
    files: list[PlannedFile]
    units: list[Bounds]
    recorded: RunRecording | None = None

    @model_validator(mode="after")
    def _demand_all_rows(self) -> RunPlan:
        """Check that units are all of each file, once and in order: no row is lost or comes twice."""
        place = (0, 0)
        for each in self.units:
            if place != (each.file, each.start) or (each.end is not None and each.end <= each.start):
                raise ValueError("units are not next to each other")
            place = (each.file + 1, 0) if each.end is None else (each.file, each.end)
        if place != (len(self.files), 0):
            raise ValueError("units are not all of the files")
        if any(each.form and not 0 < each.head <= each.file.size for each in self.files):
            raise ValueError("a header is longer than its file")
        return self

    def name(self, number: int) -> str:
        """Return a unit's number as the names of its files have it."""
        return f"{number:0{max(MIN_DIGITS, len(str(len(self.units) - 1)))}d}"

    def part(self, number: int) -> str:
        """Return the name of a unit's part."""
        return f"{PART}{self.name(number)}.parquet"

    def refused(self, number: int) -> str:
        """Return the name of the list of the rows that are refused in a unit."""
        return f"refused-{self.name(number)}.csv"

    def place(self, number: int) -> str:
        """Say where a unit lies, for people."""
        bounds = self.units[number]
        file = self.files[bounds.file].file
        if bounds.start == 0 and bounds.end is None:
            return file.url
        if file.kind == ".parquet":
            last = "" if bounds.end is None or bounds.end == bounds.start + 1 else f" to {bounds.end - 1}"
            return f"{file.url}, row group{'s' if last else ''} {bounds.start}{last}"
        end = file.size if bounds.end is None else bounds.end
        return f"{file.url}, bytes {bounds.start:,} to {end:,}"


def write(plan: RunPlan, output: OutputFolder) -> bool:
    """Write the plan of a new run; return False if another run has just begun there."""
    return output.create(PLAN, plan.model_dump_json(exclude_defaults=True).encode())


def read(output: OutputFolder) -> RunPlan | None:
    """Read the plan of a folder, if it has one.

    Raises
    ------
    InvalidInput
        When it can't be read, or the folder has parts without a plan.
    """
    text = output.read(PLAN)
    if text is None:
        _refuse_parts(output)
        return None
    try:
        return RunPlan.model_validate_json(text)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "it"
        raise InvalidInput(
            f"{output.url}/{PLAN} can't be used: {where} is not as this release writes it: {ANOTHER}"
        ) from error


def _refuse_parts(output: OutputFolder) -> None:
    ours = [name for name in output.list() if name.startswith(PART)]
    if ours:
        raise InvalidInput(f"{output.url} holds {min(ours)}, and no {PLAN} of a run: {ANOTHER}")


def demand_same(
    plan: RunPlan,
    output: OutputFolder,
    model: str,
    asked: str | None,
    found: Sequence[InputFile],
    *,
    journal: bool = False,
) -> None:
    """Check that a run may go on: the same model, version, files and recording as in its plan.

    Raises
    ------
    InvalidInput
        Naming the first difference.
    """
    names = {None, plan.asked, plan.pinned.version, f"{plan.model}:{plan.pinned.version}"}
    difference = ""
    if plan.model != model:
        difference = f"the model {plan.model}, and not of {model}"
    elif asked not in names:
        difference = f"version {plan.pinned.version}, and not of {asked}"
    elif journal is not (plan.recorded is not None):
        difference = f"rows that are {'not ' * journal}recorded in the journal"
    else:
        difference = next(_changes([each.file for each in plan.files], found), "")
    if difference:
        raise InvalidInput(f"{output.url} holds a run of {difference}: {ANOTHER}")


def _changes(planned: Sequence[InputFile], found: Sequence[InputFile]) -> Iterator[str]:
    by_url = {each.url: each for each in found}
    known = {each.url for each in planned}
    for each in planned:
        if each.url not in by_url:
            yield f"other files: {each.url} is not among them any more"
        elif each != by_url[each.url]:
            yield f"other files: {each.url} has changed since"
    for each in found:
        if each.url not in known:
            yield f"other files: {each.url} is new"
