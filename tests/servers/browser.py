"""A user with a browser: logs in, consents or declines, by the pages that a server shows."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

from aiohttp import ClientResponse, ClientSession, CookieJar

MOST_PAGES = 20
REDIRECTS = {301, 302, 303, 307, 308}


class ConsentFailed(Exception):
    """The pages did not lead where they should; the message has the last one."""


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes and what it sends unless the user changes that."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    asks_for_code: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser shows."""

    url: str
    text: str
    form: Form | None
    links: list[str]


async def consent(
    authorization_url: str, *, user: str = "alice", decline: bool = False
) -> dict[str, str]:
    """Follow an authorization URL as a user; answers the parameters of the redirect back.

    That is `code`, `state` and `iss`, or `error`, `error_description`, `state` and `iss`. Each
    call is a new browser. Raises `ConsentFailed`, also when the server shows an error of its own
    because it does not trust the redirect URI.
    """
    async with _browser() as session:
        arrived = await _walk(session, authorization_url, user, decline=decline)
    if isinstance(arrived, Page):
        raise ConsentFailed(f"no redirect came, but the page {arrived.url}:\n{arrived.text}")
    pairs = parse_qsl(urlsplit(arrived).query, keep_blank_values=True)
    if len(dict(pairs)) != len(pairs):
        raise ConsentFailed(f"the redirect repeats a parameter: {arrived}")
    return dict(pairs)


async def approve_device(
    verification_uri: str, user_code: str, *, user: str = "alice", decline: bool = False
) -> None:
    """Enter the code of a device as a user, and approve or decline it. Raises `ConsentFailed`."""
    async with _browser() as session:
        url = f"{verification_uri}?user_code={user_code}"
        arrived = await _walk(session, url, user, decline=decline)
    expected = "interrupted" if decline else "Success"
    if not isinstance(arrived, Page) or expected not in arrived.text:
        raise ConsentFailed(f"the device was not settled: {arrived}")


def _browser() -> ClientSession:
    return ClientSession(cookie_jar=CookieJar(unsafe=True))  # cookies from bare addresses too


async def _walk(session: ClientSession, url: str, user: str, *, decline: bool) -> str | Page:
    """Answer the URL outside the server that the pages led to, or the page that has no form."""
    home = urlsplit(url).netloc
    step = Form(url)
    method = "GET"
    for _ in range(MOST_PAGES):
        async with session.request(
            method,
            step.action,
            data=step.fields or None,
            headers={"Accept": "text/html"},
            allow_redirects=False,
        ) as response:
            if response.status in REDIRECTS:
                url = urljoin(step.action, response.headers["Location"])
                if urlsplit(url).netloc != home:
                    return url
                method, step = "GET", Form(url)
                continue
            page = await _page(response)
        if page.form is None or page.form.asks_for_code or response.status >= 400:
            return page
        method, step = _answer(page, page.form, user, decline=decline)
    raise ConsentFailed(f"the pages lead nowhere; the last was {step.action}")


def _answer(page: Page, form: Form, user: str, *, decline: bool) -> tuple[str, Form]:
    """Answer what a user does with a page."""
    aborts = [link for link in page.links if link.endswith("/abort")]
    if decline and aborts:
        return "GET", Form(urljoin(page.url, aborts[0]))
    if decline and "confirm" in form.fields:
        form.fields["abort"] = "yes"
    if "login" in form.fields:
        form.fields |= {"login": user, "password": "any"}
    return "POST", Form(urljoin(page.url, form.action), form.fields)


async def _page(response: ClientResponse) -> Page:
    text = await response.text()
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return Page(str(response.url), text, reader.form, reader.links)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = Form(given["action"])
        elif tag == "input" and self.form is not None and "name" in given:
            self.form.fields[given["name"]] = given.get("value", "")
            visible = given.get("type") != "hidden"
            self.form.asks_for_code |= visible and given["name"] == "user_code"
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
