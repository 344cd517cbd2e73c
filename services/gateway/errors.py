"""What goes wrong in the gateway, before or beside the call of an rpc.

GatewayError
├── InvalidTemplate      a path template breaks the grammar
├── UnsupportedField     a contract holds a field that has no JSON form here
├── InvalidRoutes        the contracts cannot be served as REST; names every problem
└── RequestRefused       a request that reaches no service
    ├── RouteNotFound    no route has this path
    ├── MethodNotAllowed a route has this path, for other methods
    ├── Unauthenticated  the request has no key
    ├── PayloadTooLarge  the body is over the limit
    ├── Interrupted      the process ends, and the request took longer than it waits
    └── InvalidRequest   the request is not well-formed
        ├── BodyUnreadable the body is not encoded as announced
        ├── MalformedJson  the body is not one JSON text in UTF-8
        └── FieldsInvalid  a field is unknown, twice there or of the wrong type; names each
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class GatewayError(Exception):
    """The root: a message for people and JSON-able details for programs."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidTemplate(GatewayError):
    """A path template breaks the grammar of `google.api.http`."""


class UnsupportedField(GatewayError):
    """A message of the contracts has a field of a type that the codec has no JSON form for."""


class InvalidRoutes(GatewayError):
    """The annotations cannot become a routing table; details: `problems`, a list of texts."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            "The contracts cannot be served as REST: " + "; ".join(problems), problems=[*problems]
        )


class RequestRefused(GatewayError):
    """A request was answered by the gateway itself."""


class RouteNotFound(RequestRefused):
    """No route matches the path."""


class MethodNotAllowed(RequestRefused):
    """The path has routes, but not for this method; details: `allow`, a list of methods."""


class Unauthenticated(RequestRefused):
    """The request has no key; whether a key is the right one is for the services to say."""


class Interrupted(RequestRefused):
    """The process ends before the request is done."""


class PayloadTooLarge(RequestRefused):
    """The request's body is larger than the limit; details: `limit` in bytes."""


class InvalidRequest(RequestRefused):
    """The request line, a header or the body is not as it has to be."""


class BodyUnreadable(InvalidRequest):
    """The body breaks off or is not encoded as announced: where the next request begins is lost."""


class MalformedJson(InvalidRequest):
    """The body is not JSON; details: `offset` from 0, `line` and `column` from 1, in bytes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not fit: where, as a JSON Pointer (RFC 6901), and why."""

    path: str
    message: str


class FieldsInvalid(InvalidRequest):
    """Fields do not fit the contract; details: `problems`, each with `path` and `message`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            f"{first.path or 'The body'}: {first.message}{more}",
            problems=[{"path": each.path, "message": each.message} for each in problems],
        )
        self.problems = tuple(problems)
