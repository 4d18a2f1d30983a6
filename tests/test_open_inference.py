"""`/v2` on a real server: the clients of Triton, KServe and MLServer, labels, and odd bodies.

Each client is in an environment of its own, which uv makes once.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks import environments
from models_store.spec import Spec
from tests import odd_bodies, tensors
from tests.documents import blocks
from tests.servers import PROJECT, SHIPPED, Server, environment

CLIENTS = {
    "triton": "tritonclient[http]==2.69.0",
    "kserve": "kserve==0.21.0",
    "mlserver": "mlserver==1.7.1",
}
ROWS = 200
REQUESTS = 1_500


def run_client(server: Server, name: str, script: str, *arguments: str, **given: Any) -> str:
    """Run a script in the environment of a client, and return what it prints."""
    folder = PROJECT / ".cache" / "clients" / name
    environments.make(folder, [CLIENTS[name]], is_compiled=False)
    done = subprocess.run(
        [folder / "bin" / "python", "-W", "ignore", "-c", script, *arguments],
        env=environment(server.home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **given,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def rows(specs: dict[str, Spec]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the datasets, as JSON holds them."""
    found = {}
    for name in SHIPPED:
        spec = specs[name]
        columns = spec.columns_of(spec.load()[0].head(ROWS))
        of_rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        found[name] = [spec.rows.object(row).model_dump() for row in of_rows]
    return found


def infer(server: Server, model: str, body: Any, **headers: str) -> httpx.Response:
    """Send a request as JSON."""
    return server.client.post(f"/v2/models/{model}/infer", json=body, headers=headers)


def expected(server: Server, model: str, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the answers of `predict_batch` as outputs."""
    answers = server.post(f"/{model}/predict_batch", rows).json()
    if "predicted_value" in answers[0]:
        ends = [[each["interval"]["low"], each["interval"]["high"]] for each in answers]
        return {"predicted_value": [[each["predicted_value"]] for each in answers], "interval": ends}
    return {
        "predicted_class": [[each["predicted_class"]] for each in answers],
        "probabilities": [list(each["probabilities"].values()) for each in answers],
    }


TRITON = """
import json, sys
import numpy as np
import tritonclient.http as triton

url, model, rows, outputs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
client = triton.InferenceServerClient(url)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
version = client.get_model_metadata(model)["versions"][0]
assert client.is_model_ready(model, version) and not client.is_model_ready(model, "old")
assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
MISSING = {"FP64": np.nan, "BYTES": ""}

def plain(value):
    return value.decode() if isinstance(value, bytes) else value

KINDS = {"FP64": np.float64, "BYTES": object, "INT64": np.int64, "BOOL": bool}
found = []
for is_binary in (True, False):
    inputs = []
    for tensor in client.get_model_metadata(model)["inputs"]:
        name, datatype = tensor["name"], tensor["datatype"]
        values = [MISSING[datatype] if row[name] is None else row[name] for row in rows]
        values = np.array(values, KINDS[datatype]).reshape(-1, 1)
        inputs.append(triton.InferInput(name, values.shape, datatype))
        inputs[-1].set_data_from_numpy(values, binary_data=is_binary)
    for binary_answer in (True, False, None):
        for packed in (None, "gzip"):
            wanted = [triton.InferRequestedOutput(name, binary_data=binary_answer) for name in outputs]
            answer = client.infer(
                model, inputs, model_version=version if packed else "", request_id="7",
                outputs=None if binary_answer is None else wanted,
                request_compression_algorithm=packed, response_compression_algorithm=packed,
            )
            values = {name: answer.as_numpy(name).tolist() for name in outputs}
            found.append({name: [list(map(plain, row)) for row in values[name]] for name in outputs})
            assert answer.get_response()["id"] == "7"
            assert len(answer.get_response()["parameters"]["prediction_ids"].split(",")) == len(rows)
assert all(each == found[0] for each in found)
try:
    client.infer(model, inputs[:0])
except triton.InferenceServerException as error:
    assert "must be a list of tensors" in error.message(), error.message()
print(json.dumps(found[0]))
"""


@pytest.mark.parametrize("model", SHIPPED)
def test_tritons_client_gets_the_numbers_of_a_batch(
    server: Server, rows: dict[str, list[dict[str, Any]]], model: str
) -> None:
    """Bit by bit: in JSON and in binary, compressed and not, with outputs and without."""
    wanted = expected(server, model, rows[model])
    address = server.url.removeprefix("http://")
    given = json.dumps(rows[model]), json.dumps(list(wanted))

    assert wanted == json.loads(run_client(server, "triton", TRITON, address, model, *given))


def test_the_page_shows_tritons_client(server: Server) -> None:
    """It predicts, and gives a label by an id of the answer."""
    (script,) = [
        each for each in blocks(PROJECT / "docs" / "clients.md", "python") if "tritonclient" in each
    ]
    printed = run_client(server, "triton", script.replace("127.0.0.1:3000", f"127.0.0.1:{server.port}"))

    assert "(1000, 3)" in printed
    assert "recorded" in printed


KSERVE = """
import asyncio, json, sys
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

url, rows = sys.argv[1], json.loads(sys.argv[2])

async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(url) and await client.is_server_ready(url)
    assert await client.is_model_ready(url, "penguins") and not await client.is_model_ready(url, "none")
    found = []
    for is_binary in (False, True):
        inputs = []
        for name in rows[0]:
            is_text = name in ("island", "sex")
            missing = "" if is_text else np.nan
            values = [missing if row[name] is None else row[name] for row in rows]
            inputs.append(InferInput(name, [len(rows), 1], "BYTES" if is_text else "FP64"))
            values = np.array(values, object if is_text else np.float64).reshape(-1, 1)
            inputs[-1].set_data_from_numpy(values, binary_data=is_binary)
        for parameters in (None, {"binary_data_output": True}):
            request = InferRequest(model_name="penguins", infer_inputs=inputs, parameters=parameters)
            answer = await client.infer(url, request, model_name="penguins")
            assert len(answer.parameters["prediction_ids"].split(",")) == len(rows)
            found.append({each.name: each.as_numpy().tolist() for each in answer.outputs})
    assert all(each == found[0] for each in found), found
    print(json.dumps(found[0]))

asyncio.run(main())
"""


def test_kserves_client_gets_the_numbers_of_a_batch(
    server: Server, rows: dict[str, list[dict[str, Any]]]
) -> None:
    """In JSON, where it writes a missing number as null, and in binary."""
    wanted = expected(server, "penguins", rows["penguins"])
    printed = run_client(server, "kserve", KSERVE, server.url, json.dumps(rows["penguins"]))

    assert wanted == json.loads(printed.splitlines()[-1])


MLSERVER = """
import json, sys
import numpy as np
import pandas as pd
from mlserver.cli import main
from mlserver.codecs import NumpyCodec, PandasCodec
from mlserver.types import InferenceRequest, Parameters

url, model, kind, rows = *sys.argv[1:4], json.loads(sys.argv[4])
frame = pd.DataFrame(rows)
frame = frame.astype({name: object for name in frame if name in ("island", "sex")})
frame = frame.apply(lambda each: each.where(each.notna(), "") if each.dtype == object else each)
if kind == "pd":
    request = PandasCodec.encode_request(frame, use_bytes=False)
else:
    inputs = [NumpyCodec.encode_input(name, frame[[name]].to_numpy()) for name in frame]
    request = InferenceRequest(parameters=Parameters(content_type="np"), inputs=inputs)
with open("requests.jsonl", "w") as file:
    file.write(request.model_dump_json(exclude_none=True))
sys.argv = ["mlserver", "infer", "--url", url, "--model-name", model]
sys.argv += ["--input-data-path", "requests.jsonl", "--output-data-path", "answers.jsonl"]
main()
"""


@pytest.mark.parametrize(("model", "kind"), [("penguins", "pd"), ("iris", "np")])
def test_mlservers_command_gets_the_numbers_of_a_batch(
    server: Server, rows: dict[str, list[dict[str, Any]]], model: str, kind: str, tmp_path: Path
) -> None:
    """With the content types of pandas and of numpy; its writer of JSON rounds the last digit."""
    wanted = expected(server, model, rows[model])
    address = f"127.0.0.1:{server.port}"
    run_client(server, "mlserver", MLSERVER, address, model, kind, json.dumps(rows[model]), cwd=tmp_path)
    answer = json.loads((tmp_path / "answers.jsonl").read_text())
    found = {item["name"]: np.reshape(item["data"], item["shape"]) for item in answer["outputs"]}

    assert wanted["predicted_class"] == found["predicted_class"].tolist()
    assert np.allclose(wanted["probabilities"], found["probabilities"], rtol=1e-15, atol=0)


def test_labels_are_given_by_the_ids(server: Server, specs: dict[str, Spec]) -> None:
    """A prediction that came as a tensor is found as every other one, and counts."""
    rows = [specs["iris"].example, specs["iris"].example | {"petal_width_cm": 2.1}]
    answer = infer(server, "iris", {"inputs": tensors.tensors(specs["iris"], rows)}).json()
    ids = answer["parameters"]["prediction_ids"].split(",")
    labels = [{"prediction_id": each, "label": "setosa"} for each in ids]
    given = server.post("/iris/feedback_batch", labels).json()
    found = [server.get(f"/iris/predictions/{each}").json() for each in ids]

    assert ["recorded", "recorded"] == [each["status"] for each in given]
    assert rows == [each["features"] for each in found]
    assert ["setosa", "setosa"] == [each["feedback"]["label"] for each in found]
    assert {answer["model_version"]} == {each["version"] for each in found}


@pytest.mark.parametrize("model", SHIPPED)
def test_no_request_breaks_a_model(server: Server, specs: dict[str, Spec], model: str) -> None:
    """Odd tensors, lengths and bytes get an answer or a 400, never a 5xx."""
    path = f"/v2/models/{model}/infer"
    requests = [(path, *each) for each in tensors.draw(specs[model], REQUESTS)]
    found = Counter(odd_bodies.statuses(server.port, requests))

    assert {200, 400} == set(found), found
    assert REQUESTS == found.total()


BAD = {
    "objects": b"[" + b"{}," * 1_000_000 + b"{}]",
    "objects in data": b'{"inputs": [{"data": [' + b"{}," * 1_000_000 + b"{}]}]}",
    "a text": b'{"inputs": [{"data": ["' + b"]" * 5_000_000 + b'"]}]}',
    "quotes": b'{"inputs": [{"data": ["' + b'\\"' * 2_000_000 + b'"]}]}',
    "depth": b"[" * 5_000_000,
    "tensors": b'{"inputs": [' + b'{"name":"x","data":[1]},' * 200_000 + b"{}]}",
}


@pytest.mark.parametrize("kind", list(BAD))
def test_nonsense_is_refused_in_short(server: Server, kind: str) -> None:
    """Megabytes of it, with one sentence."""
    answer = server.client.post("/v2/models/iris/infer", content=BAD[kind])

    assert 400 == answer.status_code, answer.text
    assert {"error"} == set(answer.json())
    assert len(answer.content) < 1_000


def test_many_rows_are_answered_whole_or_not_at_all(server: Server, specs: dict[str, Spec]) -> None:
    """The limit is that of a batch, in its words."""
    spec = specs["iris"]
    raw, headers = tensors.binary(tensors.tensors(spec, [spec.example] * 10_000))
    most = server.client.post("/v2/models/iris/infer", content=raw, headers=headers)
    raw, headers = tensors.binary(tensors.tensors(spec, [spec.example] * 10_001))
    more = server.client.post("/v2/models/iris/infer", content=raw, headers=headers)

    assert 10_000 == len(most.json()["parameters"]["prediction_ids"].split(","))
    assert 400 == more.status_code
    assert "inputs.0.shape: at most 10000 rows in a batch: split it" in more.json()["error"]
