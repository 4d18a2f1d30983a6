"""The end of a run: one list of refused rows with their places in the files, and a summary."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prediction.batch import jobs, sinks
from prediction.batch.bulk.parts import Result
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.plans import RunPlan
from prediction.batch.files import Stretch
from prediction.batch.jobs import Summary
from prediction.batch.sinks import Writer
from prediction.batch.sources import Source

SUMMARY, REFUSED = "summary.json", "refused.csv"
COLUMNS = {"file": str, **jobs.REFUSED_COLUMNS}
CHUNK_ROWS = 10_000


def write(plan: RunPlan, output: OutputFolder, results: Mapping[int, Result], summary: Summary) -> None:
    """Write the list of refused rows, if there are any, and then the summary.

    Lists of single units are deleted once all units are done.
    """
    if summary.refused:
        with output.draft(REFUSED) as path, Writer(path, COLUMNS) as listed:
            for rows in _refused(plan, output, results):
                listed.write(sinks.batch_of(rows, COLUMNS))
    output.put(SUMMARY, json.dumps(_described(plan, summary), indent=1).encode())
    if not summary.failed:
        clear(plan, output)


def clear(plan: RunPlan, output: OutputFolder) -> None:
    """Delete the lists of single units."""
    lists = {plan.refused(number) for number in range(len(plan.units))}
    for name in sorted(lists & output.list().keys()):
        output.delete(name)


def read(output: OutputFolder) -> dict[str, Any] | None:
    """Return the summary of a run whose units are all done; None if it, or its list, is not there."""
    try:
        found: Any = json.loads(output.read(SUMMARY) or b"{}")
    except ValueError:  # it is damaged, and is written again
        return None
    if not isinstance(found, dict) or not found.get("is_complete"):
        return None
    return None if found.get("refused") and REFUSED not in output.list() else found


def add(summary: Summary, plan: RunPlan, result: Result) -> None:
    """Count the result of a unit."""
    if result.error:
        summary.failed[plan.place(result.number)] = result.error
        return
    summary.units += 1
    summary.rows += result.rows
    summary.refused += result.refused
    summary.classes.update(result.classes)
    summary.versions[plan.pinned.version] += result.rows - result.refused
    summary.absent += [name for name in result.absent if name not in summary.absent]


def _refused(
    plan: RunPlan, output: OutputFolder, results: Mapping[int, Result]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the refused rows, with their file and their number in it.

    The number is missing behind a unit of the same file that has failed: its rows are not known.
    """
    before: Counter[int] = Counter()
    unknown: set[int] = set()
    for number, bounds in enumerate(plan.units):
        result = results.get(number)
        if result is None or result.error:
            unknown.add(bounds.file)
            continue
        if result.refused:
            name = plan.refused(number)
            data = output.read(name) or b""
            piece = Stretch(name, lambda data=data: io.BytesIO(data), len(data))  # type: ignore[misc]
            url = plan.files[bounds.file].file.url
            for chunk in Source(piece, CHUNK_ROWS, jobs.REFUSED_COLUMNS):
                yield [
                    {
                        **row,
                        "file": url,
                        "row": None if bounds.file in unknown else int(row["row"]) + before[bounds.file],
                    }
                    for row in chunk.by_row()
                ]
        before[bounds.file] += result.rows


def _described(plan: RunPlan, summary: Summary) -> dict[str, Any]:
    return {
        "is_complete": not summary.failed,
        "model": plan.model,
        "version": plan.pinned.version,
        "files": len(plan.files),
        "units": len(plan.units),
        "rows": summary.rows,
        "refused": summary.refused,
        "classes": dict(summary.classes),
        "absent": summary.absent,
        "failed": summary.failed,
    }
