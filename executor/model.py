"""The vocabulary of one execution."""

from dataclasses import dataclass, field

from registry.model import Problem

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MethodCall:
    """What a caller asks for.

    `parameters` and `metadata` are JSON texts of objects, empty for `{}`. `timeout` is what is left
    of the caller's own deadline in seconds, None when it set none.
    """

    tenant: str
    instance_id: str
    method: str
    parameters: bytes = field(default=b"", repr=False)
    metadata: bytes = field(default=b"", repr=False)
    timeout: float | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """A request as it goes out. Never printed: it carries credentials.

    `url` is ASCII and percent-encoded; it is sent byte for byte.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {self.url.partition('?')[0]})"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer as it came in, its body decoded from its content encoding."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """Answer the first header of this name, given in lower case."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Execution:
    """What came of a call: the JSON text of its result, and what is worth knowing about it."""

    data: bytes = field(repr=False)
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecutorLimits:
    """Sizes in bytes, times in seconds, counts of what is kept in memory."""

    max_request_bytes: int = 10 * MEBIBYTE
    max_response_bytes: int = 10 * MEBIBYTE
    default_timeout: float = 30.0
    kept_plans: int = 2_000
    kept_configurations: int = 10_000
