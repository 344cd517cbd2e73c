"""Parts of lists: what may be asked for, and tokens that say where a list goes on.

A token names the last item a caller has seen. It stays good while others add and remove, which a
page number does not.
"""

import base64
import binascii
import re
from typing import Final, Protocol, TypeVar

from registry.ids import is_id
from registry.model import Page, PageRequest, Problem
from registry.problems import invalid_page_request

MAX_LIMIT: Final = 200
_MAX_PAGE: Final = 10_000_000
_LONGEST_SEARCH: Final = 200
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")
_MARK: Final = "after:"


class Identified(Protocol):
    """Anything lists are made of."""

    @property
    def id(self) -> str:
        """By which lists are sorted."""
        ...


Row = TypeVar("Row", bound=Identified)


def check(request: PageRequest, search: str) -> None:
    """Raise `InvalidPageRequest` for what cannot be served."""
    problems = []
    if not 1 <= request.page <= _MAX_PAGE:
        problems.append(Problem("/page", f"must be from 1 to {_MAX_PAGE}"))
    if not 1 <= request.limit <= MAX_LIMIT:
        problems.append(Problem("/limit", f"must be from 1 to {MAX_LIMIT}"))
    if len(search) > _LONGEST_SEARCH or not search.isprintable():
        message = f"must be at most {_LONGEST_SEARCH} printable characters"
        problems.append(Problem("/search", message))
    if problems:
        raise invalid_page_request(problems)


def token_after(last_id: str) -> str:
    """Answer the token for what follows this item."""
    return base64.urlsafe_b64encode(f"{_MARK}{last_id}".encode()).decode().rstrip("=")


def last_id(token: str, prefix: str) -> str:
    """Answer the item a token stands for. Raises `InvalidPageRequest` for any other text."""
    try:
        text = _decoded(token)
    except ValueError:
        text = ""
    identifier = text.removeprefix(_MARK)
    if text == identifier or not is_id(identifier) or not identifier.startswith(prefix):
        message = "is none that a list of this kind has answered; start without it"
        raise invalid_page_request([Problem("/pageToken", message)])
    return identifier


def _decoded(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise binascii.Error
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    text = raw.decode("ascii")
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
        raise binascii.Error
    return text


def searchable(*texts: str) -> str:
    """Answer the form in which texts are searched, the same in every store and every language."""
    return "\n".join(texts).casefold()


def page(rows: tuple[Row, ...], total: int, request: PageRequest) -> Page[Row]:
    """Make a page of the rows from its start, one more than its limit where more follow."""
    items = rows[: request.limit]
    more = len(rows) > request.limit
    return Page(items, total, request, token_after(items[-1].id) if more else "")
