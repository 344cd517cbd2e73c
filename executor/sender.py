"""An aiohttp client that calls only what it may and reads only as much as it should."""

import errno
import socket
import ssl
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from types import MappingProxyType
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from credentials.model import ClientCertificate
from executor.certificates import ClientContexts, refused_certificate
from executor.egress import EgressPolicy
from executor.errors import (
    CredentialsRefused,
    DeadlinePassed,
    EgressDenied,
    ExecutorError,
    MethodNotCallable,
    ResponseTooLarge,
    UpstreamFailed,
    UpstreamUnavailable,
    UpstreamUnreachable,
    UpstreamUntrusted,
)
from executor.model import MEBIBYTE, ExecutorLimits, HttpRequest, HttpResponse

MOST_CONNECTIONS = 1000
KEEP_ALIVE = 30.0
DNS_CACHE_SECONDS = 30
HIGHEST_RATIO = 200

_BLOCKED = "address not allowed"
_AUTOMATIC = ("User-Agent", "Content-Type")
_ACCEPTED = {"Accept-Encoding": "gzip, deflate"}

CAUSES: Mapping[type[BaseException], tuple[type[ExecutorError], str]] = MappingProxyType(
    {
        aiohttp.InvalidURL: (MethodNotCallable, "the address is no valid URL"),
        aiohttp.ClientConnectorCertificateError: (
            UpstreamUntrusted,
            "the upstream's certificate is not trusted",
        ),
        aiohttp.ClientConnectorDNSError: (UpstreamUnreachable, "the upstream's name is not known"),
        aiohttp.ClientConnectorSSLError: (UpstreamUnreachable, "TLS could not be agreed on"),
        aiohttp.ClientConnectorError: (UpstreamUnreachable, "the upstream cannot be reached"),
        aiohttp.ConnectionTimeoutError: (UpstreamUnreachable, "the upstream takes no connection"),
        aiohttp.ClientConnectionError: (UpstreamUnavailable, "the upstream broke the connection"),
        ContentEncodingError: (UpstreamFailed, "the upstream's answer cannot be unpacked"),
        aiohttp.ClientPayloadError: (UpstreamUnavailable, "the upstream's answer broke off"),
        aiohttp.ClientResponseError: (UpstreamFailed, "the upstream's answer is not valid HTTP"),
        aiohttp.ClientError: (UpstreamFailed, "the exchange with the upstream failed"),
        OSError: (UpstreamUnavailable, "the upstream broke the connection"),
    }
)


class AddressBlocked(OSError):
    """Raised where a socket would be made; its text is the same for all, so that it survives."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, _BLOCKED)
        self.address = address


class AiohttpSender:
    """Sends requests over one pool of connections per process, made at the first request.

    Nothing of the environment is used, no cookie is kept, no redirect followed.
    """

    def __init__(self, policy: EgressPolicy, limits: ExecutorLimits) -> None:
        self._policy = policy
        self._limit = limits.max_response_bytes
        self._session: aiohttp.ClientSession | None = None
        self._contexts = ClientContexts()

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send the request once; see `executor.ports.Sender`."""
        session = self._session or self._open()
        url, body, certificate = request.url, request.body, request.certificate
        # A URL with a query is not kept: it may hold a key. A large body goes as a file, which
        # aiohttp writes piece by piece.
        try:
            async with session.request(
                request.method,
                _parsed(url) if "?" in url else _kept(url),
                data=body if body is None or len(body) <= MEBIBYTE else BytesIO(body),
                headers=request.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=timeout, connect=request.connect_timeout, sock_connect=None
                ),
                ssl=True if certificate is None else await self._context(url, certificate),
            ) as response:
                content = await self._read(response)
                return HttpResponse(response.status, tuple(response.headers.items()), content)
        except aiohttp.ConnectionTimeoutError as error:
            raise _translated(error, urlsplit(url).netloc) from None
        except TimeoutError:
            raise DeadlinePassed(
                "the deadline passed while the upstream was answering",
                phase="send",
                timeoutMs=round(timeout * 1000),
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error, urlsplit(url).netloc) from error

    async def _context(self, url: str, certificate: ClientCertificate) -> ssl.SSLContext:
        if not url.startswith("https:"):
            raise MethodNotCallable(
                "a client certificate can be shown to servers of https:// only",
                place="clientCertificate",
            )
        return await self._contexts.of(certificate)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=MOST_CONNECTIONS,
                keepalive_timeout=KEEP_ALIVE,
                ttl_dns_cache=DNS_CACHE_SECONDS,
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_ACCEPTED,
            skip_auto_headers=_AUTOMATIC,
            trust_env=False,
        )
        return self._session

    def _socket(self, info: tuple[object, ...]) -> socket.socket:
        """Make the socket for an address that is final: names are resolved, no proxy is between."""
        family, kind, protocol, _, address = info
        host = str(address[0])  # type: ignore[index]
        if not self._policy.permits(host):
            raise AddressBlocked(host)
        return socket.socket(family, kind, protocol)  # type: ignore[arg-type]

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        content, chunks, size = response.content, [], 0
        if (response.content_length or 0) > self._limit:
            raise self._too_large(response)
        while chunk := await content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._limit:
                raise self._too_large(response)
            packed = content.total_compressed_bytes or size
            if size > MEBIBYTE and size > packed * HIGHEST_RATIO:
                response.close()
                raise ResponseTooLarge(
                    f"the upstream's answer is packed more than {HIGHEST_RATIO} times",
                    ratio=HIGHEST_RATIO,
                )
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self, response: aiohttp.ClientResponse) -> ResponseTooLarge:
        response.close()
        return ResponseTooLarge(
            f"the upstream's answer has more than {self._limit} bytes", limit=self._limit
        )


def _parsed(url: str) -> URL:
    """Take the URL byte for byte."""
    try:
        parsed = URL(url, encoded=True)
        parsed.explicit_port  # noqa: B018 - raises where the parser did not look
    except ValueError as error:
        raise MethodNotCallable(f"the address is no valid URL: {error}") from None
    return parsed


_kept = lru_cache(maxsize=1024)(_parsed)


def _translated(error: BaseException, host: str) -> ExecutorError:
    """Say what happened, without the text of foreign errors: they may quote URLs with keys."""
    if _BLOCKED in str(error):
        cause = getattr(error, "os_error", error)
        address = cause.address if isinstance(cause, AddressBlocked) else host
        return EgressDenied(
            f"calls to {host} are not allowed: its address {address} is private or reserved; "
            "an operator can open its network",
            host=host,
            address=address,
        )
    if refused_certificate(error):
        return CredentialsRefused(
            f"the upstream refuses our client certificate, or asks for one ({host})", host=host
        )
    # An answer that cannot be unpacked comes as one that broke off.
    kind = type(error.__cause__ if isinstance(error.__cause__, ContentEncodingError) else error)
    name, text = next(CAUSES[base] for base in kind.__mro__ if base in CAUSES)
    return name(f"{text} ({host})", host=host)
