"""Requests signed with a shared key: a text of the request, hashed with it (HMAC, RFC 2104)."""

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar

from msgspec import Struct

from credentials.custom import field_names, fill_header, place_templates
from credentials.errors import InvalidCredentials, SchemeInvalid
from credentials.model import Authorization, AuthScheme, OutgoingRequest, Signing
from credentials.placing import Fields, header_name, place, text, without_controls
from credentials.target import RequestTarget, target_of, with_query
from credentials.templates import Placeholder, parse, placeholders, unknown

Made = TypeVar("Made")

ALGORITHMS = frozenset({"sha1", "sha256", "sha384", "sha512"})
ENCODINGS: Mapping[str, Callable[[bytes], str]] = MappingProxyType(
    {
        "hex": bytes.hex,
        "base64": lambda raw: b64encode(raw).decode("ascii"),
        "base64url": lambda raw: urlsafe_b64encode(raw).decode("ascii"),
    }
)
KEY_ENCODINGS: Mapping[str, Callable[[str], bytes]] = MappingProxyType(
    {
        "utf8": str.encode,
        "hex": bytes.fromhex,
        "base64": lambda key: b64decode(key, validate=True),
        "base64url": lambda key: urlsafe_b64decode(key + "=" * (-len(key) % 4)),
    }
)
TIMESTAMPS: Mapping[str, Callable[[datetime], str]] = MappingProxyType(
    {
        "unix": lambda now: str(int(now.timestamp())),
        "unix_ms": lambda now: str(int(now.timestamp() * 1000)),
        "rfc3339": lambda now: now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
)
_KNOWN = (
    "{method} {path} {query} {url} {host} {body} {bodyHash} {timestamp} {nonce} {header:Name} "
    "{field:name}"
)


class _Facts(Struct, frozen=True):
    """What a signature can rest on. Never printed."""

    request: OutgoingRequest
    target: RequestTarget
    headers: tuple[tuple[str, str], ...]
    fields: Fields
    algorithm: str
    timestamp: str
    nonce: str

    def __repr__(self) -> str:
        return "_Facts(***)"


def signing_fields(scheme: AuthScheme) -> tuple[str, ...]:
    """Name the fields that a signature needs; raises `SchemeInvalid`."""
    signed = placeholders(_signing(scheme).template, "template")
    names = (
        scheme.field,
        *(placeholder.argument for placeholder in signed if placeholder.name == "field"),
        *(placeholder.name for placeholder in placeholders(scheme.prefix, "prefix")),
        *field_names(scheme),
    )
    return tuple(dict.fromkeys(names))


def sign(
    scheme: AuthScheme, fields: Fields, request: OutgoingRequest, now: datetime, nonce: str
) -> Authorization:
    """Answer the headers that sign the request as it will be sent.

    The signature goes where the scheme places a key, behind its prefix, which may hold `{field}`s
    (`AWS {keyId}:`). The templates of `headers` and `query` are filled first and are part of what
    is signed, as are the headers of timestamp and nonce. A header that the request does not have
    is empty in the signed text. Raises `SchemeInvalid`, `InvalidCredentials`.
    """
    signing = _signing(scheme)
    more = place_templates(scheme, fields)
    timestamp = _of(TIMESTAMPS, signing.timestamp_format, "timestampFormat")(now)
    added = (*more.headers, *_announced(signing, timestamp, nonce))
    names = {name.lower() for name, _ in added}
    kept = tuple(header for header in request.headers if header[0].lower() not in names)
    facts = _Facts(
        request=request,
        target=target_of(with_query(request.url, more.query)),
        headers=kept + added,
        fields=fields,
        algorithm=signing.algorithm,
        timestamp=timestamp,
        nonce=nonce,
    )
    signature = _signature(scheme, signing, facts)
    prefix = fill_header(scheme.prefix, "prefix", fields)
    placed = place(replace(scheme, prefix=prefix), signature, scheme.field)
    return Authorization(added + placed.headers, more.query + placed.query)


def _signing(scheme: AuthScheme) -> Signing:
    signing = scheme.signing
    if signing is None or not signing.template:
        message = "An hmac scheme says what is signed with its template"
        raise SchemeInvalid(message, property="template")
    if signing.algorithm not in ALGORITHMS:
        known = ", ".join(sorted(ALGORITHMS))
        message = f"{signing.algorithm!r} is no algorithm of ours; {known} are"
        raise SchemeInvalid(message, property="algorithm")
    return signing


def _of(table: Mapping[str, Made], name: str, property_: str) -> Made:
    try:
        return table[name]
    except KeyError:
        message = f"{name!r} is no {property_} of ours; {', '.join(table)} are"
        raise SchemeInvalid(message, property=property_) from None


def _announced(signing: Signing, timestamp: str, nonce: str) -> tuple[tuple[str, str], ...]:
    told = (
        (signing.timestamp_header, "timestampHeader", timestamp),
        (signing.nonce_header, "nonceHeader", nonce),
    )
    return tuple((header_name(name, prop), value) for name, prop, value in told if name)


def _signature(scheme: AuthScheme, signing: Signing, facts: _Facts) -> str:
    encode = _of(ENCODINGS, signing.encoding, "encoding")
    key = _key(scheme.field, signing, facts.fields)
    parts = parse(signing.template, "template")
    signed = b"".join(
        [part.encode() if isinstance(part, str) else _signed(part, facts) for part in parts]
    )
    return encode(hmac.digest(key, signed, signing.algorithm))


def _key(name: str, signing: Signing, fields: Fields) -> bytes:
    decode = _of(KEY_ENCODINGS, signing.key_encoding, "keyEncoding")
    try:
        key = decode(text(fields, name))
    except (ValueError, binascii.Error):
        message = f"Credentials field {name!r} is no key in {signing.key_encoding}"
        raise InvalidCredentials(message, field=name) from None
    if not key:
        raise InvalidCredentials(f"Credentials field {name!r} is empty", field=name)
    return key


def _signed(placeholder: Placeholder, facts: _Facts) -> bytes:
    name, argument = placeholder.name, placeholder.argument
    if name == "header" and argument:
        return _header(argument, facts).encode()
    if name == "field" and argument:
        return without_controls(text(facts.fields, argument), argument).encode()
    read = _FACTS.get(name)
    if read is None or argument:
        raise unknown(placeholder, "template", _KNOWN)
    value = read(facts)
    return value if isinstance(value, bytes) else value.encode()


def _header(name: str, facts: _Facts) -> str:
    if name.lower() == "host":
        return facts.target.host
    values = [value for key, value in facts.headers if key.lower() == name.lower()]
    return ", ".join(values)


_FACTS: Mapping[str, Callable[[_Facts], str | bytes]] = MappingProxyType(
    {
        "method": lambda facts: facts.request.method,
        "path": lambda facts: facts.target.path,
        "query": lambda facts: facts.target.query,
        "url": lambda facts: facts.target.url,
        "host": lambda facts: facts.target.host,
        "body": lambda facts: facts.request.body,
        "bodyHash": lambda facts: hashlib.new(facts.algorithm, facts.request.body).hexdigest(),
        "timestamp": lambda facts: facts.timestamp,
        "nonce": lambda facts: facts.nonce,
    }
)
