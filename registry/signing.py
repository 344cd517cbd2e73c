"""What `auth` says of requests that are signed, or carry more than one credential."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from registry.binding import header_name_problem, read_header_name
from registry.fields import Fields, did_you_mean
from registry.model import AwsPlacement, CertificatePlacement, SigningPlacement
from registry.problems import pointer
from registry.templates import ConfigFields

ALGORITHMS: Final = ("sha1", "sha256", "sha384", "sha512")
ENCODINGS: Final = ("hex", "base64", "base64url")
KEY_ENCODINGS: Final = ("utf8", "hex", "base64", "base64url")
TIMESTAMP_FORMATS: Final = ("unix", "unix_ms", "rfc3339")
SIGNED: Final = (
    *("method", "path", "query", "url", "host", "body", "bodyHash", "timestamp", "nonce"),
)
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_VISIBLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SCOPE_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MOST_PARTS: Final = 50

_Words = tuple[str, ...]


def read_signing(auth: Fields, config: ConfigFields) -> SigningPlacement | None:
    """Read `auth.signature`: what is signed, how, and which headers tell when."""
    signature = auth.inner("signature")
    if signature is None:
        return None
    signature.required("template")
    placement = SigningPlacement(
        template=signature.text("template"),
        algorithm=signature.word("algorithm", ALGORITHMS, "sha256"),
        encoding=signature.word("encoding", ENCODINGS, "hex"),
        key_encoding=signature.word("keyEncoding", KEY_ENCODINGS, "utf8"),
        timestamp_header=read_header_name(signature, "timestampHeader"),
        timestamp_format=signature.word("timestampFormat", TIMESTAMP_FORMATS, "unix"),
        nonce_header=read_header_name(signature, "nonceHeader"),
    )
    signature.rest(())
    if isinstance(signature.raw("template"), str):
        _check_signed(signature, placement, config)
    return placement


def _check_signed(signature: Fields, placement: SigningPlacement, config: ConfigFields) -> None:
    template = placement.template
    if not template:
        signature.refuse("template", "is empty; say what is signed, such as {timestamp}.{body}")
    for problem in _template_problems(template, lambda name: _signed_problem(name, config)):
        signature.refuse("template", problem)
    used = set(_PLACEHOLDER.findall(template))
    for name, header in (
        ("timestamp", placement.timestamp_header),
        ("nonce", placement.nonce_header),
    ):
        if name in used and not header:
            message = f"signs {{{name}}}, but nobody is told it; name its header with {name}Header"
            signature.findings.warn(signature.at("template"), message)


def _signed_problem(name: str, config: ConfigFields) -> str:
    kind, colon, what = name.partition(":")
    if not colon and name in SIGNED:
        return ""
    if colon and kind == "header":
        return header_name_problem(what)
    if colon and kind == "field":
        return config.absence(what)
    known = (*SIGNED, "header:Name", "field:name")
    return f"is not known here; known are {', '.join(known)}{did_you_mean(name, SIGNED)}"


def _template_problems(template: str, problem_of: Callable[[str], str]) -> Iterator[str]:
    """Name the placeholders that are wrong, each once, and braces that belong to none."""
    for name in dict.fromkeys(_PLACEHOLDER.findall(template)):
        if problem := problem_of(name):
            yield f"uses {{{name[:80]}}}, which {problem}"
    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        yield "has a brace that belongs to no placeholder"


def read_templates(auth: Fields, group: str, config: ConfigFields) -> tuple[tuple[str, str], ...]:
    """Read `auth.headers` or `auth.query`: names, and templates over fields of the config."""
    read: list[tuple[str, str]] = []
    for name, value in auth.items(group):
        at = auth.at(group) + pointer(name)
        problems = tuple(_part_problems(group, name, value, config))
        for problem in problems:
            auth.findings.refuse(at, problem)
        if not problems:
            read.append((name, value))
    if len(read) > _MOST_PARTS:
        auth.refuse(group, f"has more than {_MOST_PARTS} members")
    return tuple(read)


def _part_problems(group: str, name: str, value: Any, config: ConfigFields) -> Iterator[str]:
    if group == "headers":
        if problem := header_name_problem(name):
            yield problem
    elif not name or _CONTROL.search(name):
        yield "is no name of a query parameter"
    if not isinstance(value, str):
        yield "must be a text"
        return
    yield from field_template_problems(value, config)
    literal = _PLACEHOLDER.sub("x", value)
    if group == "headers" and not _VISIBLE.fullmatch(literal):
        yield "must be visible ASCII, without blanks at its ends"
    elif _CONTROL.search(literal):
        yield "must not have control characters"


def field_template_problems(template: str, config: ConfigFields) -> Iterator[str]:
    """Name what is wrong with a template over the fields of the config."""
    yield from _template_problems(template, lambda name: _field_problem(name, config))


def _field_problem(placeholder: str, config: ConfigFields) -> str:
    field, colon, form = placeholder.partition(":")
    if not field or (colon and form != "base64"):
        return "is no placeholder; write {field} or {field:base64}"
    return config.absence(field)


def read_aws(auth: Fields, config: ConfigFields) -> AwsPlacement:
    """Read how AWS Signature Version 4 is scoped, and where its keys are."""
    default = AwsPlacement()
    placement = AwsPlacement(
        service=_scope(auth, "service", config),
        region=_scope(auth, "region", config),
        access_key_field=auth.text("accessKeyField", default.access_key_field),
        secret_key_field=auth.text("secretKeyField", default.secret_key_field),
        session_token_field=auth.text("sessionTokenField", default.session_token_field),
    )
    check_field(auth, "accessKeyField", placement.access_key_field, config)
    for name, field in (
        ("secretKeyField", placement.secret_key_field),
        ("sessionTokenField", placement.session_token_field),
    ):
        check_field(auth, name, field, config)
        check_secret(auth, name, field, config)
    return placement


def _scope(auth: Fields, name: str, config: ConfigFields) -> str:
    value = auth.text(name)
    if not auth.has(name):
        if config.absence(name):
            auth.refuse(name, f"is missing; name it, or give configSchema a property {name}")
        return ""
    if isinstance(auth.raw(name), str) and not _SCOPE_WORD.fullmatch(value):
        auth.refuse(name, "must be a word of letters, digits, dots and hyphens, such as eu-west-1")
    return value


def read_certificate(auth: Fields, config: ConfigFields) -> CertificatePlacement | None:
    """Read `auth.clientCertificate`: the fields with the certificate and its key, in PEM."""
    certificate = auth.inner("clientCertificate")
    if certificate is None:
        return None
    default = CertificatePlacement()
    placement = CertificatePlacement(
        certificate=certificate.text("certificate", default.certificate),
        key=certificate.text("key", default.key),
    )
    certificate.rest(())
    for name, field in (("certificate", placement.certificate), ("key", placement.key)):
        if problem := config.absence(field):
            certificate.refuse(name, f"names {field}, which {problem}")
    check_secret(certificate, "key", placement.key, config)
    return placement


def check_field(holder: Fields, name: str, field: str, config: ConfigFields) -> None:
    """Refuse a field that is named, and that the configSchema does not have."""
    if holder.has(name) and (problem := config.absence(field)):
        holder.refuse(name, f"names {field}, which {problem}")


def check_secret(holder: Fields, name: str, field: str, config: ConfigFields) -> None:
    """Refuse a field that holds a secret and would be kept, and shown, as if it were none."""
    if not config.hides(field) and not config.absence(field):
        message = f"is in {field}, which is not secret; mark it in configSchema with x-secret: true"
        holder.refuse(name, message)
