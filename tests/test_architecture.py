"""The architecture, as tests that fail."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("registry", "credentials", "transformer", "executor", "services")
LONGEST_FILE = 300
LONGEST_FUNCTION = 60
MOST_ARGUMENTS = 5


def sources() -> Iterator[Path]:
    """Answer every module of the product."""
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Answer every function of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_imports_point_inward() -> None:
    """The import rule of the house holds, as pyproject.toml writes it."""
    # A process of its own: the linter switches off every logger of the one it runs in.
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [linter, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_process_loads_the_libraries_of_its_own_parts_only() -> None:
    """What a single part or an adapter needs is not there before that part is assembled."""
    code = "import sys, services.process; print(*(set(sys.argv) & set(sys.modules)))"
    heavy = ("sqlalchemy", "alembic", "aiohttp", "wasmtime", "cryptography", "yaml")
    command = [sys.executable, "-c", code, *heavy]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not done.stdout.split()


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    """No file and no function is longer than one can hold in mind."""
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for function in functions(path):
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= LONGEST_FUNCTION, function.name


def test_components_serve_nothing() -> None:
    """Only services open doors: a component may call over HTTP, never serve it."""
    components = [path for path in sources() if path.relative_to(ROOT).parts[0] != "services"]
    assert not [path for path in components if "aiohttp.web" in path.read_text()]


def test_only_settings_read_the_environment() -> None:
    """The environment is read in one place; the guest's builder hands it on to a compiler."""
    readers = [path for path in sources() if "os.environ" in path.read_text()]
    assert {str(path.relative_to(ROOT)) for path in readers} == {
        "services/settings.py",
        "transformer/guest/build.py",
    }
