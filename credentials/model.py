"""The vocabulary of credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct


class Part(StrEnum):
    """What is kept of an instance, each in a record of its own.

    A refresh and a change of the config never write the same record: one would make the other lose
    its compare-and-set, and with it a rotated token.
    """

    CONFIG = "config"  # what its owner gave: keys, client secrets, user names
    GRANT = "grant"  # what an authorization server gave: tokens, and who refreshes them now
    FLOWS = "flows"  # authorizations under way: the hashes of their states, their verifiers


class RecordKey(NamedTuple):
    """Where a record is."""

    tenant: str
    instance_id: str
    part: Part = Part.CONFIG


@dataclass(frozen=True, slots=True)
class Signing:
    """How a request is signed with a shared key (HMAC, RFC 2104).

    `template` is the signed text: `{method} {path} {query} {url} {host} {body} {bodyHash}
    {timestamp} {nonce}`, `{header:Name}` and `{field:name}`; `bodyHash` is the hexadecimal hash of
    the body by the same algorithm. `algorithm` is sha1, sha256, sha384 or sha512, `encoding` hex,
    base64 or base64url, `key_encoding` how the key is written: utf8, hex, base64 or base64url.
    `timestamp_format` is unix, unix_ms or rfc3339. Empty header names: not sent.
    """

    template: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    key_encoding: str = "utf8"
    timestamp_header: str = ""
    timestamp_format: str = "unix"
    nonce_header: str = ""


@dataclass(frozen=True, slots=True)
class AwsSigning:
    """How AWS Signature Version 4 is scoped, and which fields hold its keys.

    An empty `region` or `service` is read from the field of that name.
    """

    service: str = ""
    region: str = ""
    access_key_field: str = "accessKeyId"
    secret_key_field: str = "secretAccessKey"  # noqa: S105 - a name
    session_token_field: str = "sessionToken"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True)
class CertificateFields:
    """Which fields hold the certificate that a client shows in TLS, in PEM, and its key."""

    certificate: str = "clientCertificate"
    key: str = "clientKey"


@dataclass(frozen=True, slots=True)
class AuthScheme:
    """How an API wants to be shown credentials: where they go and which fields hold them.

    `headers` and `query` are the names and value templates of a `custom` scheme: `{field}` stands
    for a field of the credentials, `{field:base64}` for its base64.
    """

    type: str  # none, api_key, basic, bearer, oauth2, …
    location: str = "header"  # header, query or cookie
    name: str = "Authorization"
    prefix: str = "Bearer "
    field: str = "apiKey"
    username_field: str = "username"
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    signing: Signing | None = None
    aws: AwsSigning | None = None
    certificate: CertificateFields | None = None

    @property
    def signs(self) -> bool:
        """Tell whether the authorization depends on the whole request, its body included."""
        return self.type in {"hmac", "aws_sigv4"}


class OutgoingRequest(Struct, frozen=True):
    """The request that is to be authorized.

    Schemes that sign it need all of it; for others headers and body may be left out. `refused` is
    the generation of the authorization that the API has just refused for this very request (401).

    Made for every call, so its constructor is C: that of a frozen dataclass is Python.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    refused: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class ClientCertificate:
    """What a client shows in TLS: certificates and key in PEM. Never printed."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "ClientCertificate(***)"


@dataclass(frozen=True, slots=True, repr=False)
class Authorization:
    """What to add to one request. Never printed: every value in it is a secret.

    `generation` counts the tokens of an instance from 1; 0: this authorization cannot be renewed.
    """

    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    expires_at: datetime | None = None
    generation: int = 0
    certificate: ClientCertificate | None = None

    def __repr__(self) -> str:
        names = [name for name, _ in (*self.headers, *self.query)]
        return f"Authorization({', '.join(names)}: ***)"


@dataclass(frozen=True, slots=True, repr=False)
class SecretRecord:
    """The fields of one instance's credentials. Never printed."""

    fields: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SecretRecord({', '.join(self.fields)}: ***)"


@dataclass(frozen=True, slots=True)
class Versioned:
    """A record and the version it has in its store, from 1."""

    record: SecretRecord
    version: int


class Standing(StrEnum):
    """Whether an instance can call its API, as far as its credentials go."""

    CONNECTED = "CONNECTED"
    PENDING_AUTHENTICATION = "PENDING_AUTHENTICATION"
    DISCONNECTED = "DISCONNECTED"
    AUTH_ERROR = "AUTH_ERROR"
    CONFIG_ERROR = "CONFIG_ERROR"


@dataclass(frozen=True, slots=True)
class Report:
    """What credentials tell of an instance: its standing, why, and what its API has told us of it.

    `code` is one of the service's reasons, empty when all is well. `captured` are fields for the
    config, none of them secret: the host of an account, say.
    """

    standing: Standing
    code: str = ""
    message: str = ""
    captured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connection:
    """An instance as credentials need to know it.

    `oauth2` is its definition's oauth2Config as written, `config` its config without secrets,
    `version` that of the secrets which belong to it, `verification` the definition's request that
    proves credentials good (`method`, `url`, both whole; None: it names none, or the config cannot
    make it yet, and `unverifiable` says why).
    """

    scheme: AuthScheme
    oauth2: Mapping[str, Any]
    config: Mapping[str, Any]
    version: int
    standing: str
    verification: OutgoingRequest | None = None
    unverifiable: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class OutboundRequest:
    """A request to an authorization server. Never printed."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    certificate: ClientCertificate | None = None

    def __repr__(self) -> str:
        return f"OutboundRequest({self.method}: ***)"


@dataclass(frozen=True, slots=True, repr=False)
class OutboundAnswer:
    """What it answered: header names in lower case. Never printed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"OutboundAnswer({self.status}: ***)"


@dataclass(frozen=True, slots=True, repr=False)
class SpoolEntry:
    """A token answer between its arrival and its safe place in the store. Never printed.

    `attempt` is the claim under which it was asked for, `received_at` in seconds since 1970.
    """

    key: RecordKey
    attempt: str
    received_at: float
    status: int
    content_type: str
    body: bytes

    def __repr__(self) -> str:
        return f"SpoolEntry({self.attempt}: ***)"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done with credentials: by whom, to which instance, and how it ended.

    `action` is a verb with its object (`credentials.stored`, `token.refreshed`); `outcome` is `ok`
    or a reason; `details` are JSON values under camelCase names, none of them secret.
    """

    action: str
    tenant: str
    instance_id: str
    actor: str
    outcome: str = "ok"
    details: Mapping[str, Any] = field(default_factory=dict)
