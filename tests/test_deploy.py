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
from tests.servers import PROJECT

DEPLOY = PROJECT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
SETTINGS = (PROJECT / "docs" / "settings.md").read_text()


def manifests() -> list[dict[str, Any]]:
    """Return every document of every manifest."""
    return [item for path in MANIFESTS for item in yaml.safe_load_all(path.read_text())]


def manifest(kind: str) -> dict[str, Any]:
    """Return the one document of a kind."""
    (found,) = [item for item in manifests() if item["kind"] == kind]
    return found


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


def container() -> dict[str, Any]:
    """Return the container of the deployment."""
    (found,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_compose_file_fits_the_schema() -> None:
    """That of the compose specification; a misspelt key does not."""
    vendored = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text())

    jsonschema.validate(compose(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"prediction": {"imagge": "x"}}}, schema)


@pytest.mark.parametrize("item", manifests(), ids=lambda item: item["kind"])
def test_manifests_fit_the_schemas_of_kubernetes(item: dict[str, Any]) -> None:
    """Strictly: a field that does not exist is an error."""
    kubernetes_validate.validate(item, "1.33", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**item, "specc": {}}, "1.33", strict=True)


def test_the_manifests_name_each_other() -> None:
    """Service and budget select the pods, and the claim is the one that is mounted."""
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    pod = manifest("Deployment")["spec"]["template"]["spec"]

    assert labels == manifest("Service")["spec"]["selector"]
    assert labels == manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    assert labels == manifest("Deployment")["spec"]["selector"]["matchLabels"]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"][:1]]
    assert [manifest("PersistentVolumeClaim")["metadata"]["name"]] == claims
    mounted = {mount["name"] for mount in container()["volumeMounts"]}
    assert {volume["name"] for volume in pod["volumes"]} == mounted


def test_containers_may_do_little() -> None:
    """No root, no write but into the volume and /tmp, no capability, in both."""
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    service = compose()["services"]["prediction"]

    assert (True, 1034) == (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"])
    assert container()["securityContext"]["readOnlyRootFilesystem"] is service["read_only"] is True
    assert ["ALL"] == container()["securityContext"]["capabilities"]["drop"] == service["cap_drop"]
    assert ["/tmp"] == service["tmpfs"]
    assert ["versions:/data"] == service["volumes"]


def test_secrets_are_referred_to_and_not_there() -> None:
    """The token and the URL with its password come from a Secret, or from the shell's variables."""
    secrets = {"PREDICTION_ADMIN_TOKEN", "PREDICTION_DATABASE_URL"}
    variables = {item["name"]: item for item in container()["env"]}
    references = [variables[name]["valueFrom"]["secretKeyRef"] for name in sorted(secrets)]
    text = (DEPLOY / "compose.yaml").read_text()

    assert secrets <= variables.keys()
    assert not [name for name in secrets if "value" in variables[name]]
    assert [("admin-token", True), ("database-url", True)] == [
        (reference["key"], reference["optional"]) for reference in references
    ]
    for line in re.findall(r"^ *\w*(?:PASSWORD|TOKEN|DATABASE_URL): (.*)$", text, re.MULTILINE):
        assert "${" in line, line


def test_kubernetes_adds_no_variables_to_the_settings() -> None:
    """For the Service's name it would set PREDICTION_PORT and more, unless it is told not to."""
    assert "PREDICTION" == manifest("Service")["metadata"]["name"].upper()
    assert manifest("Deployment")["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_an_image_that_a_node_has_is_used() -> None:
    """Nobody can pull from localhost, and what is named latest is pulled unless told otherwise."""
    assert container()["image"] == compose()["services"]["prediction"]["image"]
    assert "IfNotPresent" == container()["imagePullPolicy"]


def test_every_variable_is_a_setting() -> None:
    """What is set is documented."""
    names = {item["name"] for item in container()["env"]}
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


def test_a_stop_takes_as_long_as_the_server_needs() -> None:
    """Both wait for the grace period and some seconds, and Kubernetes for its hook before that."""
    needed = Settings.model_fields["grace_seconds"].default + 10
    (command, pause) = container()["lifecycle"]["preStop"]["exec"]["command"]
    pod = manifest("Deployment")["spec"]["template"]["spec"]

    assert "sleep" == command
    assert needed + int(pause) <= pod["terminationGracePeriodSeconds"]
    assert needed <= int(compose()["services"]["prediction"]["stop_grace_period"].removesuffix("s"))


def test_probes_ask_routes_of_the_service() -> None:
    """Ready before traffic comes, alive or started again."""
    probes = {name: container()[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe")}

    assert {"/readyz"} == set(probes.values())
    assert "/livez" == container()["livenessProbe"]["httpGet"]["path"]
    assert "/readyz" in " ".join(compose()["services"]["prediction"]["healthcheck"]["test"])
