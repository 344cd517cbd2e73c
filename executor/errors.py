"""What can go wrong while a method is executed.

ExecutorError
├── MethodNotFound            the definition has no method of this name
├── InvalidParameters         the parameters do not match, or cannot stand where they are bound
├── InstanceNotConnected      the instance waits for configuration or authentication
├── MethodNotCallable         the definition or the config cannot make this call
├── EgressDenied              the operator does not allow calls to this address
├── RequestTooLarge           the request is over its limit
├── ResponseTooLarge          the upstream's answer is over its limit
├── ResultMismatch            the result does not match a `resultSchema` that is checked strictly
├── DeadlinePassed            the time is up; says in which phase
├── CredentialsRefused        the upstream refused our credentials
├── UpstreamFailed            the upstream answered with an error, or with something unreadable
│   └── UpstreamUntrusted     its certificate is not trusted: nothing was sent
└── Postponed                 waiting helps; the upstream may have said how long
    ├── InstanceChanging      config and credentials are being written this moment
    ├── UpstreamRateLimited   the upstream's limit is used up
    └── UpstreamUnavailable   the upstream broke off, or is down for the moment
        └── UpstreamUnreachable  there was no connection to it: nothing was sent

Errors of the ports (no such instance, no credentials, a script that threw) pass through.
"""


class ExecutorError(Exception):
    """One execution failed; `details` are JSON-able and free of secrets."""

    retry_after_ms: int | None = None

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class MethodNotFound(ExecutorError):
    """The definition has no method of this name. Details: method, methods, didYouMean?."""


class InvalidParameters(ExecutorError):
    """The parameters are wrong. Details: problems, a list of {path, message}."""


class InstanceNotConnected(ExecutorError):
    """The instance cannot be used yet, or no longer. Details: status, reason?."""


class MethodNotCallable(ExecutorError):
    """The definition or the config cannot make this call. Details say which part."""


class EgressDenied(ExecutorError):
    """The operator does not allow calls to this address. Details: host, address."""


class RequestTooLarge(ExecutorError):
    """The request is over its limit. Details: limit, size, in bytes."""


class ResponseTooLarge(ExecutorError):
    """The upstream's answer is over its limit. Details: limit, in bytes, or ratio."""


class ResultMismatch(ExecutorError):
    """The result does not match its schema. Details: problems, a list of {path, message}."""


class DeadlinePassed(ExecutorError):
    """The time is up. Details: phase, timeoutMs."""


class CredentialsRefused(ExecutorError):
    """The upstream refused our credentials. Details: statusCode, response?; host in TLS."""


class UpstreamFailed(ExecutorError):
    """The upstream answered with an error or unreadably. Details: statusCode?, response?."""


class UpstreamUntrusted(UpstreamFailed):
    """The upstream's certificate is not trusted, and nothing was sent. Details: host."""


class Postponed(ExecutorError):
    """A failure that may pass by waiting: `retry_after_ms` when the upstream said how long."""

    def __init__(
        self, message: str, *, retry_after_ms: int | None = None, **details: object
    ) -> None:
        if retry_after_ms is not None:
            details["retryAfterMs"] = retry_after_ms
        super().__init__(message, **details)
        self.retry_after_ms = retry_after_ms


class InstanceChanging(Postponed):
    """Config and credentials of the instance do not belong together yet. Details: retryAfterMs?."""


class UpstreamRateLimited(Postponed):
    """The upstream's limit is used up. Details: statusCode, response?, retryAfterMs?."""


class UpstreamUnavailable(Postponed):
    """The upstream is away for now. Details: host or statusCode, response?, retryAfterMs?."""


class UpstreamUnreachable(UpstreamUnavailable):
    """No connection came about, and nothing was sent. Details: host."""
