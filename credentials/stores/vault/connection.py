"""One call to the Vault, with all that may have to happen around it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from secrets import SystemRandom
from typing import Any, Final, Self, TypeVar

import aiohttp
from hvac.api.secrets_engines import KvV2, Transit

from credentials.errors import StoreForbidden, StoreUnavailable, StoreUnfit
from credentials.stores.vault.answers import PASSING, Answered, Meaning, NotSent, Unanswered
from credentials.stores.vault.breaker import Breaker
from credentials.stores.vault.login import Login, awaited
from credentials.stores.vault.options import VaultOptions
from credentials.stores.vault.pacing import Pacer
from credentials.stores.vault.session import Session, forbidden
from credentials.stores.vault.wire import Answer, VaultWire, open_http

log = logging.getLogger("integration.credentials.vault")

TRIES: Final = 4
_FIRST_PAUSE: Final = 0.05  # seconds
_LONGEST_PAUSE: Final = 2.0

_NOT_NOW: Final = {
    Meaning.OVER_QUOTA: "The Vault's quota is used up; try again in some seconds",
    Meaning.PASSING: "The Vault has no active node now; try again later",
}

_random = SystemRandom()

T = TypeVar("T")


class InDoubt(StoreUnavailable):
    """No usable answer came: what was asked for may have been done or not."""


@dataclass(frozen=True, slots=True)
class VaultHealth:
    """Whether the Vault can be used now; `why` not, in words for an operator."""

    ok: bool
    why: str = ""


class VaultConnection:
    """A login to a Vault, shared by all that use it in one process.

    `kv` and `transit` are hvac's engines; what their methods answer is made and awaited in `call`.
    """

    def __init__(self, options: VaultOptions, http: aiohttp.ClientSession) -> None:
        self.options = options
        self.wire = VaultWire(http, options.address, namespace=options.namespace)
        self.kv = KvV2(self.wire)
        self.transit: Any = Transit(self.wire)  # its stub has no types
        self._http = http
        # Namespaces have no health of their own: the server's is asked for, outside of all.
        self._outside = VaultWire(http, options.address)
        self._breaker = Breaker(self._is_well, options.probe_interval)
        self._pacer = Pacer()
        self._session = Session(self.wire, Login(self.wire, options.auth))

    @classmethod
    async def open(cls, options: VaultOptions) -> Self:
        """Connect and log in; the caller closes it.

        Raises `LoginFailed`, `StoreUnavailable`, `StoreSealed`, and `StoreUnfit` when `ca_file`
        holds no certificates.
        """
        try:
            http = open_http(options)
        except OSError as error:  # ssl.SSLError is one
            problem = f"{options.ca_file} holds no certificate authorities"
            raise StoreUnfit(f"The Vault cannot be trusted: {problem}", problem=problem) from error
        connection = cls(options, http)
        try:
            await connection._session.open()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Revoke our token, as far as the Vault lets us, and close the connections."""
        await self._breaker.close()
        await self._session.close()
        await self._http.close()

    def health(self) -> VaultHealth:
        """Tell how things are, as far as is known from what happened last; asks nobody."""
        why = self._breaker.why or self._session.trouble
        return VaultHealth(ok=not why, why=why)

    async def call(self, request: Callable[[], Any], path: str) -> Answer:
        """Make a request, and make it again where that is safe.

        `request` starts one try, `path` is what a policy would have to allow. Raises `Answered`
        with `NOTHING_THERE`, `LOST_RACE`, `TOO_LARGE` or `REFUSED`, which only the caller can
        judge; `InDoubt` when the request may have had its effect; `StoreUnavailable` and
        `StoreSealed` when it had none; `StoreForbidden`; `LoginFailed`; `StoreUnfit`.
        """
        self._breaker.check()
        generation = self._session.generation
        try:
            return await self._judged(lambda: self._sent(request), path)
        except StoreForbidden:
            await self._judged(lambda: self._session.revive(generation, path), path)
        return await self._judged(lambda: self._sent(request), path)

    async def _sent(self, request: Callable[[], Any]) -> Answer:
        for tries in range(1, TRIES + 1):
            await self._pacer.turn()
            try:
                answer = await awaited(request())
            except Answered as error:
                self._note(error)
                if error.meaning not in PASSING or tries == TRIES:
                    raise
            else:
                self._pacer.passed()
                self._breaker.answered()
                return answer
            longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 4 ** (tries - 1))
            await asyncio.sleep(_random.uniform(0, longest))
        raise AssertionError  # the last try has answered or raised

    def _note(self, error: Answered) -> None:
        self._breaker.answered()
        if error.meaning is Meaning.OVER_QUOTA:
            self._pacer.refused()
        else:
            self._pacer.passed()

    async def _judged(self, work: Callable[[], Awaitable[T]], path: str) -> T:
        try:
            return await work()
        except NotSent as error:
            self._breaker.silent()
            raise StoreUnavailable("The Vault cannot be reached; try again later") from error
        except Unanswered as error:
            self._breaker.silent()
            raise InDoubt("The Vault does not answer; try again later") from error
        except Answered as error:
            raise self._error(error, path) from error

    def _error(self, error: Answered, path: str) -> Exception:
        match error.meaning:
            case Meaning.SEALED:
                return self._breaker.sealed()
            case Meaning.FORBIDDEN:
                return forbidden(path)
            case Meaning.OVER_QUOTA | Meaning.PASSING:
                return StoreUnavailable(_NOT_NOW[error.meaning])
            case Meaning.FAILED:
                log.warning("the vault failed at %s: %s", path, error)
                return InDoubt(f"The Vault answers HTTP {error.status}; try again later")
            case Meaning.NO_SUCH_PLACE:
                problem = f"there is no {path}: its namespace or mount is missing"
                return StoreUnfit(f"In the Vault, {problem}", problem=problem)
        return error

    async def _is_well(self) -> bool:
        try:
            await self._outside.get(
                "/v1/sys/health", params={"standbyok": "true", "perfstandbyok": "true"}
            )
        except (Answered, NotSent, Unanswered):
            return False
        return True
