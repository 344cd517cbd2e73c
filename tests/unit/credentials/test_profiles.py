"""How an instance speaks OAuth 2, put together from three places."""

from collections.abc import Mapping
from typing import Any

import pytest

from credentials.errors import (
    CredentialsError,
    CredentialsNotFound,
    EndpointUnreachable,
    OAuthMisconfigured,
    TokenEndpointFailed,
)
from credentials.model import OutboundAnswer
from credentials.oauth.profile import OAuthProfile
from tests.unit.credentials.world import INSTANCE, OAUTH2, TENANT, World, answer

ISSUER = "https://auth.example.com"
DISCOVERED: Mapping[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://auth.example.com/a",
    "token_endpoint": "https://auth.example.com/t",
}
AWAY = EndpointUnreachable("nobody there", host="auth.example.com")
PAGE = OutboundAnswer(200, {"content-type": "text/html"}, b"<html>hello</html>")


async def profile_of(world: World) -> OAuthProfile:
    """Answer the profile of the instance, from the first process."""
    process = world.processes[0] if world.processes else world.process()
    return await process.parts.profiles.of(TENANT, INSTANCE)


async def configured(oauth2: Mapping[str, Any], *faults: Any) -> World:
    """Answer a configured world whose server answers so first."""
    world = World(oauth2=oauth2)
    await world.configured()
    world.server.faults = list(faults)
    return world


async def test_definition_and_config() -> None:
    """Endpoints come from the definition, keys from the config, and nobody is asked."""
    world = await configured(OAUTH2)
    profile = await profile_of(world)
    assert (profile.token_url, profile.client_secret) == (OAUTH2["tokenUrl"], "client-secret-1")
    assert world.server.requests == []


async def test_without_config() -> None:
    """An instance without a config has no profile."""
    with pytest.raises(CredentialsNotFound):
        await profile_of(World())


async def test_secrets_stay_with_their_config() -> None:
    """While the config is being changed its secrets go nowhere; that is over soon."""
    world = await configured(OAUTH2)
    world.connections.version += 1
    with pytest.raises(TokenEndpointFailed) as caught:
        await profile_of(world)
    assert 0 < caught.value.retry_after_ms <= 1000


async def test_discovery_is_asked_once() -> None:
    """What an issuer publishes fills in what is missing, and is kept."""
    world = await configured({"issuer": ISSUER}, answer(DISCOVERED))
    assert (await profile_of(world)).token_url == "https://auth.example.com/t"
    assert (await profile_of(world)).authorization_url == "https://auth.example.com/a"
    assert len(world.server.requests) == 1


@pytest.mark.parametrize("elsewhere", [answer({}, 404), PAGE, answer({"issuer": "https://x.org"})])
async def test_discovery_looks_further(elsewhere: OutboundAnswer) -> None:
    """A place without the issuer's metadata, even a page that is there, is passed over."""
    world = await configured({"issuer": ISSUER}, elsewhere, answer(DISCOVERED))
    assert (await profile_of(world)).token_url == "https://auth.example.com/t"
    urls = [request.url for request in world.server.requests]
    assert urls == [
        f"{ISSUER}/.well-known/oauth-authorization-server",
        f"{ISSUER}/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        ([answer({}, 404)] * 3, OAuthMisconfigured),
        ([PAGE] * 3, OAuthMisconfigured),
        ([answer({**DISCOVERED, "issuer": "https://evil.example.com"})] * 3, OAuthMisconfigured),
        ([AWAY], EndpointUnreachable),
    ],
)
async def test_discovery_that_finds_nothing(
    faults: list[Any], kind: type[CredentialsError]
) -> None:
    """Without endpoints of its own, a definition depends on its issuer; a failure is not kept."""
    world = await configured({"issuer": ISSUER}, *faults)
    with pytest.raises(kind):
        await profile_of(world)
    world.server.faults = [answer(DISCOVERED)]
    assert (await profile_of(world)).token_url == "https://auth.example.com/t"


async def test_discovery_that_is_not_needed() -> None:
    """With endpoints of its own, a definition gets along without its issuer for a while."""
    world = await configured({**OAUTH2, "issuer": ISSUER}, AWAY)
    for _ in range(3):
        assert (await profile_of(world)).token_url == OAUTH2["tokenUrl"]
    assert len(world.server.requests) == 1
