"""Settings of a source application."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from export_source.credentials import ApplicationKey, ClientCredentials, Credentials
from export_source.errors import ConfigurationError

TOPIC = "platform.export.requests"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where everything is and how much is done at a time."""

    brokers: str
    """Kafka, ``host:port`` of one or more brokers."""
    internal_url: str
    """The internal API, without path: ``http://127.0.0.1:8081``."""
    application: str
    """The name under which the application is registered."""
    credentials: Credentials
    """`ApplicationKey` or `ClientCredentials`."""
    group: str = ""
    """The consumer group, which replicas share; by default the application's name."""
    topic: str = TOPIC
    """The topic of requests."""
    parallel: int = 4
    """How many requests are answered at the same time, each on a thread."""
    resumable: bool = False
    """Whether data goes up in pieces (tus), of which each can be repeated."""
    stop_grace_seconds: float = 25
    """How long answers under way may take once the application is to stop."""
    ca_file: str | None = None
    """Certificate authorities of the internal API and the issuer; by default the system's."""
    kafka: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further settings of librdkafka, such as ``security.protocol`` and SASL."""
    metrics_listen: str | None = None
    """``host:port`` to serve ``/metrics`` and ``/livez`` on; nowhere by default."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: names the setting.

        """
        for name in ("brokers", "internal_url", "application", "topic"):
            if not getattr(self, name):
                raise ConfigurationError(f"{name} is empty")
        if self.parallel < 1:
            raise ConfigurationError("parallel must be 1 or more")
        if self.stop_grace_seconds < 0:
            raise ConfigurationError("stop_grace_seconds must not be negative")
        if not self.group:
            object.__setattr__(self, "group", self.application)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read ``BROKERS, INTERNAL_URL, APPLICATION``, a key or client, and what is optional; see the README.

        Raises:
            ConfigurationError: names the variable that is missing or wrong.

        """
        optional: dict[str, str | None] = {
            "group": environ.get("GROUP"),
            "topic": environ.get("TOPIC"),
            "ca_file": environ.get("CA_FILE"),
            "metrics_listen": environ.get("METRICS_LISTEN"),
        }
        return cls(
            brokers=_needed(environ, "BROKERS"),
            internal_url=_needed(environ, "INTERNAL_URL"),
            application=_needed(environ, "APPLICATION"),
            credentials=_credentials(environ),
            parallel=int(_number(environ, "PARALLEL", 4)),
            resumable=environ.get("RESUMABLE", "").lower() in ("1", "true", "yes"),
            stop_grace_seconds=_number(environ, "STOP_GRACE_SECONDS", 25),
            kafka=_kafka(environ),
            **{name: value for name, value in optional.items() if value},
        )


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise ConfigurationError(f"the environment variable {name} is missing")
    return value


def _secret(environ: Mapping[str, str], name: str) -> str:
    """Give a secret that stands in a variable, or in the file that `<name>_FILE` names."""
    file = environ.get(f"{name}_FILE")
    if not file:
        return _needed(environ, name)
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the file that {name}_FILE names cannot be read") from error


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    try:
        return float(text) if text else default
    except ValueError as error:
        raise ConfigurationError(f"the environment variable {name} is no number") from error


def _credentials(environ: Mapping[str, str]) -> Credentials:
    if environ.get("OIDC_ISSUER"):
        return ClientCredentials(
            issuer=environ["OIDC_ISSUER"],
            client_id=_needed(environ, "OIDC_CLIENT_ID"),
            client_secret=_secret(environ, "OIDC_CLIENT_SECRET"),
            scope=environ.get("OIDC_SCOPE"),
            audience=environ.get("OIDC_AUDIENCE"),
        )
    if environ.get("KEY_FILE"):
        return ApplicationKey.from_file(environ["KEY_FILE"])
    if environ.get("KEY"):
        return ApplicationKey(environ["KEY"])
    raise ConfigurationError("none of the environment variables KEY_FILE, KEY and OIDC_ISSUER is set")


def _kafka(environ: Mapping[str, str]) -> dict[str, str]:
    names = {
        "KAFKA_SECURITY_PROTOCOL": "security.protocol",
        "KAFKA_SASL_MECHANISM": "sasl.mechanism",
        "KAFKA_USERNAME": "sasl.username",
        "KAFKA_CA_FILE": "ssl.ca.location",
    }
    given = {key: environ[name] for name, key in names.items() if environ.get(name)}
    if environ.get("KAFKA_PASSWORD") or environ.get("KAFKA_PASSWORD_FILE"):
        given["sasl.password"] = _secret(environ, "KAFKA_PASSWORD")
    return given
