"""Pages and their tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, literal, select

from registry.errors import InvalidPageRequest
from registry.model import PageRequest
from registry.pages import check, last_id, searchable, token_after
from registry.stores.sql.rows import containing

IDS = st.from_regex(r"int_def_[a-z0-9]{1,26}", fullmatch=True)


def problems(error: InvalidPageRequest) -> list[dict[str, str]]:
    """Answer what is wrong, as callers see it."""
    found = error.details["problems"]
    assert isinstance(found, list)
    return found


@given(IDS)
def test_a_token_leads_back_to_its_item(identifier: str) -> None:
    """A token says after which item a list goes on, in characters that fit a URL."""
    token = token_after(identifier)
    assert last_id(token, "int_def_") == identifier
    assert token.replace("-", "").replace("_", "").isalnum()


@given(IDS)
def test_a_token_is_good_for_its_own_kind_of_list(identifier: str) -> None:
    """A token of definitions says nothing about instances."""
    with pytest.raises(InvalidPageRequest):
        last_id(token_after(identifier), "int_inst_")


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_other_text_is_no_token(text: str) -> None:
    """Nothing but `InvalidPageRequest` comes of a broken token."""
    with pytest.raises(InvalidPageRequest) as caught:
        last_id(text, "int_def_")
    assert [item["path"] for item in problems(caught.value)] == ["/pageToken"]


@given(IDS, st.integers(0, 60), st.sampled_from("Aa0_-=+/ \n"))
def test_a_changed_token_is_another_or_none(identifier: str, at: int, character: str) -> None:
    """A token has one spelling."""
    token = token_after(identifier)
    changed = token[:at] + character + token[at + 1 :]
    try:
        other = last_id(changed, "int_def_")
    except InvalidPageRequest:
        return
    assert (other == identifier) == (changed == token)


@pytest.mark.parametrize(
    ("request_", "search", "paths"),
    [
        (PageRequest(page=0), "", ["/page"]),
        (PageRequest(page=10**9), "", ["/page"]),
        (PageRequest(limit=0), "", ["/limit"]),
        (PageRequest(limit=201), "", ["/limit"]),
        (PageRequest(), "x" * 201, ["/search"]),
        (PageRequest(), "a\x00", ["/search"]),
        (PageRequest(), "\ud800", ["/search"]),
        (PageRequest(page=0, limit=0), "\x00", ["/page", "/limit", "/search"]),
    ],
)
def test_what_cannot_be_served_is_refused(
    request_: PageRequest, search: str, paths: list[str]
) -> None:
    """Each part that is wrong is named."""
    with pytest.raises(InvalidPageRequest) as caught:
        check(request_, search)
    assert [item["path"] for item in problems(caught.value)] == paths


@pytest.mark.parametrize("page", [0, 2**31 - 1])
def test_the_real_bounds_are_told(page: int) -> None:
    """Whoever asks for a page beyond the last that is served learns which that is."""
    with pytest.raises(InvalidPageRequest) as caught:
        check(PageRequest(page=page), "")
    [problem] = problems(caught.value)
    assert problem == {"path": "/page", "message": "must be from 1 to 10000000"}
    check(PageRequest(page=10_000_000), "")


LETTERS = st.text(st.sampled_from("aA%_\\/'\"[]*?^-ßſİé\u0301 "), max_size=8)


@given(st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=20))
def test_a_search_in_sql_finds_what_stands_there(pairs: list[tuple[str, str]]) -> None:
    """No character of a search is a wildcard, and letters match in any case."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        for text, search in pairs:
            query = select(literal(1)).where(*containing(literal(searchable(text)), search))
            found = connection.scalar(query) == 1
            assert found == (search.casefold() in text.casefold())
    engine.dispose()
