"""What has to be set up in the Vault before we start.

Check-and-set is ignored without a word by a key-value mount of version 1
(hashicorp/vault issue 19368), and one that does not require it lets anybody overwrite a rotated
token: so both are looked at, and nothing is written before.
"""

from collections.abc import Mapping
from typing import Any, Final

from credentials.errors import StoreForbidden, StoreUnfit
from credentials.stores.vault.answers import Answered
from credentials.stores.vault.connection import VaultConnection

_SOME_RECORD: Final = "tenant/i/instance/config"
_VERSION: Final = "2"


async def check_fitness(vault: VaultConnection) -> None:
    """Raise `StoreUnfit` unless the mount and our policy are as they must be."""
    await _check_version(vault)
    await _check_cas(vault)
    await _check_policy(vault)


async def _check_version(vault: VaultConnection) -> None:
    mount = vault.options.mount
    path = f"sys/internal/ui/mounts/{mount}"
    try:
        answer = await vault.call(lambda: vault.wire.get(f"/v1/{path}"), path)
    except (StoreForbidden, Answered) as error:
        raise _unfit(f"there is no mount {mount}, or our policy allows nothing in it") from error
    data = answer["data"]
    version = (data.get("options") or {}).get("version")
    if data.get("type") != "kv" or version != _VERSION:
        found = f"{data.get('type')} of version {version or 1}"
        raise _unfit(
            f"the mount {mount} is {found}, and must be kv of version {_VERSION}: any other "
            "ignores check-and-set, and rotated tokens would be lost"
        )


async def _check_cas(vault: VaultConnection) -> None:
    mount = vault.options.mount
    path = f"{mount}/config"
    try:
        answer = await vault.call(lambda: vault.kv.read_configuration(mount_point=mount), path)
    except (StoreForbidden, Answered) as error:
        raise _unfit(f"our policy must allow to read {path}") from error
    if answer["data"].get("cas_required") is not True:
        raise _unfit(
            f"the mount {mount} does not require check-and-set; set it with "
            f"`bao write {path} cas_required=true`"
        )


async def _check_policy(vault: VaultConnection) -> None:
    needed = _needed(vault.options.mount, vault.options.prefix)
    path = "sys/capabilities-self"
    body = {"paths": list(needed)}
    try:
        answer = await vault.call(lambda: vault.wire.post(f"/v1/{path}", json=body), path)
    except (StoreForbidden, Answered) as error:
        raise _unfit(f"our policy must allow to update {path}") from error
    missing = [each for each, wanted in needed.items() if _lacks(answer, each, wanted)]
    if missing:
        lines = "; ".join(f"{', '.join(sorted(needed[each]))} on {each}" for each in missing)
        raise _unfit(f"our policy must allow {lines}")


def _needed(mount: str, prefix: str) -> Mapping[str, frozenset[str]]:
    return {
        f"{mount}/data/{prefix}/{_SOME_RECORD}": frozenset({"create", "read", "update"}),
        f"{mount}/metadata/{prefix}/{_SOME_RECORD}": frozenset({"read"}),
        f"{mount}/destroy/{prefix}/{_SOME_RECORD}": frozenset({"update"}),
        "auth/token/lookup-self": frozenset({"read"}),
    }


def _lacks(answer: Mapping[str, Any], path: str, wanted: frozenset[str]) -> bool:
    allowed = frozenset(answer["data"].get(path) or ())
    return "root" not in allowed and not wanted <= allowed


def _unfit(problem: str) -> StoreUnfit:
    return StoreUnfit(
        f"The Vault is not set up for credentials: {problem} (docs/vault.md)", problem=problem
    )
