"""How a token is got: AppRole, Kubernetes, or one that was given."""

import asyncio
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hvac.api.auth_methods import AppRole, Kubernetes, Token
from hvac.api.system_backend.wrapping import Wrapping

from credentials.errors import LoginFailed, StoreSealed, StoreUnavailable
from credentials.secret import Secret
from credentials.stores.vault.answers import Answered, Meaning, NotSent, Unanswered
from credentials.stores.vault.options import AppRoleAuth, KubernetesAuth, TokenAuth
from credentials.stores.vault.wire import Answer, VaultWire

log = logging.getLogger("integration.credentials.vault")
security = logging.getLogger("integration.security")

_OUR_FAULT: Final = frozenset({Meaning.REFUSED, Meaning.FORBIDDEN, Meaning.NO_SUCH_PLACE})


@dataclass(frozen=True, slots=True)
class Lease:
    """A token and how long it lives, in seconds; 0: for ever."""

    token: Secret
    seconds: float
    renewable: bool


class Login:
    """Gets tokens by one method. `again`: it can get another when one is gone."""

    def __init__(self, wire: VaultWire, auth: TokenAuth | AppRoleAuth | KubernetesAuth) -> None:
        self._wire = wire.with_token("")
        self._auth = auth
        self._secret_id: Secret | None = None
        self.method = type(auth).__name__.removesuffix("Auth").lower()
        self.again = not isinstance(auth, TokenAuth)

    async def prepare(self) -> None:
        """Unwrap the secret id, if it is wrapped: that works once in all, hence once per process.

        Raises `LoginFailed` when the wrapping token is not what it should be.
        """
        if isinstance(self._auth, AppRoleAuth):
            self._secret_id = self._auth.secret_id or await self._unwrapped(self._auth)

    async def log_in(self) -> Lease:
        """Get a token; raises `LoginFailed`, `StoreUnavailable` and `StoreSealed`."""
        try:
            return await self._logged_in()
        except (Answered, NotSent, Unanswered) as error:
            raise self._failure(error) from error
        except (KeyError, TypeError) as error:
            message = "What answers at the Vault's address is no Vault"
            raise StoreUnavailable(message) from error

    async def _logged_in(self) -> Lease:
        match self._auth:
            case TokenAuth(token):
                itself = token_api(self._wire.with_token(token.reveal()))
                return _given(token, await awaited(itself.lookup_self()))
            case AppRoleAuth(role_id=role_id, mount=mount):
                secret = "" if self._secret_id is None else self._secret_id.reveal()
                approle = AppRole(self._wire)
                answer = approle.login(role_id, secret, use_token=False, mount_point=mount)
                return lease(await awaited(answer))
            case KubernetesAuth(role=role, jwt_path=path, mount=mount):
                jwt = await self._read(path)
                kubernetes = Kubernetes(self._wire)
                answer = kubernetes.login(role, jwt, use_token=False, mount_point=mount)
                return lease(await awaited(answer))

    async def _read(self, path: Path) -> str:
        try:
            text = await asyncio.to_thread(path.read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"The token of the service account cannot be read from {path}"
            raise LoginFailed(message, method=self.method) from error
        return text.strip()

    async def _unwrapped(self, auth: AppRoleAuth) -> Secret:
        token = "" if auth.wrapped_secret_id is None else auth.wrapped_secret_id.reveal()
        try:
            wrapped = await self._wire.post("/v1/sys/wrapping/lookup", json={"token": token})
            made_at = str(wrapped["data"]["creation_path"])
            if not re.fullmatch(
                rf"(?:.+/)?auth/{re.escape(auth.mount)}/role/[^/]+/secret-id", made_at
            ):
                raise self._intercepted("was not made by AppRole")
            wrapping: Any = Wrapping(self._wire.with_token(token))  # its stub has no types
            answer = await awaited(wrapping.unwrap())
        except (NotSent, Unanswered) as error:
            # Unanswered: it may be unwrapped now, and then nobody has what was in it.
            raise StoreUnavailable("The Vault does not answer, so nobody could log in") from error
        except Answered as error:
            if error.meaning in _OUR_FAULT:
                raise self._intercepted("has been unwrapped already, or has expired") from error
            raise self._failure(error) from error
        return Secret(answer["data"]["secret_id"])

    def _intercepted(self, what: str) -> LoginFailed:
        security.error(
            "the wrapped secret id %s: somebody else may have it; revoke it and find out who", what
        )
        message = f"The wrapped secret id {what}; revoke its accessor and issue a new one"
        return LoginFailed(message, method=self.method)

    def _failure(self, error: Answered | NotSent | Unanswered) -> Exception:
        if not isinstance(error, Answered):
            return StoreUnavailable("The Vault does not answer, so nobody could log in")
        if error.meaning is Meaning.SEALED:
            return StoreSealed("The Vault is sealed, so nobody can log in")
        if error.meaning not in _OUR_FAULT:
            return StoreUnavailable(f"The Vault answers a login with HTTP {error.status}")
        log.error("the vault refuses the login by %s: %s", self.method, error)
        message = f"The Vault refuses the login by {self.method}; check what it was given"
        return LoginFailed(message, method=self.method)


def lease(answer: Answer) -> Lease:
    """Read the answer of a login or of a renewal; raises `Unanswered` when it is none."""
    try:
        auth = answer["auth"]
        token = Secret(auth["client_token"])
        return Lease(token, float(auth["lease_duration"]), bool(auth["renewable"]))
    except (KeyError, TypeError) as error:
        raise Unanswered("no token in the answer") from error


def _given(token: Secret, answer: Answer) -> Lease:
    data = answer["data"]
    return Lease(token, float(data["ttl"]), bool(data.get("renewable")))


def token_api(wire: VaultWire) -> Any:
    """Answer hvac's methods for the token of a wire; their stub has no types."""
    return Token(wire)


async def awaited(answer: Any) -> Answer:
    """Await what an hvac method answers with our wire; its stub speaks of responses."""
    result: Answer = await answer
    return result
