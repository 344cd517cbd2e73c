"""What can go wrong in the registry.

RegistryError
├── InvalidDefinition       the text is no definition; `problems` lists everything that is wrong
├── InvalidInstance         the name or the config doesn't fit; `problems` likewise
├── InvalidPageRequest      a page, a filter or a page token that cannot be served
├── DefinitionNotFound      none of this id, or another tenant's
├── InstanceNotFound        none of this id, or another tenant's
├── DefinitionExists        same name and version, other content
├── DefinitionNotOffered    an instance was asked of a draft or of an archived definition
├── StatusNotReachable      the definition's status doesn't lead to the one asked for
├── StaleEtag               somebody else wrote in between
└── StoreUnavailable        the database does not answer, or answers nonsense
"""


class RegistryError(Exception):
    """Anything the registry refuses; `details` are JSON-able facts with camelCase names."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidDefinition(RegistryError):
    """Details: `problems`, objects with path, message and, where known, line, column, codeFrame."""


class InvalidInstance(RegistryError):
    """Details: `problems`, as for `InvalidDefinition`. No value of the config is ever in them."""


class InvalidPageRequest(RegistryError):
    """Details: `problems`, as for `InvalidDefinition`: each part of it that cannot be served."""


class DefinitionNotFound(RegistryError):
    """Details: `id`. The same answer whether it is absent, malformed or another tenant's."""


class InstanceNotFound(RegistryError):
    """Details: `id`. The same answer whether it is absent, malformed or another tenant's."""


class DefinitionExists(RegistryError):
    """Details: `name` and `version`."""


class DefinitionNotOffered(RegistryError):
    """Details: `id` and `status` of the definition."""


class StatusNotReachable(RegistryError):
    """Details: `id`, `status` and `wanted`."""


class StaleEtag(RegistryError):
    """Details: `id`."""


class StoreUnavailable(RegistryError):
    """No details; its cause is the database's own error, which is for the log alone."""


def no_definition(definition_id: str) -> DefinitionNotFound:
    """Answer the error for an id that leads nowhere, whatever the reason."""
    message = "There is no integration definition of this id for the caller; check the id"
    return DefinitionNotFound(message, id=_shown(definition_id))


def no_instance(instance_id: str) -> InstanceNotFound:
    """Answer the error for an id that leads nowhere, whatever the reason."""
    message = "There is no integration instance of this id for the caller; check the id"
    return InstanceNotFound(message, id=_shown(instance_id))


def stale(identifier: str) -> StaleEtag:
    """Answer the error for a write that came too late."""
    message = "The object was changed in between; read it again and repeat the change"
    return StaleEtag(message, id=_shown(identifier))


def definition_exists(name: str, version: str) -> DefinitionExists:
    """Answer the error for content that would replace published content."""
    message = f"Definition {name!r} {version} exists with other content; give it another version"
    return DefinitionExists(message, name=name, version=version)


def _shown(identifier: str) -> str:
    """Answer what was sent as an id in a form that is safe to send back."""
    return identifier[:64].encode("ascii", "replace").decode()
