"""Where credentials go in a request, and how it is signed: what `auth` of a definition says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SigningPlacement:
    """How a request is signed with a shared key (HMAC, RFC 2104).

    `template` is the signed text: `{method} {path} {query} {url} {host} {body} {bodyHash}
    {timestamp} {nonce}`, `{header:Name}` and `{field:name}`. `algorithm` is sha1, sha256, sha384 or
    sha512, `encoding` of the signature hex, base64 or base64url, `key_encoding` of the key utf8,
    hex, base64 or base64url. `timestamp_format` is unix, unix_ms or rfc3339. Headers without a name
    are not sent.
    """

    template: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    key_encoding: str = "utf8"
    timestamp_header: str = ""
    timestamp_format: str = "unix"
    nonce_header: str = ""


@dataclass(frozen=True, slots=True)
class AwsPlacement:
    """How AWS Signature Version 4 is scoped, and which fields of the config hold its keys.

    An empty `region` or `service` is read from the field of that name.
    """

    service: str = ""
    region: str = ""
    access_key_field: str = "accessKeyId"
    secret_key_field: str = "secretAccessKey"  # noqa: S105 - the name of a field
    session_token_field: str = "sessionToken"  # noqa: S105 - the name of a field


@dataclass(frozen=True, slots=True)
class CertificatePlacement:
    """Which fields of the config hold the certificate shown in TLS, in PEM, and its key."""

    certificate: str = "clientCertificate"
    key: str = "clientKey"


@dataclass(frozen=True, slots=True)
class AuthPlacement:
    """Where credentials go in a request, and which fields of the config hold them.

    `headers` and `query` are the names and value templates of `custom` and `hmac`: `{field}` stands
    for a field of the config, `{field:base64}` for its base64; so it does in the `prefix` of
    `hmac`. `signing` is there for `hmac`, `aws` for `aws_sigv4`, `certificate` where clients show
    one.
    """

    location: str = "header"  # header, query or cookie
    name: str = "Authorization"
    prefix: str = "Bearer "
    field: str = "apiKey"
    username_field: str = "username"
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    signing: SigningPlacement | None = None
    aws: AwsPlacement | None = None
    certificate: CertificatePlacement | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """The request that proves credentials good; `path` is an RFC 6570 template over `config`."""

    method: str = "GET"
    path: str = "/"
