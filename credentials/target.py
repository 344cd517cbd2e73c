"""The parts of a request's URL as they go out, for what is signed."""

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from msgspec import Struct

_DEFAULT_PORTS = {"http": "80", "https": "443"}


class RequestTarget(Struct, frozen=True):
    """What the server sees: the Host header, and path and query as they stand in its first line.

    `path` is never empty, `query` is without its `?`.
    """

    scheme: str
    host: str
    path: str
    query: str

    @property
    def url(self) -> str:
        """The whole URL."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.host}{self.path}{query}"


def target_of(url: str) -> RequestTarget:
    """Take apart a URL that is ASCII and percent-encoded; nothing in it is encoded anew."""
    parts = urlsplit(url)
    return RequestTarget(
        parts.scheme, _host(parts.scheme, parts.netloc), parts.path or "/", parts.query
    )


def with_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Add parameters the way they are added to the request: all but unreserved is encoded."""
    added = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    if not added:
        return url
    return f"{url}{'&' if '?' in url else '?'}{added}"


def _host(scheme: str, authority: str) -> str:
    """Leave out a default port, and the dot at the end of a full name, as the Host header does."""
    name, colon, port = authority.rpartition(":")
    if not colon or not port.isdigit():
        return authority.rstrip(".")
    port = port.lstrip("0") or "0"
    name = name.rstrip(".")
    return name if port == _DEFAULT_PORTS.get(scheme) else f"{name}:{port}"
