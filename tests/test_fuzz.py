"""Ten thousand bodies that nobody would send on purpose, against a real server.

Hypothesis draws them from a fixed seed; threads send them. Whatever comes in, no answer is a 5xx.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from models_store import store
from models_store.features.feature import Feature
from models_store.spec import Spec
from tests import databases, kinds
from tests.databases import KINDS
from tests.servers import Server, run

REQUESTS = 11_000
DRAWN = 1_500
"""By hypothesis; the others are made of them, which takes less time."""

THREADS = 8
ALLOWED = {200, 400, 403, 404, 405, 413, 415}
STEERED = 400
TOKEN = "a-token-of-the-tests"
JSON = {"content-type": "application/json"}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["NaN", "", "5.1", "null", "\x00", "\ud800", "'; DROP TABLE predictions", "\u0665", 1e400]
    )
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    path: str
    raw: bytes
    headers: dict[str, str] = field(default_factory=lambda: JSON)


def encode(document: Any) -> bytes:
    """Write a document as JSON, with all that Python's writer lets through."""
    return json.dumps(document).encode("utf-8", "surrogatepass")


@st.composite
def mutated_rows(draw: st.DrawFn, spec: Spec) -> dict[str, Any]:
    """Draw a valid row in which a few things were changed."""
    row: dict[str, Any] = dict(spec.example)
    names = list(row)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        name = draw(st.sampled_from(names))
        feature = spec.inputs[name]
        change = draw(st.sampled_from(["drop", "rename", "replace", "edge", "wrap"]))
        if change == "drop":
            row.pop(name, None)
        elif change == "rename":
            row[draw(st.sampled_from([name.upper(), f" {name}", name[:-1], "__class__", ""]))] = 1.0
        elif change == "replace":
            row[name] = draw(DOCUMENTS)
        elif change == "edge":
            row[name] = draw(st.sampled_from([*kinds.categories(feature), *edges(feature)]))
        else:
            row[name] = [row.get(name)]
    return row


def edges(feature: Feature) -> list[float]:
    """Return numbers at the limits of a range."""
    if not kinds.is_measured(feature):
        return [0, 5e-324]
    low, high = kinds.limits(feature)
    return [low, high, -high, high * (1 + 1e-15), 0, 5e-324]


@st.composite
def raw_bytes(draw: st.DrawFn, spec: Spec) -> bytes:
    """Draw bytes: any at all, or a valid body that was cut, doubled or hurt in one place."""
    good = encode(spec.example)
    kind = draw(st.sampled_from(["any", "cut", "hurt", "doubled", "nested", "encoded"]))
    if kind == "any":
        return draw(st.binary(max_size=200))
    if kind == "cut":
        return good[: draw(st.integers(0, len(good)))]
    if kind == "doubled":
        return good + draw(st.sampled_from([b"", b" ", b",", b"\n"])) + good
    if kind == "nested":
        bracket = draw(st.sampled_from([b"[", b'{"a":', b"[{"]))
        return bracket * draw(st.integers(1, 3_000))
    if kind == "encoded":
        return good.decode().encode(draw(st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "cp037"])))
    hurt = bytearray(good)
    hurt[draw(st.integers(0, len(hurt) - 1))] = draw(st.integers(0, 255))
    return bytes(hurt)


def odd_headers() -> st.SearchStrategy[dict[str, str]]:
    """Draw headers that a client might send by mistake."""
    kinds = [
        "application/json",
        "application/JSON;charset=latin-1",
        "text/plain",
        "",
        "multipart/form-data",
    ]
    kinds += ["application/vnd.bentoml+pickle", "multipart/form-data; boundary=x", "application/x-protobuf"]
    others = {
        "content-encoding": ["gzip", "br"],
        "accept": ["text/html", "application/xml"],
        "authorization": ["Bearer x", "Basic !!!", ""],
        "x-forwarded-for": ["127.0.0.1", "a" * 500],
        "range": ["bytes=0-1"],
        "if-none-match": ["*"],
        "upgrade": ["h2c", "websocket"],
        "expect": ["100-continue"],
    }
    every = st.fixed_dictionaries(
        {"content-type": st.sampled_from(kinds)},
        optional={name: st.sampled_from(values) for name, values in others.items()},
    )
    return st.sampled_from([*[JSON] * 9, None]).flatmap(
        lambda usual: every if usual is None else st.just(usual)
    )


@st.composite
def requests(draw: st.DrawFn, specs: dict[str, Spec]) -> Sent:
    """Draw one request to some route."""
    name = draw(st.sampled_from(list(specs)))
    spec = specs[name]
    what = draw(st.sampled_from([*["row"] * 6, *["rows"] * 2, "document", "bytes", "bytes", "path"]))
    if what == "path":
        method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]))
        part = draw(
            st.sampled_from(["x", "%00", "%ff", "..", "%2e%2e", "a" * 300, "01a20576-e6f4", ";", "%F0%9F"])
        )
        places = [f"/{name}/predictions/{part}", f"/models/{part}", f"/{part}", f"/{name}/{part}"]
        places += [
            f"/models?limit={part}",
            f"/models/{name}?before={part}&limit=3",
            f"/{name}/predict?{part}",
        ]
        return Sent(method, draw(st.sampled_from(places)), b"")
    path, raw = f"/{name}/predict", b""
    if what == "row":
        raw = encode(draw(mutated_rows(spec)))
    elif what == "rows":
        path, raw = f"/{name}/predict_batch", encode(draw(st.lists(mutated_rows(spec), max_size=4)))
    else:
        path = draw(
            st.sampled_from([path, f"{path}_batch", f"/{name}/feedback", f"/{name}/feedback_batch"])
        )
        raw = encode(draw(DOCUMENTS)) if what == "document" else draw(raw_bytes(spec))
    return Sent("POST", path, raw, draw(odd_headers()))


def texts(*good: str) -> st.SearchStrategy[str]:
    """Draw what an administrator may have typed, good ones among it."""
    odd = ["", "a\x00b", "\x00", "x" * 1_000, "x" * 1_001, "\ud800", "'; DROP TABLE ledger", "../..", "%s"]
    return st.sampled_from([*good * 3, *odd]) | st.text(max_size=20)


@st.composite
def steering(draw: st.DrawFn, specs: dict[str, Spec], version: str) -> Sent:
    """Draw one request to some route of an administrator; none trains a model."""
    name = draw(st.sampled_from(list(specs)))
    route = draw(st.sampled_from(["promote", "promote", "rollback", "cancel", "retrain"]))
    fields: dict[str, st.SearchStrategy[Any]] = {
        "promote": {"version": texts(version), "reason": texts("because")},
        "rollback": {"reason": texts("because")},
        "cancel": {"run_id": texts("01900000-0000-7000-8000-000000000000")},
        "retrain": {"force": st.just("yes")},
    }[route]
    what = draw(st.sampled_from([*["fields"] * 6, "field", "document", "bytes"]))
    body: Any = {field: draw(values) for field, values in fields.items()}
    if what == "field":
        body[draw(st.sampled_from([*fields, "unknown"]))] = draw(DOCUMENTS)
    elif what == "document":
        body = draw(DOCUMENTS)
    raw = draw(raw_bytes(specs[name])) if what == "bytes" else encode(body)
    if route == "retrain" and (isinstance(body, dict) and body.get("force", False) in (True, False)):
        raw = b"[]"
    return Sent("POST", f"/{name}/{route}", raw, {**JSON, "authorization": f"Bearer {TOKEN}"})


def draw_requests(every: st.SearchStrategy[Sent], count: int) -> list[Sent]:
    """Draw requests, the same ones every time."""
    found: list[Sent] = []

    @seed(20261122)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(every)
    def collect(sent: Sent) -> None:
        found.append(sent)

    collect()
    return found


def vary(sent: list[Sent], count: int) -> list[Sent]:
    """Make other requests of some: bodies and frames mixed anew, and a few bytes changed."""
    chance = random.Random(20261122)
    found = []
    for _ in range(count):
        body = chance.choice(sent)
        frame = chance.choice([body, body, chance.choice(sent)])
        raw = bytearray(body.raw)
        for _ in range(chance.choice([0, 1, 1, 3]) if raw else 0):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        found.append(Sent(frame.method, frame.path, bytes(raw), body.headers))
    return found


@dataclass(frozen=True)
class Answered:
    """One request and what came back."""

    sent: Sent
    status: int
    kind: str
    body: bytes


def send(server: Server, share: list[Sent]) -> list[Answered]:
    """Send requests one after the other on one connection."""
    found = []
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        for sent in share:
            connection.request(sent.method, sent.path, sent.raw or None, sent.headers)
            answer = connection.getresponse()
            kind = answer.headers.get("content-type", "")
            found.append(Answered(sent, answer.status, kind, answer.read()))
    return found


@pytest.fixture(scope="module")
def answers(server: Server, specs: dict[str, Spec]) -> list[Answered]:
    """Every request with its answer."""
    drawn = draw_requests(requests(specs), DRAWN)
    every = drawn + vary(drawn, REQUESTS - len(drawn))
    with ThreadPoolExecutor(THREADS) as pool:
        shares = pool.map(lambda start: send(server, every[start::THREADS]), range(THREADS))
        return [answer for share in shares for answer in share]


def test_no_request_is_a_failure_of_ours(answers: list[Answered]) -> None:
    """Ten thousand odd bodies get no 5xx, and no status that is not foreseen."""
    assert sum(answer.sent.method == "POST" for answer in answers) >= 10_000
    assert [] == [answer for answer in answers if answer.status not in ALLOWED]


def test_every_refusal_has_the_common_shape(answers: list[Answered]) -> None:
    """Each error is a sentence and places, as JSON, without a word of the libraries beneath."""
    for answer in answers:
        if answer.status >= 400 and answer.sent.method != "HEAD":
            assert "application/json" == answer.kind, answer
            body = json.loads(answer.body)
            assert {"error", "detail"} == set(body), answer
            assert body["error"], answer
            assert all({"loc", "msg"} == set(item) for item in body["detail"]), answer
            assert b"pydantic" not in answer.body, answer


def test_what_was_answered_is_complete(answers: list[Answered], specs: dict[str, Spec]) -> None:
    """An odd row that passed got a whole prediction, whose probabilities are a distribution."""
    for answer in answers:
        name, _, route = answer.sent.path[1:].partition("/")
        if answer.status == 200 and answer.sent.method == "POST" and route.startswith("predict"):
            body = json.loads(answer.body)
            for one in body if isinstance(body, list) else [body]:
                if kinds.predicts_classes(specs[name]):
                    assert one["predicted_class"] in specs[name].target.texts
                    assert 1 == pytest.approx(sum(one["probabilities"].values()), abs=1e-6)
                else:
                    assert one["interval"]["low"] <= one["predicted_value"] <= one["interval"]["high"]


def test_the_requests_were_worth_sending(answers: list[Answered]) -> None:
    """They are no monoculture: many were answered, many refused, for many reasons."""
    statuses = Counter(answer.status for answer in answers)
    told = {json.loads(answer.body)["error"] for answer in answers if answer.body and answer.status == 400}

    assert statuses[200] > 500
    assert statuses[400] > 3_000
    assert all(statuses[status] > 50 for status in (404, 405, 415))
    assert len(told) > 300


def test_the_server_is_as_it_was(answers: list[Answered], server: Server, specs: dict[str, Spec]) -> None:
    """Afterwards both workers are the same processes, answer, and have logged no traceback."""
    listed = server.get("/models/iris").json()["workers"]

    assert {worker.pid for worker in server.workers} == {worker["worker"] for worker in listed}
    for name, spec in specs.items():
        assert 200 == server.post(f"/{name}/predict", spec.example).status_code
    assert "Traceback" not in server.read_log()


@pytest.mark.parametrize("kind", KINDS)
def test_no_administrator_s_request_is_a_failure_of_ours(
    home: Path, tmp_path: Path, specs: dict[str, Spec], kind: str
) -> None:
    """Whatever is sent with the right token is done or refused in words, on both databases."""
    drawn = draw_requests(steering(specs, store.newest(home, "iris").version), STEERED)
    # The first champion of an empty journal is the newest version: another one than is promoted here.
    done = run("python", "train.py", "iris", "--seed", "1", "--no-promote", home=home)
    assert 0 == done.returncode, done.stderr
    with (
        databases.empty_database(kind, tmp_path) as url,
        Server(home, workers=1, admin_token=TOKEN, database_url=url) as running,
    ):
        found = send(running, drawn)
        assert 200 == running.post("/iris/predict", specs["iris"].example).status_code
        log = running.read_log()

    assert [] == [answer for answer in found if answer.status not in {200, 400, 404, 409}]
    assert {200, 400, 404, 409} == {answer.status for answer in found}
    nuls = [answer for answer in found if b"a\\u0000b" in answer.sent.raw]
    assert nuls
    assert {400} == {answer.status for answer in nuls}
    assert "Traceback" not in log
