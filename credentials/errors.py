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
    ├── RecordCorrupt           what is stored is not what was written
    ├── MasterKeyMissing        no master key can be read
    ├── MasterKeyWrong          not a master key, or not the one of this store
    └── MasterKeyExists         creating one would overwrite another

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


class RecordCorrupt(CredentialsError):
    """A record or key fails its authentication: changed, moved or truncated. Details: `what`."""


class MasterKeyMissing(CredentialsError):
    """No master key can be read there. Details: `path`."""


class MasterKeyWrong(CredentialsError):
    """The file holds no master key, or not the one that this store was made with.

    Details: `path`.
    """


class MasterKeyExists(CredentialsError):
    """The file is there already, and a master key is never overwritten. Details: `path`."""
