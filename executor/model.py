"""The vocabulary of one execution.

What is made anew for every call is a `msgspec.Struct`: immutable and compared by value as a frozen
dataclass is, but its constructor is C, where a dataclass's sets field after field in Python.
"""

from dataclasses import dataclass

from msgspec import Struct

from credentials.model import ClientCertificate
from registry.model import Problem

MEBIBYTE = 1024 * 1024


class MethodCall(Struct, frozen=True):
    """What a caller asks for.

    `parameters` and `metadata` are JSON texts of objects, empty for `{}`. `timeout` is what is left
    of the caller's own deadline in seconds, None when it set none.
    """

    tenant: str
    instance_id: str
    method: str
    parameters: bytes = b""
    metadata: bytes = b""
    timeout: float | None = None
    request_id: str = ""

    def __repr__(self) -> str:
        return f"MethodCall({self.tenant}, {self.instance_id}, {self.method}, {self.request_id})"


class HttpRequest(Struct, frozen=True):
    """A request as it goes out. Never printed: it carries credentials.

    `url` is ASCII and percent-encoded; it is sent byte for byte. `certificate` is what we show in
    TLS. `connect_timeout` in seconds bounds all that comes before the first byte is sent, where
    that has a limit of its own.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    certificate: ClientCertificate | None = None
    connect_timeout: float | None = None

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {self.url.partition('?')[0]})"


class HttpResponse(Struct, frozen=True):
    """An answer as it came in, its body decoded from its content encoding."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"HttpResponse({self.status})"

    def header(self, name: str) -> str | None:
        """Answer the first header of this name, given in lower case."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


class Execution(Struct, frozen=True):
    """What came of a call: the JSON text of its result, and what is worth knowing about it."""

    data: bytes
    warnings: tuple[Problem, ...] = ()

    def __repr__(self) -> str:
        return f"Execution(warnings={self.warnings})"


@dataclass(frozen=True, slots=True)
class ExecutorLimits:
    """Sizes in bytes, times in seconds, counts of what is kept in memory."""

    max_request_bytes: int = 10 * MEBIBYTE
    max_response_bytes: int = 10 * MEBIBYTE
    default_timeout: float = 30.0
    kept_plans: int = 2_000
    kept_configurations: int = 10_000
