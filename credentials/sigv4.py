"""AWS Signature Version 4, in headers.

Source: "Create a signed AWS API request", AWS Identity and Access Management User Guide.
"""

import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

from credentials.model import Authorization, AuthScheme, AwsSigning, OutgoingRequest
from credentials.placing import VISIBLE_WORD, Fields, matching, text
from credentials.target import RequestTarget, target_of

ALGORITHM = "AWS4-HMAC-SHA256"
# Their paths are keys of objects: encoded once, and never normalised.
PLAIN_PATHS = frozenset({"s3", "s3-outposts", "s3-object-lambda"})
# What proxies on the way change.
UNSIGNED = frozenset({"connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"})

_HASH = "x-amz-content-sha256"
_ACCESS_KEY = re.compile(r"[\x21-\x2b\x2d\x2e\x30-\x7e]+")  # not a comma, not a slash
_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNRESERVED = "-_.~"
_WORD = "ASCII without blanks"

Headers = tuple[tuple[str, str], ...]


def aws_fields(scheme: AuthScheme) -> tuple[str, ...]:
    """Name the fields that a signature needs."""
    aws = _aws(scheme)
    scope = [
        name for name, value in (("region", aws.region), ("service", aws.service)) if not value
    ]
    return (aws.access_key_field, aws.secret_key_field, *scope)


def sign_aws(
    scheme: AuthScheme, fields: Fields, request: OutgoingRequest, now: datetime
) -> Authorization:
    """Answer the headers that sign the request as it will be sent.

    All of its headers are signed but those of `UNSIGNED`. A request that says its own
    `X-Amz-Content-Sha256` (`UNSIGNED-PAYLOAD`, say) keeps it. Raises `InvalidCredentials`.
    """
    aws = _aws(scheme)
    access_key = matching(
        _ACCESS_KEY, text(fields, aws.access_key_field), aws.access_key_field, "an access key id"
    )
    secret = matching(VISIBLE_WORD, text(fields, aws.secret_key_field), aws.secret_key_field, _WORD)
    service = _scope_word(aws.service, "service", fields)
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{_scope_word(aws.region, 'region', fields)}/{service}/aws4_request"

    target = target_of(request.url)
    added: Headers = (("X-Amz-Date", moment), *_session_token(aws, fields))
    declared = [value for name, value in request.headers if name.lower() == _HASH]
    payload = declared[0] if declared else sha256(request.body).hexdigest()
    if service in PLAIN_PATHS and not declared:
        added = (*added, ("X-Amz-Content-Sha256", payload))
    replaced = {"authorization", "host", *(name.lower() for name, _ in added)}
    sent = [header for header in request.headers if header[0].lower() not in replaced]
    signed, lines = _canonical_headers([("host", target.host), *sent, *added])
    canonical = "\n".join(
        [
            request.method.upper(),
            _canonical_path(target, plain=service in PLAIN_PATHS),
            _canonical_query(target.query),
            *lines,
            "",
            signed,
            payload,
        ]
    )
    digest = sha256(canonical.encode()).hexdigest()
    signature = _hmac(_key(secret, scope), f"{ALGORITHM}\n{moment}\n{scope}\n{digest}").hex()
    value = (
        f"{ALGORITHM} Credential={access_key}/{scope}, "
        f"SignedHeaders={signed}, Signature={signature}"
    )
    return Authorization((*added, ("Authorization", value)))


def _aws(scheme: AuthScheme) -> AwsSigning:
    return scheme.aws or AwsSigning()


def _scope_word(value: str, name: str, fields: Fields) -> str:
    return value or matching(_SCOPE, text(fields, name), name, f"the name of an AWS {name}")


def _session_token(aws: AwsSigning, fields: Fields) -> Headers:
    name = aws.session_token_field
    if not fields.get(name):  # only temporary credentials have one
        return ()
    token = matching(VISIBLE_WORD, text(fields, name), name, _WORD)
    return (("X-Amz-Security-Token", token),)


def _canonical_headers(headers: Iterable[tuple[str, str]]) -> tuple[str, list[str]]:
    """Answer the names, joined, and a line per name; runs of blanks become one."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in UNSIGNED:
            values.setdefault(name.lower(), []).append(" ".join(value.split()))
    names = sorted(values)
    return ";".join(names), [f"{name}:{','.join(values[name])}" for name in names]


def _canonical_path(target: RequestTarget, *, plain: bool) -> str:
    """Encode the path: over what is encoded already, or for S3 each segment anew."""
    if plain:
        return "/".join([_encoded(segment) for segment in target.path.split("/")])
    segments: list[str] = []
    for segment in target.path.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in {"", "."}:
            segments.append(segment)
    last = "/" if segments and target.path.endswith("/") else ""
    return quote("/" + "/".join(segments) + last, safe="/~")


def _canonical_query(query: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join([f"{name}={value}" for name, value in encoded])


def _encoded(piece: str) -> str:
    return quote(unquote_to_bytes(piece), safe=_UNRESERVED)


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in scope.split("/"):
        key = _hmac(key, word)
    return key


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")
