"""Regenerates the Python beside the contracts: `python -m protos.generate`, or `make protos`.

`-I .` makes the import path of the generated modules equal to their place in the tree
(`protos.integration.v1.json_pb2`), so that nothing has to be rewritten afterwards.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

CONTRACTS = Path("protos/integration/v1")
PLUGINS = ("mypy", "mypy_grpc")


def main() -> int:
    """Run protoc from the project's root; its exit code is ours."""
    sources = sorted(str(path) for path in CONTRACTS.glob("*.proto"))
    services = [path for path in sources if path.endswith("_service.proto")]
    well_known = files("grpc_tools") / "_proto"
    include = ["protoc", "-I.", "-Iprotos/third_party", f"-I{well_known}"]
    beside = Path(sys.executable).parent
    plugins = [f"--plugin=protoc-gen-{name}={beside}/protoc-gen-{name}" for name in PLUGINS]
    messages = ["--python_out=.", "--mypy_out=quiet:.", *sources]
    stubs = ["--grpc_python_out=.", "--mypy_grpc_out=quiet:.", *services]
    return protoc.main([*include, *plugins, *messages]) or protoc.main([*include, *plugins, *stubs])


if __name__ == "__main__":
    sys.exit(main())
