"""The certificate that a client shows in TLS: read, and checked to belong to its key."""

from collections import OrderedDict
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import Certificate, load_pem_x509_certificates

from credentials.errors import InvalidCredentials
from credentials.model import CertificateFields, ClientCertificate
from credentials.placing import Fields, text

MAX_KNOWN = 1_000
_known: OrderedDict[bytes, None] = OrderedDict()  # digests of pairs that are good


def client_certificate(names: CertificateFields, fields: Fields) -> ClientCertificate:
    """Answer the certificate and the key that the fields hold.

    The first certificate is the client's; those of its authorities may follow. The key is not
    encrypted. Raises `InvalidCredentials`.
    """
    pair = ClientCertificate(text(fields, names.certificate), text(fields, names.key))
    digest = sha256(f"{pair.certificate}\0{pair.key}".encode("utf-8", "replace")).digest()
    if digest not in _known:
        _check(pair, names)
        _known[digest] = None
        if len(_known) > MAX_KNOWN:
            _known.popitem(last=False)
    return pair


def _check(pair: ClientCertificate, names: CertificateFields) -> None:
    certificate, key = _certificate(pair, names.certificate), _key(pair, names.key)
    ours, theirs = (
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for public in (key.public_key(), certificate.public_key())
    )
    if ours != theirs:
        raise InvalidCredentials(
            f"Credentials field {names.key!r} is not the key of the certificate in "
            f"{names.certificate!r}",
            field=names.key,
        )


def _certificate(pair: ClientCertificate, name: str) -> Certificate:
    try:
        return load_pem_x509_certificates(pair.certificate.encode())[0]
    except ValueError:
        message = f"Credentials field {name!r} must be a certificate in PEM"
        raise InvalidCredentials(message, field=name) from None


def _key(pair: ClientCertificate, name: str) -> PrivateKeyTypes:
    try:
        # What matters is whose key it is; proving its primes takes 50 ms.
        return load_pem_private_key(
            pair.key.encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        message = f"Credentials field {name!r} must be a private key in PEM, not encrypted"
        raise InvalidCredentials(message, field=name) from None
