"""`deploy/`: the compose file and the manifests fit their schemas, each other and the service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from prediction import settings
from prediction.settings import Settings
from tests import manifests
from tests.manifests import DEPLOY, Manifest
from tests.servers import PROJECT

SETTINGS = (PROJECT / "docs" / "settings.md").read_text()
VERSION = "1.33"
"""Of Kubernetes."""

KINDS = ("one", "many")
KUBECTL = shutil.which("kubectl")
RENDERED = {name: manifests.rendered(name) for name in manifests.OVERLAYS}
ALL = [(name, item) for name in KINDS for item in RENDERED[name]]
(KSERVE,) = manifests.read(DEPLOY / "kserve.yaml")
PREDICTOR = KSERVE["spec"]["predictor"]
CLOUD = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"}
"""Variables of the store of artefacts, which are none of our settings."""


def manifest(overlay: str, kind: str) -> Manifest:
    """Return the one document of a kind."""
    (found,) = [item for item in RENDERED[overlay] if item["kind"] == kind]
    return found


def pod(overlay: str) -> Manifest:
    """Return what a pod is made of; `kserve` is that of the predictor."""
    if overlay == "kserve":
        return dict(PREDICTOR)
    return dict(manifest(overlay, "Deployment")["spec"]["template"]["spec"])


def compose() -> dict[str, Any]:
    """Return the compose file."""
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def interpolated(text: str, variables: dict[str, str]) -> str:
    """Put variables into a value as compose does: `${NAME:-default}`, `${NAME:?complaint}`."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        assert variables.get(name) or kind == ":-", f"{name}: {rest}"
        return variables.get(name) or rest

    return re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", value, text)


def container(overlay: str) -> Manifest:
    """Return the container of a pod."""
    (found,) = pod(overlay)["containers"]
    return dict(found)


def variables(overlay: str) -> dict[str, Manifest]:
    """Return the variables of the container, by name."""
    return {item["name"]: item for item in container(overlay)["env"]}


every_pod = pytest.mark.parametrize("overlay", [*KINDS, "kserve"])


def test_the_compose_file_fits_the_schema() -> None:
    """That of the compose specification; a misspelt key does not."""
    vendored = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text())

    jsonschema.validate(compose(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"prediction": {"imagge": "x"}}}, schema)


@pytest.mark.parametrize(("overlay", "item"), ALL, ids=[f"{name} {item['kind']}" for name, item in ALL])
def test_manifests_fit_the_schemas_of_kubernetes(overlay: str, item: Manifest) -> None:
    """Strictly: a field that does not exist is an error."""
    kubernetes_validate.validate(item, VERSION, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**item, "specc": {}}, VERSION, strict=True)


@pytest.mark.parametrize("overlay", manifests.OVERLAYS)
def test_kubectl_renders_the_same(overlay: str) -> None:
    """Where it is installed; the manifests of the other tests are rendered by a few rules of our own."""
    if KUBECTL is not None:
        command = [KUBECTL, "kustomize", str(DEPLOY / "kubernetes" / overlay)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        theirs = {item["kind"]: _by_name(item) for item in yaml.safe_load_all(done.stdout)}
        assert theirs == {item["kind"]: _by_name(item) for item in RENDERED[overlay]}
    assert RENDERED[overlay]


def _by_name(value: Any) -> Any:
    """Return a value whose lists of named things are sorted: patches may change their order."""
    if isinstance(value, dict):
        return {key: _by_name(item) for key, item in value.items()}
    if (
        isinstance(value, list)
        and value
        and all(isinstance(item, dict) and "name" in item for item in value)
    ):
        return sorted((_by_name(item) for item in value), key=lambda item: str(item["name"]))
    return value


def test_kserves_predictor_is_a_pod() -> None:
    """Strictly, but for the fields that KServe adds; its container has the name that KServe looks for."""
    fields = {key: value for key, value in PREDICTOR.items() if key != "minReplicas"}
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "prediction"}, "spec": fields}

    kubernetes_validate.validate(item, VERSION, strict=True)
    assert ("serving.kserve.io/v1beta1", "InferenceService") == (KSERVE["apiVersion"], KSERVE["kind"])
    assert "Standard" == KSERVE["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
    assert "kserve-container" == container("kserve")["name"]
    (port,) = container("kserve")["ports"]
    assert ("http1", container("kserve")["args"][-1]) == (port["name"], str(port["containerPort"]))
    assert PREDICTOR["minReplicas"] >= 2


def test_kserves_pod_is_that_of_the_replicas() -> None:
    """Same variables, rights and volumes."""
    own, theirs = container("many"), container("kserve")

    assert variables("many") == variables("kserve")
    for field in ("image", "imagePullPolicy", "lifecycle", "resources", "securityContext", "volumeMounts"):
        assert own[field] == theirs[field]
    for field in ("volumes", "terminationGracePeriodSeconds", "enableServiceLinks"):
        assert pod("many")[field] == PREDICTOR[field]


@pytest.mark.parametrize("overlay", KINDS)
def test_the_manifests_name_each_other(overlay: str) -> None:
    """Service, budget and policy select the pods, and each volume is mounted."""
    labels = manifest(overlay, "Deployment")["spec"]["template"]["metadata"]["labels"]

    assert labels == manifest(overlay, "Service")["spec"]["selector"]
    assert labels == manifest(overlay, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    assert labels == manifest(overlay, "Deployment")["spec"]["selector"]["matchLabels"]
    mounted = {mount["name"] for mount in container(overlay)["volumeMounts"]}
    assert {volume["name"] for volume in pod(overlay)["volumes"]} == mounted


def test_one_replica_has_a_volume() -> None:
    """A second server on it would not start: the first one ends before."""
    volumes = {volume["name"]: volume for volume in pod("one")["volumes"]}
    deployment = manifest("one", "Deployment")["spec"]

    assert {"name": "data", "persistentVolumeClaim": {"claimName": "prediction"}} == volumes["data"]
    assert "prediction" == manifest("one", "PersistentVolumeClaim")["metadata"]["name"]
    assert (1, {"type": "Recreate"}) == (deployment["replicas"], deployment["strategy"])


def test_many_replicas_keep_nothing() -> None:
    """Journal and store of artefacts are elsewhere, and no fewer replicas serve during an upgrade."""
    deployment, spread = manifest("many", "Deployment")["spec"], pod("many")["topologySpreadConstraints"]
    volumes = {volume["name"]: volume for volume in pod("many")["volumes"]}

    assert {"emptyDir"} == volumes["data"].keys() - {"name"}
    assert deployment["replicas"] > 1
    assert 0 == deployment["strategy"]["rollingUpdate"]["maxUnavailable"]
    assert 1 == manifest("many", "PodDisruptionBudget")["spec"]["maxUnavailable"]
    for name in ("PREDICTION_DATABASE_URL", "PREDICTION_ARTIFACTS_URL"):
        assert variables("many")[name]["valueFrom"]["secretKeyRef"]["optional"] is False
    assert deployment["selector"]["matchLabels"] == spread[0]["labelSelector"]["matchLabels"]


def test_the_policy_lets_in_what_the_service_sends() -> None:
    """On the port by its name; out go names, the journal, also behind PgBouncer, and the artefacts."""
    policy = manifest("many", "NetworkPolicy")["spec"]
    labels = manifest("many", "Deployment")["spec"]["selector"]["matchLabels"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}

    assert labels == policy["podSelector"]["matchLabels"]
    assert container("many")["ports"][0]["name"] == policy["ingress"][0]["ports"][0]["port"]
    assert {53, 5432, 6432, 443} == ports


def test_prometheus_has_the_same_rules_everywhere() -> None:
    """`deploy/prometheus/rules.yml` is the source; the monitor gives the job that they name."""
    (rules,) = manifests.read(DEPLOY / "prometheus" / "rules.yml")
    found, monitor = manifest("prometheus", "PrometheusRule"), manifest("prometheus", "ServiceMonitor")
    service = manifest("many", "Service")
    (endpoint,) = monitor["spec"]["endpoints"]

    assert rules == found["spec"]
    assert {"monitoring.coreos.com/v1"} == {found["apiVersion"], monitor["apiVersion"]}
    assert service["metadata"]["labels"] == monitor["spec"]["selector"]["matchLabels"]
    assert service["spec"]["ports"][0]["name"] == endpoint["port"]
    assert {"port", "path", "interval"} == endpoint.keys()
    assert f'job="{service["metadata"]["name"]}"' in rules["groups"][0]["rules"][0]["expr"]


@every_pod
def test_containers_may_do_little(overlay: str) -> None:
    """No root, no write but into the volume and /tmp, no capability, in all of them."""
    rights = pod(overlay)["securityContext"]
    service = compose()["services"]["prediction"]

    assert (True, 1034) == (rights["runAsNonRoot"], rights["runAsUser"])
    assert container(overlay)["securityContext"]["readOnlyRootFilesystem"] is service["read_only"] is True
    assert ["ALL"] == container(overlay)["securityContext"]["capabilities"]["drop"] == service["cap_drop"]
    assert ["/tmp"] == service["tmpfs"]
    assert ["versions:/data"] == service["volumes"]


@every_pod
def test_secrets_are_referred_to_and_not_there(overlay: str) -> None:
    """Tokens, keys and the URL with its password come from a Secret."""
    secrets = {"PREDICTION_ADMIN_TOKEN", "PREDICTION_DATABASE_URL"}
    if overlay != "one":
        secrets |= CLOUD
    found = variables(overlay)

    assert secrets <= found.keys()
    for name in secrets:
        assert "value" not in found[name]
        reference = found[name]["valueFrom"]["secretKeyRef"]
        key = name.removeprefix("PREDICTION_").lower().replace("_", "-")
        assert ("prediction", key) == (reference["name"], reference["key"])


def test_compose_has_no_secrets() -> None:
    """They come from the shell's variables, or from `.env`."""
    text = (DEPLOY / "compose.yaml").read_text()
    for line in re.findall(r"^ *\w*(?:PASSWORD|TOKEN|DATABASE_URL|SECRET\w*): (.*)$", text, re.MULTILINE):
        assert "${" in line, line


@every_pod
def test_kubernetes_adds_no_variables_to_the_settings(overlay: str) -> None:
    """For the Service's name it would set PREDICTION_PORT and more, unless it is told not to."""
    assert "PREDICTION" == manifest("one", "Service")["metadata"]["name"].upper()
    assert pod(overlay)["enableServiceLinks"] is False


@every_pod
def test_an_image_that_a_node_has_is_used(overlay: str) -> None:
    """Nobody can pull from localhost, and what is named latest is pulled unless told otherwise."""
    assert container(overlay)["image"] == compose()["services"]["prediction"]["image"]
    assert "IfNotPresent" == container(overlay)["imagePullPolicy"]


def test_every_variable_is_a_setting() -> None:
    """What is set is documented."""
    names = {name for overlay in (*KINDS, "kserve") for name in variables(overlay)} - CLOUD
    names |= compose()["services"]["prediction"]["environment"].keys()

    assert {name for name in names if f"| `{name}` |" in SETTINGS} == names


def test_compose_starts_without_an_admin_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a password alone the service's variables can be used, and the admin routes are shut."""
    for name in {name for name in os.environ if name.startswith("PREDICTION_")} | {"BENTOML_HOME"}:
        monkeypatch.delenv(name, raising=False)
    for name, value in compose()["services"]["prediction"]["environment"].items():
        monkeypatch.setenv(name, interpolated(value, {"POSTGRES_PASSWORD": "0f1e2d3c4b5a6978"}))

    found = settings.load()

    assert found.admin_token is None
    assert "postgresql+psycopg://prediction:0f1e2d3c4b5a6978@journal/prediction" == found.journal_url
    assert 2 == found.workers


def test_password_and_token_are_made_once(tmp_path: Path) -> None:
    """As the page prints it: for the owner alone, kept by a second call, and not for git."""
    page = (PROJECT / "docs" / "container.md").read_text()
    (block,) = [text for text in page.split("```\n") if "> deploy/.env" in text]
    make, up = block.split("docker compose")
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    file = tmp_path / "deploy" / ".env"
    made = []
    for _ in range(2):
        subprocess.run(["bash", "-euc", make], cwd=tmp_path, check=True)
        made.append(file.read_text())
    values = dict(line.split("=") for line in made[0].splitlines())

    assert made[0] == made[1]
    assert 0o600 == file.stat().st_mode & 0o777
    assert ["POSTGRES_PASSWORD", "PREDICTION_ADMIN_TOKEN"] == list(values)
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in values.values())
    assert " -f deploy/compose.yaml up" == up.rstrip()
    assert "\n.env\n" in "\n" + (PROJECT / ".gitignore").read_text()


def test_the_database_is_ready_once_it_stays() -> None:
    """While PostgreSQL makes its first database it listens on its socket only, and then ends."""
    assert "--host" in compose()["services"]["journal"]["healthcheck"]["test"]


@every_pod
def test_a_stop_takes_as_long_as_the_server_needs(overlay: str) -> None:
    """Both wait for the grace period and some seconds, and Kubernetes for its hook before that."""
    needed = Settings.model_fields["grace_seconds"].default + 10
    (command, pause) = container(overlay)["lifecycle"]["preStop"]["exec"]["command"]

    assert "sleep" == command
    assert needed + int(pause) <= pod(overlay)["terminationGracePeriodSeconds"]
    assert needed <= int(compose()["services"]["prediction"]["stop_grace_period"].removesuffix("s"))


@every_pod
def test_probes_ask_routes_of_the_service(overlay: str) -> None:
    """Ready before traffic comes, alive or started again."""
    probes = {name: container(overlay)[name]["httpGet"] for name in ("startupProbe", "readinessProbe")}
    alive = container(overlay)["livenessProbe"]["httpGet"]
    (port,) = container(overlay)["ports"]

    assert {"/readyz"} == {probe["path"] for probe in probes.values()}
    assert "/livez" == alive["path"]
    for probe in (*probes.values(), alive):
        assert probe["port"] in (port["name"], port["containerPort"])
    assert "/readyz" in " ".join(compose()["services"]["prediction"]["healthcheck"]["test"])
