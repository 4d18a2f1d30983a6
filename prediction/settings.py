"""The environment variables that steer the service, read once at the outside and passed down."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import asdict
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from prediction.errors import InvalidSettings

MIN_TOKEN = 8
PREFIX = re.compile(r"(?=.{1,200}$)(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
"""A path prefix: parts of letters, digits, `.`, `_`, `~` and `-`, and no slash at its end."""

ARTIFACTS = re.compile(
    r"(s3|gs|az)://[a-z0-9][a-z0-9._-]{1,62}(/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?|file:///[^?#@]*[^?#@/]/?"
)
"""A bucket and a prefix, or a folder; nothing that could hold a password or a signature."""

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")

LOG_FORMATS = ("text", "json")


class Settings(BaseSettings):
    """Every setting with its default; `docs/settings.md` is their table."""

    model_config = SettingsConfigDict(
        env_prefix="PREDICTION_",
        env_ignore_empty=True,  # compose files hand on what is not set as an empty string
        frozen=True,
        extra="ignore",
    )

    home: Path = Field(
        default=Path("~/bentoml"),
        validation_alias="BENTOML_HOME",
        description="BentoML's home: the model store, the journal and the staging folder.",
        validate_default=True,
    )
    catalog: Path | None = Field(
        default=None,
        description="The folder of the specs; by default that of the project around the working folder.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL of the journal; by default SQLite in journal.db of BENTOML_HOME.",
    )
    artifacts_url: str | None = Field(
        default=None,
        description="The store of versions that hosts share: s3://bucket/prefix, gs://, az:// or file:///.",
    )
    durable_predictions: bool = Field(
        default=False,
        description="Whether predictions must survive the loss of power, and not only a crash.",
    )
    journal_required: bool = Field(
        default=True,
        description="Whether a prediction that can't be recorded is refused; else it has no id.",
    )
    admin_token: SecretStr | None = Field(
        default=None,
        description="Opens admin routes and single predictions. Unset: the first are shut, the rest open.",
    )
    hosts: str | None = Field(
        default=None,
        description="Names by which clients may call the server, separated by commas; others get 421.",
    )
    promote_baked: bool = Field(
        default=False,
        description="Whether a version of a Bento or an image becomes champion if it is new to the ledger.",
    )
    min_outcomes: int = Field(
        default=50, ge=0, description="New labels without which a retraining is not worth it."
    )
    keep_versions: int = Field(default=10, ge=2, description="Versions of a model that the store keeps.")
    journal_days: int = Field(
        default=365,
        ge=1,
        le=36_500,
        description="Days that predictions are kept; those with feedback are kept ten times as long.",
    )
    workers: int | None = Field(
        default=None, ge=1, le=256, description="Worker processes; by default one a core."
    )
    max_batch_rows: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Rows in one predict_batch, or in one request of /v2.",
    )
    max_body_bytes: int = Field(
        default=8_000_000, ge=1_000, le=1_000_000_000, description="Size of a request's body."
    )
    max_in_flight: int = Field(
        default=256, ge=1, description="Requests that one worker answers at a time; more get 429."
    )

    keep_alive_seconds: int = Field(
        default=75, ge=1, le=3_600, description="How long a connection stays open between requests."
    )
    grace_seconds: int = Field(
        default=30, ge=1, le=3_600, description="How long a server that ends answers what was asked before."
    )
    root_path: str | None = Field(
        default=None, description="The path prefix under which a proxy publishes the service."
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...] | None, NoDecode] = Field(
        default=None, description="The proxies whose X-Forwarded-* headers are believed; by default none."
    )
    cors_origins: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None, description="The origins of pages that may call the service from a browser."
    )
    log_format: str = Field(default="text", description="Whether log lines are text or JSON.")
    log_requests: bool = Field(default=False, description="Whether each request gets a log line.")

    otlp_endpoint: SecretStr | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The collector of spans; OpenTelemetry's package reads it. Unset: no tracing.",
    )
    trust_traceparent: bool = Field(
        default=True,
        description="Whether any client may have its requests traced; else trusted proxies only.",
    )

    @field_validator("home")
    @classmethod
    def _expand(cls, home: Path) -> Path:
        if home.expanduser().is_file():
            raise ValueError(f"{home} is a file: name a folder")
        return home.expanduser().absolute()

    @field_validator("catalog")
    @classmethod
    def _demand_folder(cls, catalog: Path | None) -> Path | None:
        """Check the folder; `models_store.catalog` reads the variable too, when it is imported."""
        if catalog is None:
            return None
        if not catalog.expanduser().is_dir():
            raise ValueError(f"{catalog} is no folder: name a folder with a file for each model")
        return catalog.expanduser().absolute()

    @field_validator("artifacts_url")
    @classmethod
    def _check_artifacts(cls, url: str | None) -> str | None:
        if url is None or ARTIFACTS.fullmatch(url.strip()):
            return url and url.strip().rstrip("/")
        raise ValueError(
            "give s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder, without"
            " user, password and query: credentials have variables of their own (docs/scale.md)"
        )

    @field_validator("otlp_endpoint", mode="before")
    @classmethod
    def _demand_url(cls, endpoint: object) -> object:
        if isinstance(endpoint, str) and not re.match(r"https?://[^/]", endpoint):
            raise ValueError("give the URL of a collector such as http://127.0.0.1:4318")
        return endpoint

    @field_validator("log_format")
    @classmethod
    def _demand_format(cls, name: str) -> str:
        if name not in LOG_FORMATS:
            raise ValueError("give text or json")
        return name

    @field_validator("admin_token", mode="before")
    @classmethod
    def _clean(cls, token: object) -> object:
        if not isinstance(token, str):
            return token
        token = token.strip()  # a secret that was mounted as a file may end with a line's end
        if len(token) < MIN_TOKEN or not all("!" <= character <= "~" for character in token):
            raise ValueError(f"give at least {MIN_TOKEN} printable ASCII characters without spaces")
        return token

    @field_validator("root_path")
    @classmethod
    def _check_prefix(cls, prefix: str | None) -> str | None:
        if prefix is None or PREFIX.fullmatch(prefix.strip()):
            return prefix and prefix.strip()
        raise ValueError("give a path such as /ml, without a slash at its end")

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _read_networks(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        try:
            return tuple(ip_network(text) for text in _listed(given))
        except ValueError:
            raise ValueError(
                "give addresses or networks with commas between them, such as 10.0.0.7,192.168.1.0/24"
            ) from None

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _read_origins(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        origins = tuple(_listed(given))
        if not origins or not all(ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError(
                "give origins with commas between them, such as https://app.example.com: scheme, host in"
                " lower case, the port if it is not the usual one, and no slash at the end"
            )
        return origins

    @field_validator("hosts")
    @classmethod
    def _demand_names(cls, hosts: str | None) -> str | None:
        if hosts is not None and not all(map(_is_host, _listed(hosts))):
            raise ValueError("give host names or IP addresses without ports, separated by commas")
        return hosts

    @property
    def host_names(self) -> tuple[str, ...]:
        """The names in `hosts`; those of version 6 without brackets."""
        return tuple(name.strip("[]") for name in (_listed(self.hosts) if self.hosts else []))

    @property
    def journal_url(self) -> str:
        """Where the journal is; may hold a password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home / 'journal.db'}"


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _is_host(name: str) -> bool:
    """Return whether a text is a host's name or IP address, without a port."""
    if re.fullmatch(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", name):
        return True
    try:
        return ipaddress.ip_address(re.sub(r"^\[(.*)\]$", r"\1", name)).version == 6
    except ValueError:
        return False


def load() -> Settings:
    """Read the environment.

    Raises
    ------
    InvalidSettings
        Naming the variable that can't be used, and not its value, which may be a secret.
    """
    if os.environ.get("BENTOML_HOME") == "":
        # BentoML itself takes that for the folder it was started in: there would be two stores.
        raise InvalidSettings("BENTOML_HOME: is empty: name a folder, or unset it")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"PREDICTION_{name.upper()}"
        own = str(first["msg"]).removeprefix("Value error, ")
        told = own if first["type"] == "value_error" else _expected(name)
        raise InvalidSettings(f"{variable}: {told}") from None


def _expected(name: str) -> str:
    """Say what a switch or a number may be."""
    limits: dict[str, int] = {}
    for item in Settings.model_fields[name].metadata:
        limits |= asdict(item)
    if not limits:
        return "give true or false"
    most = f" to {limits['le']}" if "le" in limits else " on"
    return f"give a whole number from {limits['ge']}{most}"
