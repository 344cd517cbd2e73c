"""The engines every test of this directory runs over."""

from collections.abc import Iterator

import pytest

from transformer.engines.wasm import WasmEngine, new_engine


@pytest.fixture(scope="session", params=["private bindings", "public interface"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WasmEngine]:
    """One engine per way into wasmtime."""
    cache = tmp_path_factory.mktemp("engine")
    engine = new_engine(cache, private_bindings=request.param == "private bindings")
    yield engine
    engine.close()
