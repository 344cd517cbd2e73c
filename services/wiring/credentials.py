"""The credential component put together: its store, the protocols over it, and what it writes down.

The embedded store is made of SQLite and master keys; the other one is a Vault.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from credentials.connecting import Connecting
from credentials.ending import Ending
from credentials.keep_alive import KeepAlive
from credentials.manager import CredentialManager, Tokens
from credentials.parts import Parts
from credentials.ports import Connections, SecretStore
from credentials.proactive import Proactive
from credentials.profiles import Profiles
from credentials.refresher import Refresher
from credentials.secret import Secret
from credentials.settling import Settler
from credentials.stores.audit_log import FileAudit
from credentials.stores.cached import CachedSecretStore
from credentials.stores.spool import FileSpool, Sealer
from credentials.upkeep import Upkeep
from executor.egress import EgressPolicy
from executor.model import MEBIBYTE, ExecutorLimits
from executor.sender import AiohttpSender
from services.credentials.outbound import GuardedOutbound
from services.runtime import clock
from services.runtime.health import Condition
from services.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from credentials.stores.vault.options import AppRoleAuth, KubernetesAuth, TokenAuth

log = logging.getLogger("integration.credentials")

_RECOVERY_SECONDS = 2.0

Known = Callable[..., None]


@dataclass(frozen=True, slots=True)
class CredentialUseCases:
    """What the credential service serves."""

    manager: CredentialManager
    connecting: Connecting
    upkeep: Upkeep
    condition: Condition


@dataclass(frozen=True, slots=True)
class _Opened:
    """A store, what seals token answers on their way to it, and how the store is."""

    store: SecretStore
    sealer: Sealer
    condition: Condition = lambda: ""


async def credential_use_cases(
    settings: Settings, connections: Connections, known: Known, stack: AsyncExitStack
) -> CredentialUseCases:
    """Open the store that the settings name and put the use cases on it.

    On leaving the stack, running refreshes may end before the store goes.
    """
    opened = await _OPENERS[settings.credential_store](settings, stack)
    cached = CachedSecretStore(opened.store)
    owner = f"{socket.gethostname()}-{os.getpid()}"
    audit = await FileAudit.open(
        _directory(settings.audit_dir, settings, "audit"), clock.now, owner
    )
    stack.push_async_callback(audit.close)
    limits = ExecutorLimits(max_response_bytes=MEBIBYTE)
    sender = AiohttpSender(EgressPolicy(settings.egress_allow), limits)
    stack.push_async_callback(sender.close)
    outbound = GuardedOutbound(sender, clock.now)
    parts = Parts(
        store=cached.direct,
        connections=connections,
        profiles=Profiles(cached.direct, connections, outbound),
        outbound=outbound,
        spool=FileSpool(_directory(settings.spool_dir, settings, "spool"), opened.sealer),
        audit=audit,
        clock=clock.now,
        owner=owner,
        known=known,
    )
    return _use_cases(parts, cached, opened.condition, stack)


def _use_cases(
    parts: Parts, cached: CachedSecretStore, condition: Condition, stack: AsyncExitStack
) -> CredentialUseCases:
    settler = Settler(parts)
    # Each knows the other: the lambda looks for the refresher when a token is due.
    proactive = Proactive(lambda tenant, id_: refresher.kick(tenant, id_), parts.now)  # noqa: PLW0108
    refresher = Refresher(parts, settler, proactive.watch)
    ending = Ending(parts, settler)
    connecting = Connecting(parts)
    tokens = Tokens(refresher, ending, parts.audit, parts.clock, parts.owner, parts.known)
    manager = CredentialManager(cached, tokens)
    recovery = asyncio.create_task(_recover(refresher))
    for close in (refresher.close, ending.close, connecting.close, proactive.close):
        stack.push_async_callback(close)
    stack.push_async_callback(_stop, recovery)
    keep_alive = KeepAlive(parts, refresher)
    keep_alive.start()
    stack.push_async_callback(keep_alive.close)
    upkeep = Upkeep(parts, refresher, ending, manager.authorize)
    return CredentialUseCases(manager, connecting, upkeep, condition)


async def _recover(refresher: Refresher) -> None:
    """Empty the spool that a process before us has left, as soon as all it takes is there."""
    while True:
        try:
            if not await refresher.recover():
                return
        except Exception:
            log.exception("the spool cannot be emptied yet")
        await asyncio.sleep(_RECOVERY_SECONDS)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _local(settings: Settings, stack: AsyncExitStack) -> _Opened:
    from credentials.stores.local.engine import open_engine
    from credentials.stores.local.migrate import migrate
    from credentials.stores.local.sealer import MasterKeySealer
    from credentials.stores.local.store import LocalSecretStore
    from services.wiring.master_keys import credentials_url, master_key_source

    source = master_key_source(settings)
    engine = open_engine(credentials_url(settings))
    stack.push_async_callback(engine.dispose)
    await migrate(engine, source)
    store = await LocalSecretStore.open(engine, source)
    return _Opened(store, await MasterKeySealer.open(store.keyring))


async def _vault(settings: Settings, stack: AsyncExitStack) -> _Opened:
    from credentials.stores.vault.connection import VaultConnection
    from credentials.stores.vault.options import VaultOptions
    from credentials.stores.vault.store import VaultSecretStore
    from credentials.stores.vault.transit import TransitSealer

    options = VaultOptions(
        address=settings.vault_address,
        auth=_vault_auth(settings),
        mount=settings.vault_mount,
        namespace=settings.vault_namespace,
        ca_file=settings.vault_ca_file,
    )
    connection = await VaultConnection.open(options)
    stack.push_async_callback(connection.close)
    store = await VaultSecretStore.open(connection)
    sealer = await TransitSealer.open(connection, settings.vault_transit_key)
    return _Opened(store, sealer, lambda: store.health().why)


def _vault_auth(settings: Settings) -> "TokenAuth | AppRoleAuth | KubernetesAuth":
    from credentials.stores.vault.options import AppRoleAuth, KubernetesAuth, TokenAuth

    match settings.vault_auth:
        case "approle":
            wrapped = _secret(settings.vault_wrapped_secret_id, None)
            return AppRoleAuth(
                role_id=_text(settings.vault_role_id, settings.vault_role_id_file),
                secret_id=None
                if wrapped
                else _secret(settings.vault_secret_id, settings.vault_secret_id_file),
                wrapped_secret_id=wrapped,
            )
        case "kubernetes":
            return KubernetesAuth(settings.vault_role, settings.vault_jwt_file)
        case _:
            token = _secret(settings.vault_token, settings.vault_token_file)
            if token is None:
                raise InvalidSettings(
                    ["vault_token or vault_token_file: needed by vault_auth token"]
                )
            return TokenAuth(token)


def _secret(value: str, file: Path | None) -> Secret | None:
    text = _text(value, file)
    return Secret(text) if text else None


def _text(value: str, file: Path | None) -> str:
    if value or file is None:
        return value
    try:
        return file.read_text().strip()
    except OSError as error:
        raise InvalidSettings([f"{file}: cannot be read ({error.strerror})"]) from error


def _directory(chosen: Path | None, settings: Settings, name: str) -> Path:
    path = chosen or settings.data_dir / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


_OPENERS: dict[str, Callable[[Settings, AsyncExitStack], Awaitable[_Opened]]] = {
    "local": _local,
    "vault": _vault,
}
