"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be written anew, for a human to read the difference."""
    parser.addoption("--regenerate", action="store_true", help="rewrite the golden files")
