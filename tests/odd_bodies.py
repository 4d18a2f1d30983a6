"""Bodies that hardly anybody would send on purpose, and a client that sends thousands of them."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from models_store.spec import Spec

ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        3.0,
        3.5,
        1e308,
        -1e308,
        2**53,
        2**63,
        10**40,
        "",
        " ",
        "3",
        "true",
        "null",
    ),
    *(
        "\0",
        "\t x ",
        "é" * 300,
        "x" * 5_000,
        "e\u0301",
        "\ud800",
        "\U0001f427",
        "\u200b",
        "\ufeff",
        "a\r\nb",
    ),
    *(
        "2024-02-30",
        "2024-06-01",
        "2024-06-01T00:00:00",
        "0001-01-01",
        "9999-12-31",
        "2016-12-31T23:59:60Z",
    ),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-03-31T02:30:00+01:00", "2024-06-01t00:00:00z"),
    *("9999-12-31T23:59:59-14:00", "2024-06-01T00:00:00.1234567890Z", "2024-06-01T00:00:00+05:99"),
    *([], {}, [1], {"a": 1}, float("nan"), float("inf"), -0.0, 5e-324, 3.0000000001),
]
NUMBERS = [
    b"1e400",
    b"-1e400",
    b"3e0",
    b"-0",
    b"1" * 5_000,
    b"0." + b"0" * 400 + b"1e401",
    b"1E+2",
    b"01",
    b"+1",
]
"""Numbers as no program of Python writes them."""

LETTERS = "aZ0 -'\"\\/\n\t\0éßЖ中\u0661\u0301\u2028\U0001f427"
PIPELINED = 8
"""Requests that are sent before their answers are read; a server closes a connection with more than 16."""


def draw(spec: Spec, bodies: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Draw bodies for the routes of a model: the route's name and the bytes."""
    rng = random.Random(seed)
    for _ in range(bodies):
        if rng.random() < 0.1:
            rows = [_text(spec, rng) for _ in range(rng.randrange(4))]
            yield "predict_batch", b"[" + b",".join(rows) + b"]"
        else:
            yield "predict", _text(spec, rng)


def _text(spec: Spec, rng: random.Random) -> bytes:
    """Write a row in which some values, names or bytes are odd."""
    row = dict(spec.example)
    for name in rng.sample(list(row), rng.randint(0, min(3, len(row)))):
        row[name] = _value(rng)
    kind = rng.randrange(20)
    if kind == 0:
        row.pop(rng.choice(list(row)))
    elif kind == 1:
        row[_word(rng)] = _value(rng)
    raw = json.dumps(row, ensure_ascii=bool(kind % 2)).encode("utf-8", "surrogatepass")
    if kind == 2:
        place = rng.randrange(len(raw))
        raw = raw[:place] + rng.randbytes(1) + raw[place + rng.randrange(2) :]
    elif kind == 3:
        raw = raw[: rng.randrange(len(raw))]
    elif kind == 4:
        raw = raw.replace(b"{", b'{"' + rng.choice(list(row)).encode() + b'": 1, ', 1)
    elif kind in (5, 6):
        raw = raw.replace(str(rng.choice([0, 1, 3, 7])).encode(), rng.choice(NUMBERS), 1)
    return raw


def _value(rng: random.Random) -> Any:
    kind = rng.randrange(6)
    if kind < 3:
        return rng.choice(ODD)
    if kind == 3:
        return rng.choice([-1, 1]) * rng.random() * 10.0 ** rng.randint(-320, 308)
    if kind == 4:
        return _word(rng)
    time = f"T{rng.randrange(25):02}:{rng.randrange(61):02}:{rng.randrange(62):02}"
    offset = rng.choice(["", "Z", "z", f"{rng.choice('+-')}{rng.randrange(25):02}:{rng.randrange(61):02}"])
    day = f"{rng.randrange(10_000):04}-{rng.randrange(14):02}-{rng.randrange(33):02}"
    return day + rng.choice(["", time]) + offset


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(LETTERS, k=rng.choice([1, 5, 30, 250])))


def statuses(port: int, requests: Sequence[tuple[str, bytes] | tuple[str, bytes, str]]) -> list[int]:
    """POST bodies to paths on one connection, many at a time; a closed connection is opened again.

    A third part of a request is its headers, instead of the content type of JSON.
    """
    found: list[int] = []
    while len(found) < len(requests):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            answers = connection.makefile("rb")
            before = len(found)
            for start in range(before, len(requests), PIPELINED):
                part = requests[start : start + PIPELINED]
                connection.sendall(b"".join(_request(*each) for each in part))
                read = [status for status in (_read(answers) for _ in part) if status]
                found += read
                if len(read) < len(part):
                    break
            assert len(found) > before, "the server closes connections without an answer"
    return found


def _request(path: str, body: bytes, head: str = "Content-Type: application/json\r\n") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _read(answers: Any) -> int:
    """Read one answer; 0 if the connection has ended. Errors must be short."""
    status = answers.readline()
    if not status:
        return 0
    length = 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = answers.read(length)
    code = int(status.split()[1])
    assert code == 200 or length < 40_000, body[:200]
    assert code < 500, body
    return code
