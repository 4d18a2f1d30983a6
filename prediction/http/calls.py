"""A POST route, described once.

The entrance's answers, the APIs that BentoML's clients read and `docs.json` all come from this description.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from models_store.validation import Validator
from prediction.http.bodies import Problem
from prediction.http.incoming_bodies import JSON, Media

SCHEMAS = "#/components/schemas/"
PROBLEMS = {
    400: "Invalid input: the wrong places are in detail, at most 100",
    401: "The admin token is missing or wrong",
    403: "No admin token is configured, or a page of another origin sent a body without a type",
    404: "No such model, version, prediction or run",
    408: "The body did not arrive in time",
    409: "Conflict: there is another label already, the run has ended, or there is no previous champion",
    413: "The body is too large",
    415: "The body is not sent as application/json, or compressed by something else than gzip",
    421: "The Host is no name of this server: PREDICTION_HOSTS lists its names",
    429: "The worker is busy: wait for the seconds in Retry-After",
    500: "A defect of the service: its log has the traceback",
    503: "Not ready, or the journal does not answer",
}

OF_EVERY_POST = (400, 408, 413, 415, 421, 429, 500, 503)

BEARER = {"type": "http", "scheme": "bearer", "description": "PREDICTION_ADMIN_TOKEN"}


class Answerable(Protocol):
    """A POST as the entrance answers it; `Call` has the words for each part."""

    media: ClassVar[Media]

    @property
    def model(self) -> str:
        """The name of the model."""

    @property
    def name(self) -> str:
        """The last part of the route."""

    @property
    def path(self) -> str:
        """The route."""

    @property
    def admin(self) -> bool:
        """Whether it needs the admin token."""

    @property
    def status(self) -> int:
        """The status of a good answer."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a good answer, besides those of every answer."""

    @property
    def max_bytes(self) -> int | None:
        """The size that the body may have; None for the server's limit."""

    async def respond(self, raw: bytes) -> bytes:
        """Answer the bytes of a body with the bytes of another."""


@dataclass(frozen=True)
class Call:
    """One POST of one model.

    Parameters
    ----------
    summary, example
        For the docs page; its "try it" sends the example as it is.
    validator
        Reads the body: one row, or an array of at most `max_rows` where that is set.
    answer
        The type of the answer, for clients and the docs page.
    run
        Makes an answer from a validated body.
    write
        Writes the answer as JSON; by default an answer of plain values.
    admin
        Whether it needs the admin token.
    status
        The status of a good answer.
    refusals
        Error statuses besides those of every POST.
    """

    media: ClassVar[Media] = JSON
    headers: ClassVar[Mapping[str, str]] = {}

    model: str
    name: str
    summary: str
    validator: Validator[Any]
    answer: Any
    example: Any
    run: Callable[[Any], Awaitable[Any]]
    write: Callable[[Any], bytes] = to_json
    max_rows: int | None = None
    admin: bool = False
    status: int = 200
    refusals: tuple[int, ...] = ()

    @property
    def path(self) -> str:
        """The route."""
        return f"/{self.model}/{self.name}"

    @property
    def method(self) -> str:
        """The name of the client's method."""
        return f"{self.model}_{self.name}"

    @property
    def body(self) -> Any:
        """The type of the request body."""
        row: Any = self.validator.model
        return row if self.max_rows is None else list[row]

    @property
    def max_bytes(self) -> int | None:
        """The size that the body of one row may have; None for an array, which has the server's limit."""
        return self.validator.row_bytes if self.max_rows is None else None

    async def parse(self, raw: bytes) -> Any:
        """Validate a body. Other requests have their turn between the parts of a long array.

        Raises
        ------
        InvalidInput
            With a detail for each wrong place.
        """
        if self.max_rows is None:
            return self.validator.row(raw)
        rows: list[Any] = []
        for number, part in enumerate(self.validator.parts(raw, self.max_rows)):
            rows += part
            if number:
                await asyncio.sleep(0)
        return rows

    async def respond(self, raw: bytes) -> bytes:
        """Answer the bytes of a body with the bytes of a JSON body."""
        return self.write(await self.run(await self.parse(raw)))


def operations(calls: Sequence[Call]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Describe calls as OpenAPI 3.1.

    Returns
    -------
    tuple
        The POST operation of each path, and the schemas that they refer to.
    """
    found, schemas = {}, dict[str, Any]()
    for call in calls:
        body = schema(call.body, schemas)
        refusals = {*OF_EVERY_POST, *call.refusals, *((401, 403) if call.admin else ())}
        found[call.path] = {
            "tags": [call.model],
            "summary": call.summary,
            "operationId": call.method,
            "x-bentoml-name": call.method,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": body, "example": call.example}},
            },
            "responses": responses(call.answer, refusals, schemas, call.status),
        }
        if call.admin:
            found[call.path]["security"] = [{"admin": []}]
    return found, schemas


def responses(
    answer: Any,
    refusals: Iterable[int],
    schemas: dict[str, Any],
    status: int = 200,
    problem: type[BaseModel] = Problem,
) -> dict[int, dict[str, Any]]:
    """Describe an answer and its possible errors; add their models to `schemas`."""
    good = _content("The answer", schema(answer, schemas))
    bad = schema(problem, schemas)
    return {status: good} | {each: _content(PROBLEMS[each], bad) for each in sorted(refusals)}


def _content(words: str, described: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": described}}}


def schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return a type's schema, which refers to models by name; add the models to `schemas`."""
    wrapped = TypeAdapter(list[kind]).json_schema(ref_template=f"{SCHEMAS}{{model}}")
    schemas |= wrapped.get("$defs", {})
    return dict(wrapped["items"])
