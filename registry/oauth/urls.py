"""The URLs of authorization servers: https, with `{config.field}` where instances differ."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from registry.templates import CONFIG, ConfigFields

_VARIABLE: Final = re.compile(r"\{(config\.[^{}]*)\}")
_FIELD: Final = re.compile(r"config\.[A-Za-z0-9_]{1,64}")
_CHARACTERS: Final = re.compile(r"[!$-;=?-\[\]_a-z~]+")  # those of RFC 3986, but the #
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\]")


def url_problems(url: str, config: ConfigFields) -> Iterator[str]:
    """Name what is wrong with the URL of an endpoint."""
    yield from variable_problems(url, config)
    yield from address_problems(_VARIABLE.sub("1", url))


def variable_problems(text: str, config: ConfigFields) -> Iterator[str]:
    """Name what is wrong with the fields of the config that a text names."""
    for variable in dict.fromkeys(_VARIABLE.findall(text)):
        if not _FIELD.fullmatch(variable):
            yield f"uses {{{variable[:80]}}}; write {{{CONFIG}field}}"
        elif problem := config.problem(variable):
            yield problem


def address_problems(url: str) -> Iterator[str]:
    """Name what is wrong with a URL.

    OAuth wants TLS (RFC 6749 §3.1, §3.2); on the same machine nobody listens in.
    """
    parts = _web_address(url)
    if parts is None:
        yield "must be an absolute https URL without fragment and user"
    elif parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        yield "must be https; plain http is for loopback hosts alone"
    elif {".", ".."} & set(parts.path.split("/")):
        yield "must not have a path with . or .. in it"


def _web_address(url: str) -> SplitResult | None:
    """Take an absolute http or https URL apart; None when it is none, or names a user."""
    if not _CHARACTERS.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc if port is None else parts.netloc.rpartition(":")[0]
    whole = parts.scheme in {"http", "https"} and _HOST.fullmatch(host) and port != 0
    return parts if whole else None


def _is_loopback(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
