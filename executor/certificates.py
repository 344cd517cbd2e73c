"""TLS with a certificate of the client: one context per certificate, kept in memory only.

A context is part of what identifies a connection in the pool, so connections made with different
certificates are never mixed.
"""

import asyncio
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from credentials.model import ClientCertificate
from executor.errors import MethodNotCallable
from executor.lru import LeastRecentlyUsed

# Each holds the system's authorities: up to 0.9 MB where those are one file and not a directory.
MOST_CONTEXTS = 200

# What a server says of a certificate that it does not take, or has not been given (RFC 8446 §6.2).
_REFUSALS = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)


class ClientContexts:
    """Keeps the contexts of the certificates that are shown most."""

    __slots__ = ("_kept",)

    def __init__(self, size: int = MOST_CONTEXTS) -> None:
        self._kept: LeastRecentlyUsed[bytes, ssl.SSLContext] = LeastRecentlyUsed(size)

    async def of(self, certificate: ClientCertificate) -> ssl.SSLContext:
        """Answer the context that shows a certificate; it trusts what the system trusts.

        Raises `MethodNotCallable` for a certificate or a key that cannot be used.
        """
        text = f"{certificate.certificate}\0{certificate.key}"
        digest = sha256(text.encode("utf-8", "replace")).digest()
        kept = self._kept.get(digest)
        if kept is None:
            # In a thread: a system's authorities may be a file that takes 30 ms to read.
            made = await asyncio.to_thread(_context, certificate)
            kept = self._kept.get(digest) or made  # another call may have been faster
            self._kept.put(digest, kept)
        return kept


def refused_certificate(error: BaseException) -> bool:
    """Tell whether an exchange failed because the server does not take our certificate."""
    seen = (error, getattr(error, "os_error", None), error.__cause__)
    # Errors of the client are errors of TLS by their type, and do not have what those have.
    return any(getattr(e, "reason", None) in _REFUSALS for e in seen)


def _context(certificate: ClientCertificate) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        with ExitStack() as stack:
            chain = stack.enter_context(_file(certificate.certificate))
            key = stack.enter_context(_file(certificate.key))
            # With an empty password a key that is encrypted fails: without one, somebody is asked.
            context.load_cert_chain(chain, key, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "NO_PEM"
        raise MethodNotCallable(
            f"the client certificate cannot be used: {reason.lower().replace('_', ' ')}",
            place="clientCertificate",
        ) from None
    return context


@contextmanager
def _file(text: str) -> Iterator[str]:
    """Answer the name of a file for OpenSSL, which reads no certificates from memory."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        with os.fdopen(os.memfd_create("pem", os.MFD_CLOEXEC), "wb") as file:
            file.write(text.encode())
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:  # mode 0600
            file.write(text.encode())
            file.flush()
            yield file.name
