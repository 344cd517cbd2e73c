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

from examples.crm import Crm
from services.settings import PREFIX, Settings, parse
from services.wiring import NEEDS
from tests.journeys import scenarios
from tests.journeys.containers import (
    COMPOSE,
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
async def test_stop(containers: Containers, door: RestDoor) -> None:
    """Every container ends within seconds of SIGTERM, with exit code 0, and left only its data."""
    await door.register(scenarios.definition("crm"))

    assert await containers.stop() == dict.fromkeys(PARTS, 0)

    keys = containers.volume("keys")
    assert {path.name for path in keys.iterdir()} == {"admin-key", "service-key"}
    assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {0o600}
    assert (containers.volume("credentials-data") / "master-key").exists()
    for name in ("transformer", "executor", "gateway"):
        assert list(containers.volume(f"{name}:data").iterdir()) == []
    for key in keys.iterdir():
        for name in SERVICES:
            assert key.read_text().strip() not in containers.log(name)


def test_each_part_is_there_once() -> None:
    """Every part of the service has one container of its own, under its own name."""
    assert {name: [name] for name in NEEDS} == PARTS


@pytest.mark.parametrize("name", PARTS)
def test_addresses(name: str) -> None:
    """A part is told the address of each part it calls, of no other, and they are listening."""
    given = {
        key.removeprefix(PREFIX).removesuffix("_ADDRESS").lower(): value
        for key, value in environment(name).items()
        if key.endswith("_ADDRESS")
    }

    assert set(given) == NEEDS[name]
    for other, address in given.items():
        listening = environment(other)["INTEGRATION_GRPC"]
        assert address == listening.replace("0.0.0.0", other)  # noqa: S104 - as above
        assert set(SERVICES[name]["networks"]) & set(SERVICES[other]["networks"])


@pytest.mark.parametrize("name", SERVICES)
def test_settings(name: str) -> None:
    """Every variable is a setting, none holds a secret, and none opens private networks."""
    settings = parse(environment(name), {}, {})

    secrets = [spec.name for spec in dataclasses.fields(Settings) if spec.metadata["secret"]]
    assert not any(getattr(settings, secret) for secret in secrets)
    assert settings.egress_allow == ()
    assert "is_live_" not in json.dumps(SERVICES[name])


@pytest.mark.parametrize("name", SERVICES)
def test_confinement(name: str) -> None:
    """Every container runs our one image, with nothing to write to but its mounts."""
    service = SERVICES[name]

    assert service["image"] == COMPOSE["name"]
    assert service["pull_policy"] == "never"
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    targets = dict(mounts(name))
    assert all(path in targets for path in image_volumes())
    if name in PARTS:
        assert "keys:/keys:ro" in service["volumes"]


def test_volumes() -> None:
    """Every volume is declared and used, and data is never shared."""
    used = [volume.split(":")[0] for s in SERVICES.values() for volume in s.get("volumes", [])]

    assert set(used) == set(COMPOSE["volumes"])
    assert all(used.count(volume) == 1 for volume in used if volume != "keys")


def test_build() -> None:
    """The image is built once, by what every other container waits for."""
    built = {name: service["build"] for name, service in SERVICES.items() if "build" in service}

    assert built == {"keys": "."}
    done = {"condition": "service_completed_successfully"}
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
