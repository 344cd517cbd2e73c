"""What can go wrong with credentials.

    CredentialsError
    ├── CredentialsNotFound     the instance has none
    ├── CredentialsIncomplete   a field that the scheme needs is missing
    ├── InvalidCredentials      a value that cannot be kept or cannot be sent
    ├── InvalidId               an id that may not reach a store
    ├── SchemeNotAvailable      an auth type that this release cannot carry out
    ├── SchemeInvalid           a scheme that HTTP cannot carry, such as a header name with a blank
    ├── VersionConflict         somebody else wrote the record first
    ├── CredentialsBusy         that happened too often in a row
    ├── StoreUnavailable        the store cannot be reached or written now
    │   ├── StoreSealed         its server is there and sealed
    │   ├── SpoolUnavailable    the spool of token answers cannot be written
    │   └── AuditUnavailable    the audit log cannot be written
    ├── StoreForbidden          the store's server refuses what our policy should allow
    ├── StoreUnfit              the store is not set up as it must be
    ├── LoginFailed             the store's server does not know us, or knows us no longer
    ├── InvalidState            an OAuth state that is unknown, used, expired or somebody else's
    ├── AuthorizationRefused    the user or the authorization server said no
    ├── NeedsReauthorization    the grant is gone or in doubt; its owner has to consent again
    ├── TokenRequestRefused     the token endpoint refuses our client or our request
    ├── TokenEndpointFailed     the token endpoint cannot give an answer now
    │   ├── EndpointUnreachable nothing was sent to it
    │   └── EndpointSilent      something was sent, and no whole answer came
    ├── EndpointForbidden       the egress rules do not let a request to it through
    ├── OAuthMisconfigured      oauth2Config or the config cannot make this request
    ├── AuditBroken             the audit log was changed, cut or reordered
    ├── RecordCorrupt           what is stored is not what was written
    ├── MasterKeyMissing        no master key can be read
    ├── MasterKeyWrong          not a master key, or not the one of this store
    ├── MasterKeyExists         creating one would overwrite another
    ├── MasterKeyNotWritable    a new one cannot be put where the old one is
    └── RotationUnderWay        another process rotates the keys

No message and no detail ever holds a secret: both name fields, never their values.
"""


class CredentialsError(Exception):
    """Something is wrong with credentials; `details` are JSON values under camelCase names."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class CredentialsNotFound(CredentialsError):
    """The instance has no credentials. Details: `instanceId`."""


class CredentialsIncomplete(CredentialsError):
    """Fields that the scheme needs are missing. Details: `fields`."""


class InvalidCredentials(CredentialsError):
    """A value cannot be kept or cannot be sent. Details: `field`."""


class InvalidId(CredentialsError):
    """An id has another form than ids have. Details: `kind`."""


class SchemeNotAvailable(CredentialsError):
    """This release cannot carry out the auth type. Details: `type`, `available`."""


class SchemeInvalid(CredentialsError):
    """The scheme asks for what HTTP cannot carry. Details: `property`."""


class VersionConflict(CredentialsError):
    """The record has not the expected version. Details: `instanceId`, `expectedVersion`."""


class CredentialsBusy(CredentialsError):
    """Every try to write the record came too late. Details: `instanceId`, `tries`."""


class StoreUnavailable(CredentialsError):
    """The store cannot be reached or written now; the same call may succeed later."""


class StoreSealed(StoreUnavailable):
    """The store's server is there and sealed; an operator has to unseal it."""


class SpoolUnavailable(StoreUnavailable):
    """The spool cannot be written, so no refresh token may be spent. Details: `path`."""


class AuditUnavailable(StoreUnavailable):
    """The audit log cannot be written, so nothing may be changed. Details: `path`."""


class StoreForbidden(CredentialsError):
    """The store's server refuses what our policy should allow. Details: `path`."""


class StoreUnfit(CredentialsError):
    """The store is not set up as it must be, and nothing was written. Details: `problem`."""


class LoginFailed(CredentialsError):
    """The store's server does not let us in. Details: `method`."""


class InvalidState(CredentialsError):
    """The OAuth state is unknown, used, expired or somebody else's: one error for all."""


class AuthorizationRefused(CredentialsError):
    """The user or the authorization server said no. Details: `error`, `description`."""


class NeedsReauthorization(CredentialsError):
    """The grant is gone or in doubt. Details: `instanceId`, `cause`."""


class TokenRequestRefused(CredentialsError):
    """The token endpoint refuses our client or our request. Details: `error`, `description`."""


class TokenEndpointFailed(CredentialsError):
    """The token endpoint cannot answer now. Details: `host`; `retry_after_ms` may be set."""

    def __init__(self, message: str, *, retry_after_ms: int = 0, **details: object) -> None:
        super().__init__(message, **details)
        self.retry_after_ms = retry_after_ms


class EndpointUnreachable(TokenEndpointFailed):
    """Nothing was sent to it. Details: `host`."""


class EndpointSilent(TokenEndpointFailed):
    """Something was sent, and no whole answer came: what it did is unknown. Details: `host`."""


class EndpointForbidden(CredentialsError):
    """The egress rules do not let the request through. Details: `host`, `address`."""


class OAuthMisconfigured(CredentialsError):
    """`oauth2Config` or the instance's config cannot make the request. Details: `field`."""


class AuditBroken(CredentialsError):
    """The audit log is not what was written. Details: `path`, `line`."""


class RecordCorrupt(CredentialsError):
    """A record or key fails its authentication: changed, moved or truncated. Details: `what`."""


class MasterKeyMissing(CredentialsError):
    """No master key can be read there. Details: `source`."""


class MasterKeyWrong(CredentialsError):
    """The source holds no master key, or not the one that this store was made with.

    Details: `source`.
    """


class MasterKeyExists(CredentialsError):
    """The file is there already, and a master key is never overwritten. Details: `source`."""


class MasterKeyNotWritable(CredentialsError):
    """A new master key cannot be put where the old one is. Details: `source`."""


class RotationUnderWay(CredentialsError):
    """Another process rotates the keys now. Details: `source`."""
