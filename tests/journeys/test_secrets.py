"""Marked secrets go in, and are looked for wherever they must not come out."""

import base64
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.journeys.conftest import served
from tests.journeys.doors import Door, Refused, RestDoor
from tests.journeys.houses import House, one_process, split
from tests.journeys.oauth import definition, urls
from tests.journeys.test_bad_input import rough_definition
from tests.journeys.upstreams import rough
from tests.servers.browser import consent
from tests.servers.clients import KEY_ID
from tests.servers.mock import Answer, OauthMock
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

PLANTED = "planted+key/4f6c=1b9e77d0"
REDIRECT = "https://app.example.test/oauth/callback"
# What an OAuth instance holds and is given; each is recognised wherever it turns up.
CANARIES = {
    "clientSecret": "canary-of-client+secret/8a17=",
    "first access token": "canary-of-access.token-1/5d2e+",
    "second access token": "canary-of-access.token-2/77b0+",
    "brought access token": "canary-of-access.token-3/c41f+",
    "first refresh token": "canary-of-refresh.token-1/e6d9=",
    "second refresh token": "canary-of-refresh.token-2/02ab=",
    "brought refresh token": "canary-of-refresh.token-3/9f38=",
}


def forms(secret: str) -> Iterator[bytes]:
    """Answer the ways in which a secret may be written."""
    raw = secret.encode()
    yield from (raw, raw.hex().encode(), raw.hex().upper().encode())
    yield from (quote(secret, safe="").encode(), json.dumps(secret).encode()[1:-1])
    for before in range(3):  # inside of a longer text, base64 depends on where it begins
        whole = base64.b64encode(b"x" * before + raw)
        inner = whole[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]
        yield from (inner, inner.replace(b"+", b"-").replace(b"/", b"_"), quote(inner, "").encode())


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[one_process, split])
async def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """The whole system, either way to run it, with everything logged."""
    async with request.param(tmp_path_factory.mktemp("house"), log_level="debug") as system:
        yield system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[str]:
    """An upstream that, among other things, quotes credentials in its errors."""
    async with served(rough()) as url:
        yield url


async def test_a_key_is_nowhere_but_in_the_request(
    house: House, upstream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No answer, no log line and no file ever holds an instance's API key."""
    caplog.set_level(logging.DEBUG)
    answers = [answer async for answer in _answers(house, upstream)]

    assert len(answers) > 10
    assert found(PLANTED, answers, caplog.text, house.data_dir) == []


async def test_no_secret_of_oauth_gets_out(
    house: House, upstream: str, mock_oauth: OauthMock, caplog: pytest.LogCaptureFixture
) -> None:
    """No answer, log line or file has a token, a code, a verifier or what the client proves by."""
    caplog.set_level(logging.DEBUG)
    answers = await _oauth_story(house, upstream, mock_oauth)
    secrets = dict(CANARIES)
    for request in await mock_oauth.requests("token"):
        secrets |= {n: request.form[n] for n in ("code", "code_verifier") if n in request.form}
    assert {"code", "code_verifier"} < set(secrets)
    text = caplog.text
    assert "integration" in text
    assert (
        len(found(CANARIES["clientSecret"], [EVERYTHING.encode()], EVERYTHING, house.data_dir)) > 1
    )
    for name, secret in secrets.items():
        assert found(secret, answers, text, house.data_dir) == [], name


async def test_no_private_key_gets_out(
    house: House, oidc: OidcProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """No line of a private key is anywhere, nor is what was signed with it, whether it works."""
    caplog.set_level(logging.DEBUG)
    door = RestDoor(house.session, house.rest, house.key)
    client = oidc.clients["machine-signer"]
    assert client.private_key
    body = client.private_key.splitlines()[1:-1]
    broken = "\n".join(["-----BEGIN PRIVATE KEY-----", *body[:-3], "-----END PRIVATE KEY-----"])
    oauth2 = {"tokenUrl": oidc.token_url}
    document = definition("oauth2_client_credentials", oidc.userinfo_url, oauth2Config=oauth2)
    registered = await door.register(document)
    answers = []
    for key in (client.private_key, broken, body[3]):
        given = {"clientId": client.id, "privateKey": key, "keyId": KEY_ID, "scope": "read"}
        instance = await door.connect(registered["id"], given)
        answers.append(json.dumps(instance).encode())
        path = f"/integration-instances/{instance['id']}"
        for verb, rest in (
            ("POST", "/methods/look/execute"),
            ("POST", "/credentials/refresh"),
            ("GET", "/credentials/status"),
            ("GET", ""),
            ("DELETE", "/credentials"),
        ):
            answers.append(await _attempt(door, verb, f"{path}{rest}", {}))
    assertions = [request.form.get("client_assertion") for request in await oidc.token_requests()]
    assert len([one for one in assertions if one]) > 1
    for line in (*body[1:-1:5], *(one.rpartition(".")[2] for one in assertions if one)):
        assert found(line, answers, caplog.text, house.data_dir) == []


def found(secret: str, answers: list[bytes], logs: str, data_dir: Path) -> list[object]:
    """Answer where a secret turned up, in whatever form."""
    places: list[object] = []
    files = {path: path.read_bytes() for path in _files(data_dir)}
    for form in forms(secret):
        places += [answer for answer in answers if form in answer]
        places += [path for path, content in files.items() if form in content]
        at = logs.find(form.decode())
        places += [logs[max(0, at - 500) : at + 100]] if at >= 0 else []
    return places


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to one instance and its tokens; `seen` is all that callers saw of it."""

    house: House
    door: RestDoor
    server: OauthMock
    id: str
    seen: list[bytes]

    @classmethod
    async def begun(cls, house: House, upstream: str, server: OauthMock) -> "Story":
        """Make the instance."""
        door = RestDoor(house.session, house.rest, house.key)
        document = definition(
            "oauth2",
            upstream,
            oauth2Config={**urls(server), "introspectionUrl": server.introspection_url},
            verification={"path": "/mirror"},
            methods=json.loads(rough_definition())["methods"],
        )
        registered = await door.register(document)
        given = {"clientId": "a", "redirectUri": REDIRECT, "clientSecret": CANARIES["clientSecret"]}
        instance = await door.connect(registered["id"], given)
        return cls(house, door, server, instance["id"], [json.dumps(instance).encode()])

    async def sees(self, verb: str, rest: str, body: object = None) -> None:
        """Do something, see what comes of it, and look at what lies in files meanwhile."""
        path = f"/integration-instances/{self.id}{rest}"
        self.seen.append(await _attempt(self.door, verb, path, {} if body is None else body))
        self.seen.extend(path.read_bytes() for path in _files(self.house.data_dir))

    async def authorizes(self, answer: Answer) -> None:
        """Let an owner consent; the server answers the exchange so."""
        await self.server.prepare(answer)
        path = f"/integration-instances/{self.id}/auth/oauth2/start"
        begun = json.loads(await self.door.send("POST", path, b"{}"))
        back = await consent(begun["authorizationUrl"])
        await self.sees("POST", "/auth/oauth2/callback", back)

    async def refreshes(self, answer: Answer) -> None:
        """Ask for the next token; the server answers so."""
        await self.server.prepare(answer)
        await self.sees("POST", "/credentials/refresh")

    async def is_used(self) -> None:
        """Look at the instance from all sides, and call an API that behaves in no good way."""
        await self.sees("GET", "")
        await self.sees("GET", "/credentials/status")
        await self.sees("POST", "/credentials/verify")
        for method in ("isFine", "mirrors", "refuses", "hangsUp", "throws"):
            await self.sees("POST", f"/methods/{method}/execute")
            self.seen.append(await _execution(self.house.door("grpc"), self.id, method))


EVERYTHING = " ".join(CANARIES.values())
QUOTING = {"error_description": f"you sent {EVERYTHING}", "error_uri": EVERYTHING}
GONE = Answer(status=400, body={"error": "invalid_grant", **QUOTING})
BAD_ANSWERS = (
    Answer(status=503, text=EVERYTHING, content_type="text/plain"),
    GONE,
    Answer(status=401, body={"error": "invalid_client", **QUOTING}),
    Answer(body={"error": EVERYTHING, **QUOTING}),
    Answer(text=f"<html>{EVERYTHING}</html>", content_type="text/html"),
    Answer(hang_up=True),
)


def tokens(which: str) -> dict[str, str]:
    """Answer two of the canaries as a token answer has them."""
    names = ("access_token", "refresh_token")
    return {name: CANARIES[f"{which} {name.replace('_', ' ')}"] for name in names}


async def _oauth_story(house: House, upstream: str, server: OauthMock) -> list[bytes]:
    """Take an instance through all that can happen to its tokens; answers what callers saw."""
    story = await Story.begun(house, upstream, server)
    for answer in BAD_ANSWERS:
        await story.authorizes(answer)
    await story.authorizes(Answer(set={**tokens("first"), "expires_in": None}))
    assert b'"SUCCESS"' in b"".join(story.seen)
    await story.is_used()
    await story.refreshes(BAD_ANSWERS[0])
    await story.refreshes(Answer(set=tokens("second")))
    await story.is_used()
    await story.refreshes(GONE)
    await story.is_used()
    assert b"needs_reauthorization" in b"".join(story.seen)
    brought = tokens("brought")
    for data in ({**brought, "expires_at": EVERYTHING}, {**brought, "scope": [1]}, [brought]):
        await story.sees("POST", "/credentials", {"type": "oauth2", "data": data})
    await story.sees("POST", "/credentials", {"type": "oauth2", "data": brought})
    assert b'"stored"' in b"".join(story.seen)
    await story.is_used()
    await server.prepare(Answer(status=503, text=EVERYTHING), endpoint="revoke")
    await story.sees("DELETE", "/credentials")
    await story.sees("DELETE", "")
    return story.seen


async def _answers(house: House, upstream: str) -> AsyncIterator[bytes]:
    door = RestDoor(house.session, house.rest, house.key)
    definition = json.loads(await door.send("POST", "/integration-definitions", rough_definition()))
    body = {
        "integrationDefinitionId": definition["id"],
        "name": "Secretive",
        "config": {"baseUrl": upstream, "apiKey": PLANTED},
    }
    created = await door.send("POST", "/integration-instances", json.dumps(body).encode())
    yield created
    instance = f"/integration-instances/{json.loads(created)['id']}"
    wrong = {**body, "config": {"baseUrl": 5, "apiKey": {"nested": PLANTED}, "token": PLANTED}}
    change = {"config": {"apiKey": PLANTED, "baseUrl": upstream}}
    yield await _attempt(door, "POST", "/integration-instances", wrong)
    yield await _attempt(door, "PATCH", instance, {"config": {"apiKey": [PLANTED]}})
    yield await _attempt(door, "PATCH", instance, {"config": {"apiKey": f"{PLANTED}\n"}})
    yield await _attempt(door, "POST", f"{instance}/methods/isFine/execute", {})
    yield await door.send("PATCH", instance, json.dumps(change).encode())
    yield await door.send("GET", instance)
    yield await door.send("GET", "/integration-instances?search=Secretive")
    over_grpc = house.door("grpc")
    for method in ("isFine", "mirrors", "notFound", "refuses", "hangsUp", "throws", "speaksHtml"):
        yield await _attempt(door, "POST", f"{instance}/methods/{method}/execute", {})
        yield await _execution(over_grpc, json.loads(created)["id"], method)


async def _attempt(door: RestDoor, verb: str, path: str, body: object) -> bytes:
    try:
        return await door.send(verb, path, json.dumps(body).encode())
    except Refused as refused:
        return json.dumps([refused.message, refused.details]).encode()


async def _execution(door: Door, instance_id: str, method: str) -> bytes:
    try:
        return (await door.execute(instance_id, method)).data
    except Refused as refused:
        return json.dumps([refused.message, refused.details]).encode()


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]
