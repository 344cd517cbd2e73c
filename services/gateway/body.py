"""Reads the body of a request, up to a limit."""

from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMessage

from services.gateway.errors import BodyUnreadable, InvalidRequest, PayloadTooLarge

# What aiohttp decodes by itself; of other encodings it takes the body as it is.
ENCODINGS = ("gzip", "deflate", "identity")
UNKNOWN_ENCODING = f"Content-Encoding has to be one of {', '.join(ENCODINGS)}"


async def read(request: web.BaseRequest, limit: int) -> bytes:
    """Read the whole body, decompressed; at most `limit` bytes are ever kept.

    Raises `PayloadTooLarge`, before the first byte when its announced length already says so,
    `BodyUnreadable` when the transfer breaks the rules of its encoding, and `InvalidRequest` for an
    encoding that nobody here can decode.
    """
    encoding = request.headers.get(hdrs.CONTENT_ENCODING)
    if encoding is not None and encoding.lower() not in ENCODINGS:
        raise InvalidRequest(UNKNOWN_ENCODING)
    content = request.content
    try:
        # Most bodies are here already, and need no more waiting.
        body = content.read_nowait() if content.is_eof() else await _receive(request, limit)
    except (web.RequestPayloadError, BadHttpMessage, ConnectionError) as error:
        raise BodyUnreadable("The body breaks off or is not encoded as announced") from error
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _receive(request: web.BaseRequest, limit: int) -> bytes:
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    await _continue(request)
    chunks, size = [], 0
    while size <= limit and (chunk := await request.content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


async def _continue(request: web.BaseRequest) -> None:
    """Let a client go on that waits for leave to send its body (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # These bytes are no part of the answer's own size.
        request.writer.output_size = 0


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {limit} bytes", limit=limit)
