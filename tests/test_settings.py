"""Settings: what the environment may say, and what is said when it can't be used."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from prediction import settings
from prediction.errors import InvalidSettings
from prediction.settings import Settings
from tests.servers import run


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENTOML_HOME", raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PREDICTION_{name.upper()}", raising=False)


def test_without_variables_the_documented_limits_hold() -> None:
    """An empty environment gives 10,000 rows, 8 MB, one worker a core, and a journal in the home."""
    found = settings.load()

    assert (10_000, 8_000_000, None) == (found.max_batch_rows, found.max_body_bytes, found.workers)
    assert Path.home() / "bentoml" == found.home
    assert f"sqlite:///{Path.home()}/bentoml/journal.db" == found.journal_url


def test_a_switch_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch is off or on as its variable says, in the words that people use for it."""
    for word, expected in [("true", True), ("0", False), ("on", True), ("no", False)]:
        monkeypatch.setenv("PREDICTION_DURABLE_PREDICTIONS", word)

        assert expected is settings.load().durable_predictions


def test_home_is_bentomls_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The home is BENTOML_HOME, made absolute, and the journal follows it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENTOML_HOME", "here")

    assert tmp_path / "here" == settings.load().home
    assert f"sqlite:///{tmp_path}/here/journal.db" == settings.load().journal_url


def test_home_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde in BENTOML_HOME is the user's folder, as in BentoML itself."""
    monkeypatch.setenv("BENTOML_HOME", "~/elsewhere")

    assert Path.home() / "elsewhere" == settings.load().home


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "home"])
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """So do shells and compose files hand on what nobody has set."""
    monkeypatch.setenv(f"PREDICTION_{name.upper()}", "")

    assert Settings.model_fields[name].default == getattr(settings.load(), name)


def test_every_number_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each limit is taken from the variable of its name."""
    numbers = {
        "workers": 3,
        "max_batch_rows": 7,
        "max_body_bytes": 2_000,
        "max_in_flight": 5,
        "keep_alive_seconds": 9,
        "grace_seconds": 8,
    }
    for name, value in numbers.items():
        monkeypatch.setenv(f"PREDICTION_{name.upper()}", str(value))

    assert numbers == settings.load().model_dump(include=set(numbers))


def test_another_journal_is_used_and_its_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal's URL can be set, and printing the settings does not tell its password."""
    url = "postgresql+psycopg://loop:hunter2@db/loop"
    monkeypatch.setenv("PREDICTION_DATABASE_URL", url)

    found = settings.load()

    assert url == found.journal_url
    assert "hunter2" not in f"{found!r} {found}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PREDICTION_WORKERS", "0"),
        ("PREDICTION_WORKERS", "many"),
        ("PREDICTION_MAX_BATCH_ROWS", "-3"),
        ("PREDICTION_MAX_BATCH_ROWS", "1.5"),
        ("PREDICTION_MAX_BODY_BYTES", "12"),
        ("PREDICTION_MAX_IN_FLIGHT", "0"),
        ("PREDICTION_KEEP_ALIVE_SECONDS", "0"),
        ("PREDICTION_GRACE_SECONDS", "0"),
        ("BENTOML_HOME", ""),
        ("PREDICTION_JOURNAL_REQUIRED", "perhaps"),
        ("PREDICTION_JOURNAL_DAYS", "0"),
        ("PREDICTION_HOSTS", "models.example:443"),
        ("PREDICTION_HOSTS", "https://models.example"),
        ("PREDICTION_HOSTS", "models.example, a b"),
        ("PREDICTION_HOSTS", "*"),
        ("PREDICTION_HOSTS", "[fd00::7"),
        ("PREDICTION_HOSTS", ","),
        ("PREDICTION_ADMIN_TOKEN", "short"),
        ("PREDICTION_ADMIN_TOKEN", "seven77\n"),
        ("PREDICTION_ADMIN_TOKEN", "two words of it"),
        ("PREDICTION_ADMIN_TOKEN", "mot-de-passe-sûr"),
        *(
            ("PREDICTION_ROOT_PATH", value)
            for value in ("/", "ml", "/ml/", "//ml", "/a/../b", "/a b", "/ü")
        ),
        *(
            ("PREDICTION_TRUSTED_PROXIES", value)
            for value in ("*", "proxy", "10.0.0.1/8", "10.0.0.1,", "1.2.3")
        ),
        *(("PREDICTION_CORS_ORIGINS", value) for value in ("*", "null", "app.example.com", "https://a.b/")),
        ("PREDICTION_CORS_ORIGINS", "https://App.example.com"),
        ("PREDICTION_CORS_ORIGINS", "https://a.b, ,https://c.d"),
        ("PREDICTION_LOG_FORMAT", "JSON"),
        *(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", value)
            for value in ("collector:4318", "http://", "grpc://a:4317")
        ),
    ],
)
def test_an_unusable_value_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The sentence begins with the variable's name, so that it can be found and mended."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(InvalidSettings) as caught:
        settings.load()

    assert str(caught.value).startswith(f"{variable}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("workers", "many", "give a whole number from 1 to 256"),
        ("workers", "257", "give a whole number from 1 to 256"),
        ("keep_versions", "1.5", "give a whole number from 2 on"),
        ("journal_required", "perhaps", "give true or false"),
        ("root_path", "ml/", "give a path such as /ml, without a slash at its end"),
    ],
)
def test_what_a_value_may_be_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    """In our words."""
    monkeypatch.setenv(f"PREDICTION_{name.upper()}", value)

    with pytest.raises(InvalidSettings) as caught:
        settings.load()

    assert f"PREDICTION_{name.upper()}: {told}" == str(caught.value)


def test_an_unusable_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set may be a secret in the wrong variable, so no message holds it."""
    monkeypatch.setenv("PREDICTION_WORKERS", "hunter2")

    with pytest.raises(InvalidSettings) as caught:
        settings.load()

    assert "hunter2" not in f"{caught.value!r}"


def test_a_token_is_told_what_it_may_be_and_not_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that no header can hold ends the start: every admin call would be a 401."""
    monkeypatch.setenv("PREDICTION_ADMIN_TOKEN", "pässwort-hunter2")

    with pytest.raises(InvalidSettings) as caught:
        settings.load()

    assert "PREDICTION_ADMIN_TOKEN: give at least 8 printable ASCII characters without spaces" == str(
        caught.value
    )
    assert "hunter2" not in f"{caught.value!r}"


def test_the_line_s_end_of_a_mounted_token_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was written with an editor ends with a line's end, which no client sends."""
    monkeypatch.setenv("PREDICTION_ADMIN_TOKEN", " a-token-of-tests\r\n")

    token = settings.load().admin_token

    assert token is not None
    assert "a-token-of-tests" == token.get_secret_value()


def test_lists_are_read_at_their_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses are networks of one; spaces around a comma do not matter."""
    monkeypatch.setenv("PREDICTION_TRUSTED_PROXIES", "10.0.0.7, 192.168.1.0/24,fd00::/8")
    monkeypatch.setenv(
        "PREDICTION_CORS_ORIGINS", "https://app.example.com, http://127.0.0.1:8080,http://[::1]:5"
    )
    monkeypatch.setenv("PREDICTION_ROOT_PATH", " /a/b-c.d ")

    found = settings.load()

    networks = ("10.0.0.7/32", "192.168.1.0/24", "fd00::/8")
    assert tuple(ip_network(text) for text in networks) == found.trusted_proxies
    assert ("https://app.example.com", "http://127.0.0.1:8080", "http://[::1]:5") == found.cors_origins
    assert "/a/b-c.d" == found.root_path


def test_hosts_are_names_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks do not matter; addresses of version 6 may have brackets."""
    monkeypatch.setenv("PREDICTION_HOSTS", "models.example, LOCALHOST,10.0.0.7,[fd00::7],::1")

    assert ("models.example", "LOCALHOST", "10.0.0.7", "fd00::7", "::1") == settings.load().host_names


def test_settings_do_not_change_while_running() -> None:
    """Settings are read once: assigning to one is an error."""
    with pytest.raises(ValidationError, match="frozen"):
        settings.load().workers = 2  # type: ignore[misc]


def test_every_setting_says_what_it_is_for() -> None:
    """Each setting has a description, which the documentation is checked against."""
    assert [] == [name for name, info in Settings.model_fields.items() if not info.description]


def test_a_command_ends_with_one_sentence_about_a_bad_setting(tmp_path: Path) -> None:
    """A command told something unusable ends with that sentence and no traceback."""
    done = run("python", "train.py", home=tmp_path, workers="none")

    assert 1 == done.returncode
    assert "loop train: PREDICTION_WORKERS: " in done.stderr
    assert "Traceback" not in done.stderr
    assert 1 == len(done.stderr.strip().splitlines())


@pytest.mark.parametrize(
    "url",
    ["s3://models", "s3://models/ml/prod", "gs://models/x/", "az://container/x", "file:///srv/my models"],
)
def test_a_store_of_artefacts_is_a_bucket_or_a_folder(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A slash at the end is no difference."""
    monkeypatch.setenv("PREDICTION_ARTIFACTS_URL", url)

    assert url.rstrip("/") == settings.load().artifacts_url


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:hunter2@models",
        "s3://models?secret=hunter2",
        "https://account.blob.core.windows.net/models?sig=hunter2",
        "az://models/#hunter2",
        "s3://",
        "file://hunter2",
        "file:///",
        "/srv/models",
        "memory:///hunter2",
        "s3://models/../hunter2",
    ],
)
def test_a_store_of_artefacts_with_secrets_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The message does not repeat the URL."""
    monkeypatch.setenv("PREDICTION_ARTIFACTS_URL", url)

    with pytest.raises(InvalidSettings, match=r"PREDICTION_ARTIFACTS_URL: give s3://bucket") as caught:
        settings.load()
    assert "hunter2" not in str(caught.value)
