"""The URLs of authorization servers, which may differ from instance to instance.

`{config.name}` in a URL stands for a value of the instance's public config. In the host and port it
must be plain (`^[A-Za-z0-9.-]+$`), elsewhere it is percent-encoded, so no value can turn a URL into
one of another host. OAuth wants TLS (RFC 6749 §3.1, §3.2): URLs are https. Plain http is for
loopback hosts alone, where nothing leaves the machine; whether such a host may be called at all is
for the egress rules to say.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

from credentials.oauth.reading import misconfigured

_FIELD: Final = re.compile(r"\{config\.([^{}]*)\}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9.-]+")
_URL: Final = re.compile(r"[!$-;=?-\[\]_a-z~]+")  # the characters of RFC 3986, but the #
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\]")
_AUTHORITY: Final = re.compile(r"(?:[a-z]+://)?[^/?#]*")
_LONGEST_VALUE: Final = 512
_LONGEST_LABEL: Final = 63  # of a host's name (RFC 1035 §2.3.4); resolvers take no more


def expand(field: str, template: str, config: Mapping[str, Any]) -> str:
    """Answer a URL with the config's values in it; an empty template stays empty.

    Raises `OAuthMisconfigured`, naming `field` or the field of the config.
    """
    if not template:
        return ""
    host_ends = _authority_end(template)

    def value(match: re.Match[str]) -> str:
        text = config_text(match.group(1), config)
        if match.start() >= host_ends:
            return quote(text, safe="")
        if not _PLAIN.fullmatch(text):
            raise misconfigured(
                f"config.{match.group(1)}", "must have letters, digits, dots and hyphens only"
            )
        return text

    return checked(field, _FIELD.sub(value, template))


def fill(template: str, config: Mapping[str, Any]) -> str:
    """Answer a text with the config's values in it, as they are: it is encoded where it goes.

    Raises `OAuthMisconfigured`, naming the field of the config.
    """
    return _FIELD.sub(lambda match: config_text(match.group(1), config), template)


def config_text(name: str, config: Mapping[str, Any]) -> str:
    """Answer a value of the config as text; raises `OAuthMisconfigured`, naming the field."""
    value = config.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise misconfigured(f"config.{name}", "must be a text or a whole number")
    if len(str(value)) > _LONGEST_VALUE:
        raise misconfigured(f"config.{name}", f"must have at most {_LONGEST_VALUE} characters")
    return str(value)


def checked(field: str, url: str) -> str:
    """Answer the URL when a request can go there; raises `OAuthMisconfigured`, naming `field`."""
    parts = split(url)
    if parts is None or parts.fragment:
        raise misconfigured(field, "must be an absolute https URL without user and fragment")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise misconfigured(field, "must be https; plain http is for loopback hosts alone")
    if any(segment in {".", ".."} for segment in parts.path.split("/")):
        raise misconfigured(field, "must not have a path with . or .. in it")
    return url


def split(url: str) -> SplitResult | None:
    """Take an http or https URL apart; None when it is none, or names a user."""
    if not _URL.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc if port is None else parts.netloc.rpartition(":")[0]
    named = _HOST.fullmatch(host) and max(map(len, host.split("."))) <= _LONGEST_LABEL
    whole = parts.scheme in {"http", "https"} and named and port != 0
    return parts if whole else None


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its very name (RFC 6761 §6.3, RFC 8252 §7.3)."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _authority_end(template: str) -> int:
    """Answer where scheme, host and port end."""
    match = _AUTHORITY.match(template)
    return match.end() if match else 0
