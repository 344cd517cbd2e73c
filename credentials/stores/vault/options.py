"""Where the Vault is and how we log in: plain values from whoever wires the process."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from credentials.errors import StoreUnfit
from credentials.secret import Secret

_PATH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:/[A-Za-z0-9][A-Za-z0-9_-]*)*")


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """A token that somebody made for us: for trying things out, since nobody can make it anew."""

    token: Secret


@dataclass(frozen=True, slots=True)
class AppRoleAuth:
    """AppRole: the role's id, and a secret id as it is or wrapped.

    A wrapped one is unwrapped once and kept in memory. A role whose secret ids work once needs
    periodic tokens: with no second login, a token has to live as long as it is renewed.
    """

    role_id: str
    secret_id: Secret | None = None
    wrapped_secret_id: Secret | None = None
    mount: str = "approle"

    def __post_init__(self) -> None:
        if bool(self.secret_id) == bool(self.wrapped_secret_id):
            problem = "AppRole needs either a secret id or a wrapped secret id"
            raise StoreUnfit(f"{problem}; set exactly one", problem=problem)
        _check_path("the mount of AppRole", self.mount)


@dataclass(frozen=True, slots=True)
class KubernetesAuth:
    """Kubernetes: the role, and the projected token, whose file is read at each login.

    The kubelet replaces that file before the token in it expires.
    """

    role: str
    jwt_path: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    mount: str = "kubernetes"

    def __post_init__(self) -> None:
        _check_path("the mount of Kubernetes", self.mount)


@dataclass(frozen=True, slots=True)
class VaultOptions:
    """One Vault, one key-value mount in it. All times in seconds.

    Records are at `<mount>/data/<prefix>/<tenant>/i/<instance>/<part>`. `transit_mount` is that of
    the transit engine, `ca_file` in PEM replaces the system's authorities. `read_timeout` bounds
    one whole request; `probe_interval` is the time between two looks at a sealed server. Raises
    `StoreUnfit` for what can be no address or path.
    """

    address: str
    auth: TokenAuth | AppRoleAuth | KubernetesAuth
    mount: str = "integration"
    prefix: str = "t"
    transit_mount: str = "transit"
    namespace: str = ""
    ca_file: Path | None = None
    connect_timeout: float = 1.0
    read_timeout: float = 5.0
    connections: int = 64
    probe_interval: float = 0.5

    def __post_init__(self) -> None:
        address = URL(self.address)
        if address.scheme not in {"http", "https"} or not address.host or address.user:
            problem = "the address of the Vault is no http or https URL without a user"
            raise StoreUnfit(f"{problem}; write https://host:8200", problem=problem)
        _check_path("the mount", self.mount)
        _check_path("the path prefix", self.prefix)
        _check_path("the mount of transit", self.transit_mount)
        if self.namespace:
            _check_path("the namespace", self.namespace.strip("/"))


def _check_path(what: str, path: str) -> None:
    if not _PATH.fullmatch(path):
        problem = f"{what} {path!r} is no path"
        message = f"In the settings of the Vault, {problem}: letters, digits, _ - and / inside"
        raise StoreUnfit(message, problem=problem)
