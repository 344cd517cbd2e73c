"""A certificate authority for tests, made in memory with short-lived elliptic keys."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=36_500)
LOOPBACK = "127.0.0.1"


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Write a key in PEM (PKCS #8), not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass(slots=True)
class Authority:
    """Signs certificates; `certificate` is its own, in PEM."""

    name: str = "Test Authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    certificate: str = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = self._sign(self.name, self.key, authority=True)

    def issue(self, name: str, *, end: datetime = END) -> tuple[str, str]:
        """Answer a certificate for loopback, with this common name, and its key, both in PEM."""
        key = new_key()
        return self._sign(name, key, end=end), key_pem(key)

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        end: datetime = END,
        authority: bool = False,
    ) -> str:
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGIN)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        if not authority:
            builder = builder.add_extension(addresses, critical=False)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
