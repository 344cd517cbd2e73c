"""A client written out by hand, to show what the servers do without any code of ours."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
from aiohttp import ClientSession

from services.runtime.clock import now
from tests.servers.browser import consent
from tests.servers.clients import KEY_ID, REFRESH, Client
from tests.servers.oauth import OidcProvider

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Answered = tuple[int, dict[str, Any]]


def assertion(oidc: OidcProvider, client: Client) -> str:
    """Sign what a client says about itself."""
    issued = int(now().timestamp())
    claims: dict[str, Any] = {"iss": client.id, "sub": client.id, "aud": oidc.token_url}
    claims |= {"iat": issued, "exp": issued + 60, "jti": secrets.token_hex(8)}
    return jwt.encode(claims, client.private_key or "", "RS256", headers={"kid": KEY_ID})


def authentication(oidc: OidcProvider, client: Client) -> tuple[dict[str, str], dict[str, str]]:
    """Answer the headers and the fields by which a client authenticates."""
    if client.auth == "client_secret_basic":
        pair = f"{quote_plus(client.id)}:{quote_plus(client.secret or '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}
    fields = {"client_id": client.id}
    if client.auth == "client_secret_post":
        fields["client_secret"] = client.secret or ""
    if client.auth == "private_key_jwt":
        fields["client_assertion"] = assertion(oidc, client)
        fields["client_assertion_type"] = ASSERTION_TYPE
    return {}, fields


async def post(oidc: OidcProvider, url: str, name: str, **form: str) -> Answered:
    """Send a form to an endpoint as one of the clients."""
    headers, fields = authentication(oidc, oidc.clients[name])
    async with (
        ClientSession() as session,
        session.post(url, data={**form, **fields}, headers=headers) as response,
    ):
        return response.status, await response.json(content_type=None)


async def token(oidc: OidcProvider, name: str, **form: str) -> Answered:
    """Ask for a token as one of the clients."""
    return await post(oidc, oidc.token_url, name, **form)


def authorization(oidc: OidcProvider, name: str, **more: str) -> str:
    """Answer where a user is sent to consent."""
    query: Mapping[str, str] = {
        "client_id": name,
        "response_type": "code",
        "redirect_uri": oidc.redirect_uri,
        "scope": "openid read",
        "state": "a-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return f"{oidc.authorization_url}?{urlencode(query)}"


async def connect(oidc: OidcProvider, name: str) -> dict[str, Any]:
    """Have a user consent, and exchange the code."""
    back = await consent(authorization(oidc, name))
    assert back["state"] == "a-state"
    assert back["iss"] == oidc.issuer
    status, tokens = await exchange(oidc, name, back["code"])
    assert status == 200, tokens
    return tokens


async def exchange(
    oidc: OidcProvider, name: str, code: str, code_verifier: str = VERIFIER
) -> Answered:
    """Exchange a code."""
    return await token(
        oidc,
        name,
        grant_type="authorization_code",
        code=code,
        code_verifier=code_verifier,
        redirect_uri=oidc.redirect_uri,
    )


async def refresh(oidc: OidcProvider, refresh_token: str, name: str = "basic") -> Answered:
    """Refresh."""
    return await token(oidc, name, grant_type=REFRESH, refresh_token=refresh_token)
