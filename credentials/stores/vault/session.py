"""Our token, from the login to its revocation: one per process, renewed before it ends."""

import asyncio
import logging
from contextlib import suppress
from secrets import SystemRandom
from typing import Final

from credentials.errors import CredentialsError, LoginFailed, StoreForbidden
from credentials.stores.vault.answers import PASSING, Answered, Meaning, NotSent, Unanswered
from credentials.stores.vault.login import Lease, Login, awaited, lease, token_api
from credentials.stores.vault.wire import VaultWire

log = logging.getLogger("integration.credentials.vault")

_RENEWED_AT: Final = 2 / 3  # of its life
_JITTER: Final = 0.1
_SHORTEST_PAUSE: Final = 0.5  # seconds
_LONGEST_RETRY: Final = 10.0  # seconds
_BETWEEN_LOGINS: Final = 1.0  # seconds, whatever happens: a wrong policy must not make us flood

_PASSES: Final = PASSING | {Meaning.SEALED}

_random = SystemRandom()


class Session:
    """Keeps `wire` supplied with a token that the server knows.

    `generation` counts the tokens; `trouble` says what is wrong with the present one, if anything.
    """

    def __init__(self, wire: VaultWire, login: Login) -> None:
        self._wire = wire
        self._login = login
        self._lease: Lease | None = None
        self._full_seconds = 0.0
        self._logged_in_at = float("-inf")
        self._refused: LoginFailed | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._one_login = asyncio.Lock()
        self.generation = 0
        self.trouble = ""

    async def open(self) -> None:
        """Log in, and keep the token alive from now on.

        Raises `LoginFailed`, `StoreUnavailable` and `StoreSealed`.
        """
        await self._login.prepare()
        await self._log_in()
        self._keeping = asyncio.create_task(self._keep())

    async def revive(self, generation: int, path: str) -> None:
        """See to it that a call which was refused with token `generation` can be made again.

        The server gives one answer to a token that it does not know and to one that may not: only
        asking about the token tells. However many callers come, it is asked once and logged in
        once. Raises `StoreForbidden` when the token is good, and what a login raises.
        """
        if generation != self.generation:
            return
        if self._reviving is None or self._reviving.done():
            self._reviving = asyncio.create_task(self._revive(path))
        await asyncio.shield(self._reviving)

    async def close(self) -> None:
        """Stop renewing, and revoke the token if we made it. Never raises for the server's sake."""
        tasks = [task for task in (self._keeping, self._reviving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._revoke(self._lease)

    async def _revive(self, path: str) -> None:
        if await self._is_known():
            raise forbidden(path)
        if asyncio.get_running_loop().time() - self._logged_in_at < _BETWEEN_LOGINS:
            raise self._refused or forbidden(path)
        log.warning("the vault knows our token no longer; logging in again")
        await self._log_in()

    async def _is_known(self) -> bool:
        try:
            await awaited(token_api(self._wire).lookup_self())
        except Answered as error:
            if error.meaning is Meaning.FORBIDDEN:
                return False
            raise
        return True

    async def _log_in(self) -> None:
        generation = self.generation
        async with self._one_login:
            if generation != self.generation:
                return
            try:
                fresh = await self._new_lease()
            except CredentialsError as error:
                self.trouble = error.message
                raise
            self._full_seconds = fresh.seconds
            self._adopt(fresh)
            self._refused = None
            self._logged_in_at = asyncio.get_running_loop().time()
            self.generation += 1

    async def _new_lease(self) -> Lease:
        try:
            return await self._login.log_in()
        except LoginFailed as error:
            self._refused = error
            self._logged_in_at = asyncio.get_running_loop().time()
            raise

    def _adopt(self, fresh: Lease) -> None:
        self._lease = fresh
        self._wire.token = fresh.token.reveal()
        self.trouble = ""

    async def _keep(self) -> None:
        while self._lease is not None and self._lease.seconds:
            await asyncio.sleep(self._pause(self._lease.seconds))
            try:
                await self._renew(self._lease)
            except (CredentialsError, Answered, NotSent, Unanswered) as error:
                self.trouble = "The token for the Vault could not be renewed"
                log.warning("the vault token could not be renewed: %s", error)

    def _pause(self, seconds: float) -> float:
        if self.trouble:
            return max(_SHORTEST_PAUSE, min(_LONGEST_RETRY, seconds / 10))
        jitter = _random.uniform(1 - _JITTER, 1 + _JITTER)
        return max(_SHORTEST_PAUSE, seconds * _RENEWED_AT * jitter)

    async def _renew(self, present: Lease) -> None:
        fresh = await self._renewed() if present.renewable else None
        # What is granted shrinks when the token's longest life is near: time for another one.
        is_ending = fresh is not None and fresh.seconds < self._full_seconds / 2
        if fresh is not None and not (is_ending and self._login.again):
            self._adopt(fresh)
            return
        await self._log_in()
        # Calls that are still under way with it are refused, and made again with the new one.
        await self._revoke(present)

    async def _renewed(self) -> Lease | None:
        try:
            return lease(await awaited(token_api(self._wire).renew_self()))
        except Answered as error:
            # Past its longest life a token is refused with a 500, so: whatever is not passing.
            if error.meaning in _PASSES:
                raise
            return None

    async def _revoke(self, ours: Lease | None) -> None:
        if self._login.again and ours is not None:
            with suppress(Answered, NotSent, Unanswered):
                await awaited(token_api(self._wire.with_token(ours.token.reveal())).revoke_self())


def forbidden(path: str) -> StoreForbidden:
    """Make the error of a policy that does not allow what we need."""
    return StoreForbidden(
        f"The Vault's policy does not allow {path}; see docs/vault.md for what it must allow",
        path=path,
    )
