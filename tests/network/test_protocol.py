"""One connection of a real server process: heads, framing, pipelining, and what a refused client reads."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import socket
import time
from collections.abc import Iterator

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from prediction.network import protocol
from prediction.network.protocol import MAX_HEAD_BYTES, MAX_HEADER_LINES, MAX_PIPELINED
from tests.network.small_server import (
    BIG_BYTES,
    Small,
    get,
    is_open,
    problem,
    read_to,
    read_to_end,
    running,
    send,
)

CLOSE = b"Connection: close\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def small() -> Iterator[Small]:
    """A server that gives a head a second, and an answer two to be read."""
    with running(head_seconds=1, keep_alive_seconds=4, unread_seconds=2) as server:
        yield server


# ---------------------------------------------------------------------------------------------- heads


def padded(size: int) -> bytes:
    """Return a GET of a size."""
    start = get("/", CLOSE + b"X-Pad: \r\n")
    return get("/", CLOSE + b"X-Pad: " + b"y" * (size - len(start)) + b"\r\n")


def lines(count: int) -> bytes:
    """Return a GET with so many header lines."""
    return get("/", CLOSE + b"".join(b"X-%d: y\r\n" % number for number in range(count - 2)))


def test_heads_up_to_the_limits_are_answered(small: Small) -> None:
    """The largest head and the greatest number of lines get an answer, at once or in two pieces."""
    for head in (padded(MAX_HEAD_BYTES), lines(MAX_HEADER_LINES)):
        assert MAX_HEAD_BYTES >= len(head)
        assert small.exchange(head).startswith(b"HTTP/1.1 200 ")
        with small.connect(head[:-1]) as client:
            time.sleep(0.1)
            client.sendall(head[-1:])
            assert read_to_end(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        padded(MAX_HEAD_BYTES + 1),
        lines(MAX_HEADER_LINES + 1),
        lines(MAX_HEADER_LINES + 2)[:-2],
        get("/", b"X: " + b"y" * 3_000_000),
        get("/", b"X" * 3_000_000),
        get("/" + "y" * 3_000_000),
        b"\r\n" * 1_000_000,
        lines(100_000),
    ],
    ids=["bytes", "lines", "lines without end", "value", "name", "path", "empty lines", "many lines"],
)
def test_a_head_over_a_limit_is_a_431(small: Small, head: bytes) -> None:
    """A head that is too large is refused in the common shape, and its sender reads that."""
    before = small.closed("head_too_large")

    assert "the headers are too large" in problem(small.exchange(head), 431)
    assert before + 1 == small.closed("head_too_large")


def test_each_request_of_a_connection_has_the_whole_limit(small: Small) -> None:
    """Bytes of earlier requests, bodies included, do not count for the next head."""
    body = b"z" * 100_000
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nX: %b\r\n\r\n" % (
        len(body),
        b"y" * 60_000,
    )
    with small.connect() as client:
        for _ in range(3):
            client.sendall(request + body)
        client.sendall(padded(MAX_HEAD_BYTES))
        answer = read_to_end(client)

    assert [b"100000"] * 3 + [b"ok"] == [part.partition(b"\r\n\r\n")[2] for part in answers(answer)]


def answers(received: bytes) -> list[bytes]:
    """Return the answers of one connection."""
    return re.split(rb"(?<!^)(?=HTTP/1.1 \d{3} )", received)


def test_memory_stays_flat_while_heads_never_end(small: Small) -> None:
    """Eight clients send 30 MB of header lines each; the server grows by less than 30 MB."""
    before = small.process.memory_info().rss
    chunk = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 1_000) for number in range(1_000))
    clients = [small.connect(b"GET / HTTP/1.1\r\nHost: localhost\r\n") for _ in range(8)]
    most = 0
    for _ in range(30):
        for client in clients:
            send(client, chunk)
        most = max(most, small.process.memory_info().rss)
    for client in clients:
        client.close()

    assert most - before < 30_000_000


def test_a_slow_head_is_a_408(small: Small) -> None:
    """A head that trickles in is given up after its time, however often a byte comes."""
    with small.connect(b"GET / HTTP/1.1\r\nX: ") as client:
        started = time.monotonic()
        while time.monotonic() - started < 4:
            time.sleep(0.2)
            send(client, b"y")
        answer = read_to_end(client)

    assert "the headers took too long" in problem(answer, 408)


def test_a_slow_second_head_is_a_408_too(small: Small) -> None:
    """A kept connection has no more time for a head than a new one."""
    with small.connect(get("/")) as client:
        assert read_to(client, b"ok")
        time.sleep(1.5)
        client.sendall(b"GET / HT")
        started = time.monotonic()
        problem(read_to_end(client), 408)

    assert 1 <= time.monotonic() - started < 4


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_what_is_not_http_is_a_400_in_the_common_shape(small: Small, sent: bytes) -> None:
    """Bytes that are no request get an answer like all errors."""
    assert "not a valid HTTP/1.1 request" in problem(small.exchange(sent), 400)


@pytest.mark.parametrize(
    "target",
    [
        b"CONNECT host:80",
        b"GET http://host:99999/",
        b"GET http:///",
        b"GET http://[::1/",
        b"GET http://host",
    ],
)
def test_an_address_that_is_none_is_a_400(small: Small, target: bytes) -> None:
    """Such a request begins as any other, and its head ends with an address that can't be read."""
    sent = target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"

    assert "not a valid HTTP/1.1 request" in problem(small.exchange(sent), 400)
    first, second = answers(small.exchange(get("/slow") + sent))
    assert first.endswith(b"ok")
    assert problem(second, 400)


# -------------------------------------------------------------------------------------------- framing


@pytest.mark.parametrize(
    "framing",
    [
        b"\r\n1;" + b"e" * 3_000_000,
        b"\r\n0\r\nTrailer: " + b"t" * 3_000_000,
        b"\r\n0\r\n" + b"T: t\r\n" * 500_000,
    ],
    ids=["extension", "trailer", "trailers"],
)
def test_endless_framing_is_a_400(small: Small, framing: bytes) -> None:
    """Extensions of chunks and trailers are bounded."""
    assert "the chunks of the body" in problem(small.exchange(CHUNKED + framing), 400)


def test_a_body_in_chunks_of_one_byte_is_read(small: Small) -> None:
    """Small chunks are no abuse."""
    body = b"1\r\nz\r\n" * 100_000 + b"0\r\n\r\n"
    assert small.exchange(CHUNKED + CLOSE + b"\r\n" + body).endswith(b"\r\n\r\n100000")


def test_a_broken_body_is_a_400(small: Small) -> None:
    """A fault in a body that is being read is answered once."""
    assert problem(small.exchange(CHUNKED + b"\r\n1\r\nz\r\nnonsense\r\n"), 400)


def test_a_body_that_nobody_reads_does_not_hold_a_connection(small: Small) -> None:
    """The rest of a body that comes after the answer has the time of a head."""
    with small.connect(get("/", b"Content-Length: 10\r\n")) as client:
        started = time.monotonic()
        assert read_to_end(client).endswith(b"ok")

    assert 1 <= time.monotonic() - started < 4


# ----------------------------------------------------------------------------------------- pipelining


def test_pipelined_requests_are_answered_in_order(small: Small) -> None:
    """Several requests in one piece get their answers in order."""
    post = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
    answer = small.exchange(get("/slow") + post + get("/", CLOSE))

    assert [b"ok", b"3", b"ok"] == [part.partition(b"\r\n\r\n")[2] for part in answers(answer)]


def test_too_many_pipelined_requests_are_not_taken(small: Small) -> None:
    """The first ones are answered, then the connection closes: a client may send the rest again."""
    before = small.process.memory_info().rss
    with small.connect() as client:
        send(client, get("/slow") + get("/") * 200_000)
        answer = read_to_end(client)

    assert 1 + MAX_PIPELINED == len(answers(answer))
    assert answer.endswith(b"ok")
    assert small.process.memory_info().rss - before < 10_000_000


def test_requests_of_a_client_that_has_gone_are_not_answered(small: Small) -> None:
    """Those that wait are not begun, and the answer in the making is no error in the log."""
    before = json.loads(small.get("/seen"))
    with small.connect(get("/slow") * 2 + get("/") * 5) as client:
        read_to(client, b"ok")
    time.sleep(1.5)

    both_slow_and_seen = 3
    expected = before | {"begun": before["begun"] + both_slow_and_seen}
    assert expected == json.loads(small.get("/seen"))


def test_a_fault_is_answered_after_the_requests_before_it(small: Small) -> None:
    """An error answer never gets into the middle of another answer."""
    for fault in (b"nonsense\r\n\r\n", CHUNKED + b"\r\nnonsense\r\n", padded(3 * MAX_HEAD_BYTES)):
        first, second = answers(small.exchange(get("/slow") + fault))

        assert first.endswith(b"ok")
        assert problem(second, 431 if fault.startswith(b"GET") else 400)


# --------------------------------------------------------------------------------- small print of HTTP


@pytest.mark.parametrize("protocol_name", [b"websocket", b"h2c"])
def test_a_request_to_upgrade_is_answered_as_it_is(small: Small, protocol_name: bytes) -> None:
    """No route upgrades: the answer is HTTP/1.1, and the connection closes."""
    headers = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % protocol_name
    answer = small.exchange(get("/", headers) + b"bytes of another protocol")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert 1 == len(answers(answer))


@pytest.mark.parametrize(
    ("framing", "body", "size"),
    [
        (b"Content-Length: 3", [b"abc"], 3),
        (b"Content-Length: 0", [b""], 0),
        (b"Content-Length: 3", [b"", b"a", b"bc"], 3),
        (b"Content-Length: 100000", [b"y" * 100_000], 100_000),
        (b"Transfer-Encoding: chunked", [b"1\r\nz\r\n" * 50_000, b"1\r\nz\r\n0\r\n", b"\r\n"], 50_001),
    ],
)
def test_the_body_of_a_request_to_upgrade_is_read(
    small: Small, framing: bytes, body: list[bytes], size: int
) -> None:
    """In one piece with its head or later; what is behind it is of another protocol."""
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\n" + H2C + framing + b"\r\n\r\n"
    with small.connect(get("/") + head + body[0]) as client:
        for piece in body[1:]:
            time.sleep(0.05)
            client.sendall(piece)
        send(client, b"bytes of another protocol")
        first, second = answers(read_to_end(client))

    assert first.endswith(b"ok")
    assert second.endswith(b"\r\n\r\n%d" % size)


def test_a_broken_body_of_a_request_to_upgrade_is_a_400(small: Small) -> None:
    """Its framing has the rules and the limits of any other."""
    head = CHUNKED + H2C + b"\r\n"

    assert "not a valid" in problem(small.exchange(head + b"1\r\nz\r\nnonsense\r\n"), 400)
    assert "the chunks of the body" in problem(small.exchange(head + b"1;" + b"e" * 3_000_000), 400)


def test_a_client_that_waits_for_100_continue_gets_it(small: Small) -> None:
    """`Expect: 100-continue` works as before."""
    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
        + CLOSE
        + b"\r\n"
    )
    with small.connect(head) as client:
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == client.recv(1_000)
        client.sendall(b"abc")
        assert read_to_end(client).endswith(b"\r\n\r\n3")


def test_head_and_http_1_0_are_answered(small: Small) -> None:
    """HEAD has no body, and HTTP/1.0 closes."""
    assert small.exchange(get("/", CLOSE).replace(b"GET", b"HEAD")).endswith(b"\r\n\r\n")
    assert small.exchange(b"GET / HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nok")


def test_clients_that_leave_leave_nothing_behind(small: Small) -> None:
    """Connections cut in a head, a body or an answer free their descriptors."""
    before = small.process.num_fds()
    for sent in (
        b"",
        b"GET / H",
        CHUNKED + b"\r\n5\r\nab",
        get("/slow"),
        get("/slow") * 5,
        get("/big"),
        b"no\r\n\r\n",
    ):
        for _ in range(5):
            client = small.connect(sent)
            client.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
            )  # close by a reset
            client.close()
            small.connect(sent).close()
    deadline = time.monotonic() + 10
    while small.process.num_fds() > before and time.monotonic() < deadline:
        time.sleep(0.1)

    assert before >= small.process.num_fds()
    assert b"ok" == small.get("/")


# -------------------------------------------------------------------------------------------- readers


def test_a_client_that_does_not_read_is_cut(small: Small) -> None:
    """An answer that nobody reads is dropped after its time, kept connection or not."""
    before = small.closed("unread")
    clients = [small.connect(get("/big", headers), 4_096) for headers in (b"", CLOSE)]
    time.sleep(5)

    assert before + 2 == small.closed("unread")
    for client in clients:
        assert len(read_to_end(client)) < BIG_BYTES
        client.close()


def test_a_client_that_reads_slowly_gets_all(small: Small) -> None:
    """A reader that goes on is waited for, longer than the time without any progress."""
    with small.connect(get("/big", CLOSE), 4_096) as client:
        size, started = 0, time.monotonic()
        while part := client.recv(1_000_000):
            size += len(part)
            if time.monotonic() - started < 6:
                time.sleep(0.02)

    assert time.monotonic() - started >= 6
    assert size > BIG_BYTES


# ---------------------------------------------------------------------------- keep-alive and shutdown


def test_a_kept_connection_lives_for_the_keep_alive_and_no_longer(small: Small) -> None:
    """uvicorn's own time, a second here, does not act; ours does, after each request anew."""
    with small.connect() as client:
        for _ in range(2):
            client.sendall(get("/"))
            assert read_to(client, b"ok")
            time.sleep(2.5)
            assert is_open(client)
        time.sleep(3.5)
        assert not is_open(client)


# ------------------------------------------------------------------------------- uvicorn as we know it


def test_uvicorn_has_what_we_rely_on() -> None:
    """The methods that are overridden exist, and the one that is replaced still does what ours does."""
    for name, method in vars(protocol.Connection).items():
        if not name.startswith("_") and inspect.isfunction(method) and hasattr(HttpToolsProtocol, name):
            expected = list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters)
            assert expected == list(inspect.signature(method).parameters)
    source = inspect.getsource(HttpToolsProtocol.on_response_complete)
    for part in ("total_requests += 1", "flow.resume_reading()", "self.pipeline.pop()", "call_later"):
        assert part in source
    assert "self.pipeline.appendleft(" in inspect.getsource(HttpToolsProtocol.on_headers_complete)
    assert issubclass(HttpToolsProtocol, asyncio.Protocol)
    sends = inspect.getsource(RequestResponseCycle.send)
    for part in ("self.response_started = True", "if not self.keep_alive and not has_connection_close"):
        assert part in sends
