"""Secrets are found by value in any text, in every form that they are usually written in."""

import html
import json
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.live_secrets import LiveSecrets
from credentials.unescaping import views

WHOLE: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: text.encode().hex().upper(),
    "RFC 3986": lambda text: quote(text, safe=""),
    "RFC 3986 in lower case": lambda text: _lower_triplets(quote(text, safe="")),
    "a path": quote,
    "encodeURI": lambda text: quote(text, safe=";/?:@&=+$,#!'()*"),
    "encodeURIComponent": lambda text: quote(text, safe="!'()*"),
    "a form": quote_plus,
    "Java's form": lambda text: quote_plus(text, safe="*").replace("~", "%7E"),
    "every octet": lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON as UTF-8": lambda text: orjson.dumps(text).decode()[1:-1],
    "JSON that escapes slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "JSON in a URL": lambda text: quote(json.dumps(text)[1:-1]),
    "a URL in JSON": lambda text: json.dumps(quote(text))[1:-1],
    "Python": lambda text: repr(text)[1:-1],
    "Python's bytes": lambda text: repr(text.encode())[2:-1],
    "HTML": html.escape,
}
BASE64: dict[str, Callable[[str], str]] = {
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64url": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in a URL": lambda text: quote(b64encode(text.encode()), safe=""),
    "base64 in JSON": lambda text: b64encode(text.encode()).decode().replace("/", "\\/"),
}
secrets = st.text(st.characters(codec="utf-8"), min_size=8, max_size=60) | st.text(
    "ab%\\&+/ -_~!*'\"41xu;é", min_size=8, max_size=60
)
around = st.text(st.characters(codec="utf-8"), max_size=20)


@pytest.mark.parametrize("written", WHOLE.values(), ids=WHOLE)
def test_every_form_is_masked_whole(written: Callable[[str], str]) -> None:
    """Of a secret that stands in a text in any form, nothing is left."""

    @settings(deadline=None, max_examples=60)
    @given(secrets)
    def check(secret: str) -> None:
        live = LiveSecrets()
        live.add(secret)
        assert live.mask(f"<{written(secret)}>") == "<***>"

    check()


@pytest.mark.parametrize("written", BASE64.values(), ids=BASE64)
def test_base64_is_masked_wherever_it_begins(written: Callable[[str], str]) -> None:
    """In base64 of something longer, the digits that belong to the secret alone are masked."""

    @settings(deadline=None, max_examples=60)
    @given(secrets, around, around)
    def check(secret: str, before: str, after: str) -> None:
        live = LiveSecrets()
        live.add(secret)
        text = written(f"{before}{secret}{after}")
        masked = live.mask(text)
        own_digits = (8 * len(secret.encode()) - 10) // 6  # of 6 bits each, wherever they begin
        assert "***" in masked
        assert len(masked.replace("***", "")) <= len(text) - own_digits

    check()


def test_basic_shows_neither_user_nor_password() -> None:
    """`Basic` is masked when only the password is known."""
    live = LiveSecrets()
    live.add("correct-horse")

    masked = live.mask("Authorization: Basic " + b64encode(b"jo:correct-horse").decode())

    assert masked == "Authorization: Basic am86***Q=="


@pytest.mark.parametrize(
    "value",
    [
        "correct-horse",
        "Bearer correct-horse",
        "bearer  correct-horse",
        "session=correct-horse",
        'Token token="correct-horse", realm=x',
        "a=1; session=correct-horse; b=2",
        "Basic " + b64encode(b"jo:correct-horse").decode(),
        "basic " + b64encode(b"jo:correct-horse").decode(),
    ],
)
def test_what_is_secret_in_a_header_is_a_secret_too(value: str) -> None:
    """Whoever adds the value of a header or cookie has added what stands in it."""
    live = LiveSecrets()
    live.add(value)

    assert live.mask(f"<{value}>") == "<***>"
    assert live.mask("<correct-horse>") == "<***>"


@pytest.mark.parametrize(
    "value", ["Basic", "Basic ", "Basic no-base64!", "basic /////w==", "=" * 9]
)
def test_odd_header_values_are_taken_as_they_are(value: str) -> None:
    """What only looks like a scheme does not stop anything."""
    live = LiveSecrets()
    live.add(value, "correct-horse")

    assert live.mask("correct-horse") == "***"


@settings(deadline=None, max_examples=60)
@given(around, secrets, around, secrets, around)
def test_the_text_around_secrets_stays(
    before: str, one: str, between: str, other: str, after: str
) -> None:
    """No secret is left, also not where two overlap or touch; masking twice changes nothing."""
    live = LiveSecrets()
    live.add(one, other)

    masked = live.mask(f"{before}{one}{between}{other}{after}")

    assert one not in masked
    assert other not in masked
    assert live.mask(masked) == masked


@settings(deadline=None, max_examples=60)
@given(st.text())
def test_a_text_without_secrets_is_itself(text: str) -> None:
    """What holds no secret comes back as it was."""
    live = LiveSecrets()
    live.add("\N{SNOWMAN}" * 8, "no such secret \N{SNOWMAN} anywhere")

    assert live.mask(text) is text or "\N{SNOWMAN}" in text


def test_neighbours_of_a_secret_are_not_touched() -> None:
    """Exactly the secret is masked, in a text that has escapes of its own."""
    live = LiveSecrets()
    live.add('pass"word/4711')

    masked = live.mask('{"url":"https:\\/\\/x?q=%C3%A9&k=pass%22word%2F4711&amp;z=\\u00e9"}')

    assert masked == '{"url":"https:\\/\\/x?q=%C3%A9&k=***&amp;z=\\u00e9"}'


def test_short_values_are_no_secrets() -> None:
    """Less than 8 characters are not masked: that would wreck every text."""
    live = LiveSecrets()
    live.add("", "error", "1234567")

    assert live.mask("error 1234567 error") == "error 1234567 error"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(8, 400), min_size=1, max_size=80, unique=True), st.randoms())
def test_secrets_that_begin_alike_are_all_found(lengths: list[int], random: object) -> None:
    """However many secrets share their first characters, each is masked whole."""
    live = LiveSecrets()
    ones = ["eyJhbGci" + "".join(random.choices("abc", k=size)) for size in lengths]  # type: ignore[attr-defined]
    live.add(*ones)

    for one in ones:
        assert live.mask(f"<{one}>") == "<***>"
        assert live.mask(f"<{one.encode().hex()}>") == "<***>"


def test_a_very_long_secret_is_masked_whole() -> None:
    """A key of many kilobytes is found as well as a short one."""
    live = LiveSecrets()
    key = "".join(f"{number:x}\n" for number in range(10_000, 20_000))
    live.add(key)

    assert live.mask(f"<{key}>") == "<***>"
    assert live.mask(json.dumps({"key": key})) == '{"key": "***"}'
    assert live.mask(urlencode({"key": key})) == "key=***"


def test_the_last_ones_are_kept_and_the_oldest_forgotten() -> None:
    """As many secrets as the capacity says are found; what is long out of use is forgotten."""
    live = LiveSecrets(capacity=10)
    ones = [f"secret-number-{number:04}" for number in range(100)]
    for one in ones:
        live.add("used-all-the-time", one)

    assert [live.mask(one) for one in ones[-9:]] == ["***"] * 9
    assert live.mask("used-all-the-time") == "***"
    assert live.mask(ones[0]) == ones[0]


def test_it_holds_no_whole_secret() -> None:
    """What is kept of a secret does not give it away."""
    live = LiveSecrets()
    live.add("planted-7c1f9be2-and-more")

    kept = repr([vars(generation) for generation in (live._young, live._old)])  # noqa: SLF001

    assert "7c1f9be2" not in kept


def test_many_threads_add_and_mask() -> None:
    """Adding in one thread while another masks loses nothing that was added before."""
    live = LiveSecrets(capacity=500)
    failed: list[str] = []

    def work(name: str) -> None:
        for number in range(300):
            one = f"{name}-secret-{number}"
            live.add(one)
            if live.mask(f"<{one}>") != "<***>":
                failed.append(one)

    threads = [threading.Thread(target=work, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []


@settings(deadline=None, max_examples=60)
@given(st.text() | st.text("%\\&u41d8;#x0e", max_size=30))
def test_every_reading_knows_where_it_came_from(text: str) -> None:
    """Of any text, all readings have one place for each character, in order, within the text."""
    for view in views(text):
        assert len(view.starts) == len(view.text) + 1
        assert list(view.starts) == sorted(view.starts)
        assert view.starts[-1] == len(text)


def _lower_triplets(text: str) -> str:
    head, *pieces = text.split("%")
    return head + "".join("%" + piece[:2].lower() + piece[2:] for piece in pieces)
