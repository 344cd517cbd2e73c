"""Every setting of the service, read once from `INTEGRATION_*` variables and a TOML file.

This is the only place that reads the environment. The object is frozen, checked whole, and every
problem is named at once. A variable wins over the file, a flag of `serve` over both.
"""

import dataclasses
import difflib
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.setting_values import CONVERTERS, IpNetwork

PREFIX = "INTEGRATION_"


class InvalidSettings(Exception):
    """The settings cannot be used; `problems` names each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _setting(default: Any, doc: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's settings. Names in a TOML file are these, in variables `INTEGRATION_<NAME>`."""

    data_dir: Path = _setting(Path("data"), "Where keys and embedded databases live (made 0700).")
    rest: str = _setting("127.0.0.1:8080", "HOST:PORT of the REST gateway.")
    grpc: str = _setting("127.0.0.1:50051", "HOST:PORT of the gRPC server.")
    database_url: str = _setting(
        "",
        "postgresql+asyncpg://… of the registry's database; empty: SQLite in the data directory.",
    )
    registry_address: str = _setting("", "HOST:PORT of the registry where it runs elsewhere.")
    credentials_address: str = _setting("", "HOST:PORT of the credential service, likewise.")
    transformer_address: str = _setting("", "HOST:PORT of the transformer, likewise.")
    executor_address: str = _setting("", "HOST:PORT of the executor, likewise.")
    admin_key: str = _setting("", "API key of tenant `default`; empty: from a file.", secret=True)
    admin_key_file: Path | None = _setting(
        None, "File with that key; by default <data-dir>/admin-key, made at first start."
    )
    service_key: str = _setting(
        "", "Key that the services show each other; empty: from a file.", secret=True
    )
    service_key_file: Path | None = _setting(
        None, "File with that key; by default <data-dir>/service-key, made at first start."
    )
    master_key: str = _setting(
        "",
        "Master keys of the local credential store, base64 of 32 bytes each, the newest first.",
        secret=True,
    )
    master_key_file: Path | None = _setting(
        None, "File with them, a line each; by default <data-dir>/master-key, made at first start."
    )
    master_key_command: tuple[str, ...] = _setting(
        (), "Command that prints them, run without a shell: words as a shell splits them."
    )
    credential_store: str = _setting(
        "local", "Where credentials are kept: local (SQLite and master keys) or vault."
    )
    vault_address: str = _setting("", "https://HOST:PORT of HashiCorp Vault or OpenBao.")
    vault_mount: str = _setting("integration", "Its mount of KV version 2, with cas_required.")
    vault_namespace: str = _setting("", "Its namespace, where there are any.")
    vault_transit_key: str = _setting(
        "integration-spool", "Its RSA key of the transit engine, for the spool of token answers."
    )
    vault_ca_file: Path | None = _setting(None, "Certificates that its own is checked by, in PEM.")
    vault_auth: str = _setting("approle", "How to log in there: approle, kubernetes or token.")
    vault_role_id: str = _setting("", "Role id of AppRole; empty: from a file.")
    vault_role_id_file: Path | None = _setting(None, "File with that role id.")
    vault_secret_id: str = _setting("", "Secret id of AppRole; empty: from a file.", secret=True)
    vault_secret_id_file: Path | None = _setting(None, "File with that secret id.")
    vault_wrapped_secret_id: str = _setting(
        "", "Secret id of AppRole, wrapped: good for one start.", secret=True
    )
    vault_role: str = _setting("", "Role of Kubernetes.")
    vault_jwt_file: Path = _setting(
        Path("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        "Token of the service account, read at each login.",
    )
    vault_token: str = _setting("", "Token, for trying things out.", secret=True)
    vault_token_file: Path | None = _setting(None, "File with that token.")
    spool_dir: Path | None = _setting(
        None, "Where token answers are kept, sealed, until they are stored; <data-dir>/spool."
    )
    audit_dir: Path | None = _setting(None, "Where the audit log is written; <data-dir>/audit.")
    egress_allow: tuple[IpNetwork, ...] = _setting(
        (), "Private networks that upstreams may live in: CIDRs, separated by commas."
    )
    cache_dir: Path = _setting(
        Path("~/.cache/integration-service/engine").expanduser(),
        "Where the machine code of the JavaScript engine is cached (made 0700).",
    )
    default_timeout_ms: int = _setting(30_000, "Time for one execution, in milliseconds.")
    transform_time_ms: int = _setting(500, "Running time for one transform, in milliseconds.")
    transform_memory_mb: int = _setting(32, "Memory for one transform, in MiB.")
    max_request_mb: int = _setting(10, "Largest request body sent to an upstream, in MiB.")
    max_response_mb: int = _setting(10, "Largest answer read from an upstream, in MiB, decoded.")
    max_concurrent_rpcs: int = _setting(1000, "Calls served at once over gRPC; more are refused.")
    drain_seconds: float = _setting(10.0, "How long running calls may finish after a stop signal.")
    reflection: bool = _setting(default=True, doc="Serve gRPC reflection.")
    log_level: str = _setting("info", "debug, info, warning or error.")
    log_format: str = _setting("auto", "json, text, or auto: text on a terminal, else json.")

    def database(self) -> str:
        """Answer the registry's database URL."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'registry.db'}"

    def shown(self) -> dict[str, str]:
        """Answer the effective settings as text, secrets masked."""
        return {spec.name: self._shown(spec) for spec in dataclasses.fields(self)}

    def _shown(self, spec: "dataclasses.Field[Any]") -> str:
        value = getattr(self, spec.name)
        if spec.metadata["secret"]:
            return "***" if value else ""
        if spec.type == tuple[str, ...]:
            return shlex.join(value)
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        if spec.name == "database_url":
            return _without_password(value)
        return "" if value is None else str(value)


def load(flags: Mapping[str, object] | None = None, config: Path | None = None) -> Settings:
    """Read the settings of this process; raises `InvalidSettings` with every problem."""
    return parse(os.environ, _toml(config), flags or {})


def parse(
    environ: Mapping[str, str], file: Mapping[str, object], flags: Mapping[str, object]
) -> Settings:
    """Put settings together from their three sources; raises `InvalidSettings`."""
    problems: list[str] = []
    values: dict[str, object] = {}
    variables = {
        name.removeprefix(PREFIX).lower(): text
        for name, text in environ.items()
        if name.startswith(PREFIX)
    }
    sources = ((file, "{}"), (variables, "INTEGRATION_{}"), (flags, "--{}"))
    for source, style in sources:
        for name, value in source.items():
            shown = style.format(name.upper() if source is variables else name.replace("_", "-"))
            try:
                values[name] = _converted(name, value)
            except ValueError as error:
                problems.append(f"{shown}: {error}")
    settings = Settings(**values) if not problems else Settings()  # type: ignore[arg-type]
    problems += [] if problems else _verify(settings)
    if problems:
        raise InvalidSettings(problems)
    return settings


def _toml(config: Path | None) -> Mapping[str, object]:
    if config is None:
        return {}
    import tomllib  # noqa: PLC0415 - most starts have no file

    try:
        return tomllib.loads(config.read_text())
    except OSError as error:
        raise InvalidSettings([f"{config}: cannot be read ({error.strerror})"]) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings([f"{config}: is no TOML ({error})"]) from error


def _converted(name: str, value: object) -> object:
    spec = next((spec for spec in dataclasses.fields(Settings) if spec.name == name), None)
    if spec is None:
        known = [spec.name for spec in dataclasses.fields(Settings)]
        close = difflib.get_close_matches(name, known, n=1)
        raise ValueError(
            f"no such setting; did you mean {close[0]}?" if close else "no such setting"
        )
    return CONVERTERS[spec.type](value)


DATABASES = ("sqlite+aiosqlite://", "postgresql+asyncpg://")
CHOICES = {
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("auto", "json", "text"),
    "credential_store": ("local", "vault"),
    "vault_auth": ("approle", "kubernetes", "token"),
}
MASTER_KEYS = ("master_key", "master_key_file", "master_key_command")
ADDRESSES = (
    "rest",
    "grpc",
    *(f"{name}_address" for name in ("registry", "credentials", "transformer", "executor")),
)


def _verify(settings: Settings) -> list[str]:
    problems = [
        f"{name}: must be HOST:PORT, not {value!r}"
        for name in ADDRESSES
        if (value := getattr(settings, name)) and not _is_address(value)
    ]
    if settings.database_url and not settings.database_url.startswith(DATABASES):
        problems.append(f"database_url: must start with {' or '.join(DATABASES)}")
    problems += _choices(settings)
    problems += _verify_vault(settings)
    keys = [name for name in MASTER_KEYS if getattr(settings, name)]
    if len(keys) > 1:
        problems.append(f"{' and '.join(keys)}: only one of them may be set")
    return problems


def _choices(settings: Settings) -> list[str]:
    return [
        f"{name}: must be one of {', '.join(allowed)}, not {getattr(settings, name)!r}"
        for name, allowed in CHOICES.items()
        if getattr(settings, name) not in allowed
    ]


def _verify_vault(settings: Settings) -> list[str]:
    if settings.credential_store != "vault":
        return []
    needed = {
        "approle": (
            ("vault_role_id", "vault_role_id_file"),
            ("vault_secret_id", "vault_secret_id_file", "vault_wrapped_secret_id"),
        ),
        "kubernetes": (("vault_role",),),
        "token": (("vault_token", "vault_token_file"),),
    }
    groups = (("vault_address",), *needed.get(settings.vault_auth, ()))
    return [
        f"{' or '.join(names)}: needed by credential_store vault"
        for names in groups
        if not any(getattr(settings, name) for name in names)
    ]


def _is_address(value: str) -> bool:
    host, _, port = value.rpartition(":")
    return bool(host) and port.isdecimal() and int(port) <= 65_535  # noqa: PLR2004 - ports have 16 bits


def _without_password(url: str) -> str:
    """Hide what may be secret: the password, and everything behind the question mark."""
    address, question, _ = url.partition("?")
    scheme, separator, rest = address.partition("://")
    user, at, host = rest.rpartition("@")
    shown = f"{scheme}{separator}{user.partition(':')[0]}:***{at}{host}" if at else address
    return f"{shown}?***" if question else shown
