"""README.md's commands, pasted into a shell beside a running service."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from examples.crm import Crm
from tests.journeys.houses import House

README = Path("README.md").read_text()
BY_HAND = README.split("## By hand")[1].split("\n## ")[0]


def blocks(language: str) -> list[str]:
    """Answer the code blocks of the part that is to be pasted."""
    return re.findall(rf"```{language}\n(.*?)```", BY_HAND, re.DOTALL)


def shown(text: str) -> str:
    """Answer a pattern of an answer as shown, where an ellipsis stands for anything."""
    return re.escape(text.strip()).replace("…", ".*")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
async def test_by_hand(houses: dict[str, House], crm: tuple[Crm, str]) -> None:
    """Every command works when pasted, and answers what is shown below it."""
    house = houses["one"]
    serve, upstream, *steps = blocks("sh")
    assert serve.endswith("make serve\n")
    assert upstream.endswith("examples.crm --port 9001\n")
    script = "".join(steps)
    for written, here in (
        ("http://127.0.0.1:8080", house.rest),
        ("http://127.0.0.1:9001", crm[1]),
        ("127.0.0.1:50051", f"127.0.0.1:{house.in_process.grpc_port}"),
        ("data/admin-key", str(house.data_dir / "admin-key")),
    ):
        assert written in script
        script = script.replace(written, here)

    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-euc",
        script,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await shell.communicate())[0].decode()

    assert shell.returncode == 0, output
    answers = output.replace(crm[1], "http://127.0.0.1:9001").splitlines()
    for answer in blocks("json"):
        assert any(re.fullmatch(shown(answer), line) for line in answers), (answer, output)
    assert len(crm[0].received) >= 2
    assert answers[-1] == "{}"
