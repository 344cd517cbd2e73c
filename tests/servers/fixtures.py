"""The servers as fixtures: one process for the whole run, as good as new for every test."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.servers.mock import OauthMock, oauth_mock
from tests.servers.oauth import OidcProvider, oidc_provider


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def oidc_server() -> AsyncIterator[OidcProvider]:
    """Run one oidc-provider for all; for fixtures that outlive a test."""
    async with oidc_provider() as provider:
        yield provider


@pytest_asyncio.fixture
async def oidc(oidc_server: OidcProvider) -> OidcProvider:
    """Answer the oidc-provider with an empty log and its strict behaviour."""
    await oidc_server.reset()
    return oidc_server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mock_oauth_server() -> AsyncIterator[OauthMock]:
    """Run one oauth2-mock-server for all; for fixtures that outlive a test."""
    async with oauth_mock() as mock:
        yield mock


@pytest_asyncio.fixture
async def mock_oauth(mock_oauth_server: OauthMock) -> OauthMock:
    """Answer the oauth2-mock-server with an empty log and nothing prepared."""
    await mock_oauth_server.reset()
    return mock_oauth_server
