"""One request to a Vault over HTTP, through hvac's own methods.

hvac builds paths and bodies and calls its adapter; with this adapter those calls can be awaited.
Good for every method that just returns what the adapter answers; those that look into the answer
(`kv.v2.patch`, `sys.is_sealed`, a login with `use_token`) are not used.

Nothing is taken from the environment or from home directories: no proxy, no `.netrc`, no
`VAULT_TOKEN`, no `~/.vault-token`; and no redirect is followed, which would carry the token along.
"""

import ssl
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson
from hvac.adapters import Adapter
from yarl import URL

from credentials.stores.vault.answers import NotSent, Unanswered, answered
from credentials.stores.vault.options import VaultOptions

Answer = Mapping[str, Any]

if TYPE_CHECKING:
    _Adapter = Adapter[Awaitable[Answer]]
else:  # only its stub is generic
    _Adapter = Adapter

_OK_BELOW: Final = 300
_NOTHING: Final[Answer] = {}


def open_http(options: VaultOptions) -> aiohttp.ClientSession:
    """Make the pool of connections; the caller closes it."""
    timeout = aiohttp.ClientTimeout(
        total=options.read_timeout, sock_connect=options.connect_timeout
    )
    trust: ssl.SSLContext | bool = True
    if options.ca_file is not None:
        trust = ssl.create_default_context(cafile=str(options.ca_file))
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=options.connections, ssl=trust),
        timeout=timeout,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class VaultWire(_Adapter):
    """An hvac adapter whose answers are awaited: decoded JSON, an empty mapping for an empty body.

    Raises `Answered` for every answer that is no success, `NotSent` and `Unanswered`.
    """

    def __init__(
        self, http: aiohttp.ClientSession, address: str, token: str = "", namespace: str = ""
    ) -> None:
        super().__init__(
            base_uri=address.rstrip("/"),
            token=token,
            namespace=namespace or None,
            allow_redirects=False,
        )
        self._http = http

    def with_token(self, token: str) -> "VaultWire":
        """Answer the same wire with another token, or with none."""
        return VaultWire(self._http, self.base_uri, token, self.namespace or "")

    def get_login_token(self, response: Awaitable[Answer]) -> str:
        """Logins are awaited by their callers: hvac never gets to see one."""
        raise NotImplementedError

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        raise_exception: bool = True,  # noqa: ARG002, FBT001, FBT002
        **kwargs: Any,
    ) -> Answer:
        """Send one request, once, and read its answer whole."""
        body = kwargs.get("json")
        try:
            async with self._http.request(
                method,
                URL(self.base_uri + url, encoded=True),
                headers=self._headers(headers or _NOTHING, has_body=body is not None),
                params=kwargs.get("params") or None,
                data=None if body is None else orjson.dumps(body),
                allow_redirects=False,
            ) as response:
                status, data = response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSent(type(error).__name__) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(type(error).__name__) from error
        if status >= _OK_BELOW:
            raise answered(status, data)
        if not data:
            return _NOTHING
        try:
            decoded = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise Unanswered("no JSON") from error
        if not isinstance(decoded, dict):
            raise Unanswered("no JSON object")
        return decoded

    def _headers(self, given: Mapping[str, str], *, has_body: bool) -> dict[str, str]:
        headers = {"X-Vault-Request": "true", **given}
        if has_body:
            headers["Content-Type"] = "application/json"
        if self.token:
            headers["X-Vault-Token"] = self.token
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        return headers
