"""Reads options that come in several forms, or from two places."""

from credentials.model import AuthScheme, ClientCertificate
from credentials.oauth.reading import Options


def read_pkce(options: Options) -> bool:
    """Read `pkce`: true or `required`, false or `off`."""
    if options.is_text("pkce"):
        return options.word("pkce", ("required", "off"), "required") == "required"
    return options.flag("pkce", default=True)


def read_scope(options: Options, given: Options) -> str:
    """Join scopes as the server wants them; no scope has a blank inside (RFC 6749 §3.3)."""
    written = given.words("scope") or options.words("scope")
    delimiter = options.text("scopeDelimiter") or " "
    words = [word for item in written for word in item.split()]
    if delimiter.strip():
        words = [scope for word in words for scope in word.split(delimiter)]
    return delimiter.join(scope for scope in words if scope)


def read_certificate(scheme: AuthScheme, given: Options) -> ClientCertificate | None:
    """Read what the client shows in TLS, where the scheme says which fields hold it (RFC 8705)."""
    names = scheme.certificate
    if names is None or not given.text(names.certificate):
        return None
    return ClientCertificate(given.text(names.certificate), given.text(names.key))
