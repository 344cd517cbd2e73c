"""What a definition says of credentials, in the words that credentials have for it."""

from credentials.model import AuthScheme, AwsSigning, CertificateFields, Signing
from executor.headers import check_name
from registry.model import (
    AuthPlacement,
    AwsPlacement,
    CertificatePlacement,
    Definition,
    SigningPlacement,
)


def scheme_of(definition: Definition) -> AuthScheme | None:
    """Answer how calls are authorized, None where there is nothing to show.

    Raises `MethodNotCallable` for a header that a definition may not set.
    """
    auth = definition.auth
    if definition.auth_type == "none" and auth.certificate is None:
        return None
    for name in _headers(definition.auth_type, auth):
        check_name(name)
    return AuthScheme(
        type=definition.auth_type,
        location=auth.location,
        name=auth.name,
        prefix=auth.prefix,
        field=auth.field,
        username_field=auth.username_field,
        headers=auth.headers,
        query=auth.query,
        signing=_signing(auth.signing),
        aws=_aws(auth.aws),
        certificate=_certificate(auth.certificate),
    )


def _headers(auth_type: str, auth: AuthPlacement) -> tuple[str, ...]:
    own = (auth.name,) if auth.location == "header" and auth_type != "none" else ()
    signing = auth.signing
    told = () if signing is None else (signing.timestamp_header, signing.nonce_header)
    return (*own, *(name for name, _ in auth.headers), *(name for name in told if name))


def _signing(said: SigningPlacement | None) -> Signing | None:
    if said is None:
        return None
    return Signing(
        template=said.template,
        algorithm=said.algorithm,
        encoding=said.encoding,
        key_encoding=said.key_encoding,
        timestamp_header=said.timestamp_header,
        timestamp_format=said.timestamp_format,
        nonce_header=said.nonce_header,
    )


def _aws(said: AwsPlacement | None) -> AwsSigning | None:
    if said is None:
        return None
    return AwsSigning(
        service=said.service,
        region=said.region,
        access_key_field=said.access_key_field,
        secret_key_field=said.secret_key_field,
        session_token_field=said.session_token_field,
    )


def _certificate(said: CertificatePlacement | None) -> CertificateFields | None:
    return None if said is None else CertificateFields(said.certificate, said.key)
