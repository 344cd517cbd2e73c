"""What a Vault's answers mean. One table, since only status and text together tell.

Texts and statuses as OpenBao 2.7 and Vault 1.x write them
(https://openbao.org/api-docs/#http-status-codes).
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

import orjson


class Meaning(Enum):
    """What is to be done about an answer that is no success."""

    NOTHING_THERE = auto()  # never written, or deleted: `body` tells which
    NO_SUCH_PLACE = auto()  # the mount or the namespace is not there
    LOST_RACE = auto()  # check-and-set: another version is there
    CAS_MISSING = auto()  # we wrote without check-and-set
    TOO_LARGE = auto()
    REFUSED = auto()  # our request is wrong
    FORBIDDEN = auto()  # token wrong, token expired, or policy: one answer for all three
    OVER_QUOTA = auto()
    PASSING = auto()  # it has done nothing, and will soon be able to
    SEALED = auto()
    FAILED = auto()  # it may have done it or not


# Of these, another try at once or soon is worth the while; the request has had no effect.
PASSING: Final = frozenset({Meaning.OVER_QUOTA, Meaning.PASSING})

_BY_TEXT: Final = (
    (400, "check-and-set parameter did not match", Meaning.LOST_RACE),
    (400, "check-and-set parameter required", Meaning.CAS_MISSING),
    # The engine upgrades its data for a moment after it was mounted.
    (400, "Upgrading from non-versioned", Meaning.PASSING),
    (413, "", Meaning.TOO_LARGE),
    (500, "value being too large", Meaning.TOO_LARGE),
    (500, "failed to RSA decrypt", Meaning.REFUSED),  # transit, of what it has not encrypted
    (500, "local node not active", Meaning.PASSING),
    (500, "active cluster node not found", Meaning.PASSING),
    (503, "sealed", Meaning.SEALED),
    (503, "not initialized", Meaning.SEALED),
)
_BY_STATUS: Final[Mapping[int, Meaning]] = {
    401: Meaning.FORBIDDEN,
    403: Meaning.FORBIDDEN,
    412: Meaning.PASSING,  # a standby that has not yet seen our last write
    429: Meaning.OVER_QUOTA,
    473: Meaning.PASSING,
}
_SHOWN_CHARS: Final = 200


class Answered(Exception):
    """An answer that is no success. `text` is the server's own, shortened; `body` its JSON."""

    def __init__(self, status: int, meaning: Meaning, text: str, body: Mapping[str, Any]) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status
        self.meaning = meaning
        self.text = text
        self.body = body


class NotSent(Exception):
    """No connection: the server has not seen the request."""


class Unanswered(Exception):
    """The request may have arrived, and no whole answer came."""


def answered(status: int, data: bytes) -> Answered:
    """Read an answer of status 300 or more."""
    body = _body(data)
    errors = body.get("errors")
    text = "; ".join(str(each) for each in errors) if isinstance(errors, list) else ""
    return Answered(status, _meaning(status, text, body), text[:_SHOWN_CHARS], body)


def _meaning(status: int, text: str, body: Mapping[str, Any]) -> Meaning:
    if status == 404:  # noqa: PLR2004
        # An absent secret has an empty list of errors, a deleted one has data; a wrong namespace or
        # mount says so, and must not pass for an absent secret.
        absent = body.get("errors") == [] or "data" in body
        return Meaning.NOTHING_THERE if absent else Meaning.NO_SUCH_PLACE
    for at, part, meaning in _BY_TEXT:
        if status == at and part.lower() in text.lower():
            return meaning
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Meaning.REFUSED if 400 <= status < 500 else Meaning.FAILED  # noqa: PLR2004


def _body(data: bytes) -> Mapping[str, Any]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
