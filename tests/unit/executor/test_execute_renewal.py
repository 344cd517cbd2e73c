"""A call whose authorization is refused: it is renewed once."""

import asyncio
from dataclasses import dataclass, field

import pytest

from credentials.model import Authorization, AuthScheme, OutgoingRequest
from executor.errors import (
    CredentialsRefused,
    DeadlinePassed,
    UpstreamFailed,
    UpstreamUnavailable,
)
from executor.model import HttpResponse
from tests.fakes import ScriptedSender, json_response
from tests.unit.executor.world import World, call, failed, method

OLD, NEW = "first-token", "second-token"


@dataclass(slots=True)
class Tokens:
    """Answers tokens by their generation, the newest when one was refused.

    As a manager does: a generation below `newest` is gone once it was refused.
    """

    newest: int = 2
    failure: Exception | None = None
    delay: float = 0.0
    gone: bool = False
    asked: list[OutgoingRequest] = field(default_factory=list)

    async def authorize(
        self,
        _tenant: str,
        _instance_id: str,
        _scheme: AuthScheme,
        request: OutgoingRequest,
        _version: int,
    ) -> Authorization | None:
        """Answer the authorization."""
        self.asked.append(request)
        if not request.refused:
            return token(1)
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        return None if self.gone else token(self.newest)


def token(generation: int) -> Authorization:
    """Answer the authorization with a token of this generation, from 1."""
    text = {1: OLD, 2: NEW}[generation]
    return Authorization((("Authorization", f"Bearer {text}"),), generation=generation)


def refusing(tokens: Tokens, *responses: HttpResponse | Exception) -> World:
    """Answer a world whose upstream refuses once and then answers as it is told."""
    world = World(authorizer=tokens, sender=ScriptedSender([json_response({}, 401), *responses]))  # type: ignore[arg-type]
    world.offer(method(), auth_type="oauth2")
    return world


def sent(world: World) -> list[str]:
    """Answer the tokens that the upstream was shown."""
    assert isinstance(world.sender, ScriptedSender)
    return [dict(request.headers)["Authorization"] for request in world.sender.requests]


@pytest.mark.parametrize("verb", ["POST", "DELETE", "GET"])
async def test_a_newer_token_is_tried(verb: str) -> None:
    """A refused request was not done: it is sent again with the next token, whatever its verb."""
    tokens = Tokens()
    world = World(
        authorizer=tokens,  # type: ignore[arg-type]
        sender=ScriptedSender([json_response({}, 401), json_response({"id": 1})]),
    )
    world.offer(method(verb=verb), auth_type="oauth2")
    assert await world.call("createContact", b'{"a":1}') == b'{"id":1}'
    assert sent(world) == [f"Bearer {OLD}", f"Bearer {NEW}"]
    assert [request.refused for request in tokens.asked] == [0, 1]
    assert tokens.asked[1] == OutgoingRequest(
        tokens.asked[0].method, tokens.asked[0].url, refused=1
    )
    first, second = world.sender.requests  # type: ignore[union-attr]
    assert (first.method, first.url, first.body) == (second.method, second.url, second.body)


async def test_no_newer_token_is_no_second_try() -> None:
    """When there is no other token, the refusal is what the caller hears."""
    world = refusing(Tokens(newest=1))
    assert type(await failed(world, call("createContact"))) is CredentialsRefused
    assert sent(world) == [f"Bearer {OLD}"]


async def test_a_second_refusal_is_final() -> None:
    """A call renews its authorization once."""
    tokens = Tokens()
    world = refusing(tokens, json_response({}, 401))
    assert type(await failed(world, call("createContact"))) is CredentialsRefused
    assert sent(world) == [f"Bearer {OLD}", f"Bearer {NEW}"]
    assert len(tokens.asked) == 2


async def test_keys_are_not_renewed() -> None:
    """What has no generation cannot be renewed, and is not asked for again."""
    world = World(sender=ScriptedSender([json_response({}, 401)]))
    world.offer(method(), auth_type="api_key")
    assert type(await failed(world, call("createContact"))) is CredentialsRefused
    assert len(world.authorizer.asked) == 1


@pytest.mark.parametrize(
    ("response", "kind"),
    [(json_response({}, 403), UpstreamFailed), (json_response({}, 503), UpstreamUnavailable)],
)
async def test_other_failures_do_not_renew(response: HttpResponse, kind: type[Exception]) -> None:
    """Only a refusal of the credentials says something about them."""
    tokens = Tokens()
    world = World(authorizer=tokens, sender=ScriptedSender([response]))  # type: ignore[arg-type]
    world.offer(method(), auth_type="oauth2")
    assert type(await failed(world, call("createContact"))) is kind
    assert len(tokens.asked) == 1


async def test_a_failed_renewal_is_what_the_caller_hears() -> None:
    """Why there is no new token says more than that the old one is refused."""
    world = refusing(Tokens(failure=LookupError("consent again")))
    with pytest.raises(LookupError, match="consent again"):
        await world.call("createContact")
    assert sent(world) == [f"Bearer {OLD}"]


async def test_a_change_during_the_renewal_begins_anew_and_renews_no_more() -> None:
    """Other secrets belong to another config: all steps run again, and the call renews once."""
    tokens = Tokens(gone=True)
    world = refusing(tokens, json_response({"id": 1}))
    assert await world.call("createContact") == b'{"id":1}'
    assert (world.directory.asked, world.directory.asked_fresh) == (2, 1)
    assert [request.refused for request in tokens.asked] == [0, 1, 0]
    world = refusing(Tokens(gone=True), json_response({}, 401))
    assert type(await failed(world, call("createContact"))) is CredentialsRefused


async def test_no_answer_quotes_either_token() -> None:
    """The second answer may hold the first token too."""
    body = {"message": f"{OLD} was replaced by {NEW}"}
    error = await failed(refusing(Tokens(), json_response(body, 400)), call("createContact"))
    assert type(error) is UpstreamFailed
    assert error.details["response"] == {"message": "*** was replaced by ***"}


async def test_the_deadline_bounds_the_renewal() -> None:
    """A token that does not come in time ends the call in the phase it waited in."""
    error = await failed(refusing(Tokens(delay=30.0)), call("createContact", timeout=0.05))
    assert type(error) is DeadlinePassed
    assert error.details == {"phase": "authorize", "timeoutMs": 50}
