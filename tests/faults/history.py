"""What must hold of everything that an authorization server was asked for."""

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus

from tests.journeys.doors import RpcDoor
from tests.servers.oauth import OidcProvider, TokenRequest


def redeemed(requests: list[TokenRequest]) -> Counter[str]:
    """Answer how often each refresh token has brought new ones, by its name."""
    return Counter(one.redeemed for one in requests if one.redeemed and _succeeded(one))


def last_issued(requests: list[TokenRequest], first: str) -> str:
    """Follow a grant from one refresh token to the last that came of it, by their names."""
    after = {one.redeemed: one.issued for one in requests if one.issued and _succeeded(one)}
    name = first
    while name in after:
        name = str(after[name])
    return name


async def check(
    provider: OidcProvider, door: RpcDoor, grants: Mapping[str, str], *, most: int = 1
) -> None:
    """Hold against each other what was issued and what is stored.

    `grants` are refresh tokens by the instance that they were given to. None may have been redeemed
    more than `most` times, and the last that was issued is the one that is stored: a refresh with
    it works.
    """
    before = await provider.token_requests()
    assert all(count <= most for count in redeemed(before).values())
    lasts = [last_issued(before, await provider.name_of(token)) for token in grants.values()]
    for instance in grants:
        await door.credentials("RefreshCredentials", instance)
    after = (await provider.token_requests())[len(before) :]
    assert [(one.redeemed, one.status) for one in after] == [(one, HTTPStatus.OK) for one in lasts]


def _succeeded(request: TokenRequest) -> bool:
    return request.status == HTTPStatus.OK
