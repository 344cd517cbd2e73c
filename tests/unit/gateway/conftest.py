"""Contracts made up for tests, compiled by protoc into the default descriptor pool."""

import itertools
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import (
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from grpc_tools import protoc

from protos.integration.v1 import json_pb2

ROOT = Path(__file__).parents[3]
IMPORTS = [annotations_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, json_pb2]
HEADER = 'syntax = "proto3"; package samples.{name};\n' + "".join(
    f'import "{module.DESCRIPTOR.name}";\n' for module in IMPORTS
)
EVERYTHING = """
enum Colour { NONE = 0; RED = 1; DARK_BLUE = 7; BELOW = -3; }
message Inner {
  string name = 1;
  int32 count = 2;
  Inner next = 3;
  repeated Inner children = 4;
}
message Everything {
  string text = 1;
  bytes blob = 2;
  bool flag = 3;
  double real = 4;
  int32 small = 5;
  int64 big_number = 6;
  uint32 unsigned_small = 7;
  uint64 unsigned_big = 8;
  sint32 zig_small = 9;
  sint64 zig_big = 10;
  fixed32 fixed_small = 11;
  fixed64 fixed_big = 12;
  sfixed32 signed_fixed_small = 13;
  sfixed64 signed_fixed_big = 14;
  Colour colour = 15;
  Inner inner = 16;
  repeated string texts = 17;
  repeated int64 big_numbers = 18;
  repeated Colour colours = 19;
  repeated Inner inners = 20;
  google.protobuf.Timestamp happened_at = 21;
  repeated google.protobuf.Timestamp times = 22;
  optional string nickname = 23;
  optional int32 rank = 24;
  google.protobuf.Empty nothing = 25;
  oneof choice { string left = 26; int32 right = 27; }
  string renamed = 28 [json_name = "otherName"];
}
message Dynamic {
  integration.v1.Json value = 1;
  repeated integration.v1.Json values = 2;
  string name = 3;
}
message Judged {
  integration.v1.Json value = 1;
  bool fine = 2;
  Dynamic inner = 3;
}
"""
_numbers = itertools.count()


@pytest.fixture(scope="session")
def compile_contract(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FileDescriptor]:
    """Compiles the text of a contract, below the usual imports, in a package of its own."""

    def compiled(text: str) -> FileDescriptor:
        name = f"n{next(_numbers)}"
        folder = tmp_path_factory.mktemp("contract")
        (folder / f"{name}.proto").write_text(HEADER.format(name=name) + text)
        output = folder / "set.bin"
        arguments = [
            "protoc",
            f"-I{folder}",
            f"-I{ROOT}",
            f"-I{ROOT / 'protos/third_party'}",
            f"-I{files('grpc_tools') / '_proto'}",
            f"--descriptor_set_out={output}",
            f"{name}.proto",
        ]
        assert protoc.main(arguments) == 0
        (proto,) = FileDescriptorSet.FromString(output.read_bytes()).file
        pool = descriptor_pool.Default()
        pool.AddSerializedFile(proto.SerializeToString())
        return pool.FindFileByName(f"{name}.proto")

    return compiled


@pytest.fixture(scope="session")
def everything(compile_contract: Callable[[str], FileDescriptor]) -> FileDescriptor:
    """A contract with every kind of field."""
    return compile_contract(EVERYTHING)


@pytest.fixture(scope="session")
def make(everything: FileDescriptor) -> Callable[..., Message]:
    """Makes a message of the contract with every kind of field."""

    def made(name: str, /, **fields: Any) -> Message:
        return message_factory.GetMessageClass(everything.message_types_by_name[name])(**fields)

    return made


@pytest.fixture(scope="session")
def service(compile_contract: Callable[[str], FileDescriptor]) -> Callable[..., Sequence[Any]]:
    """Makes a service `S` out of the bodies of its rpcs and the messages they use."""

    def made(rpcs: str, messages: str = "message M { string id = 1; M inner = 2; }") -> Any:
        contract = compile_contract(f"{messages}\nservice S {{ {rpcs} }}")
        return [contract.services_by_name["S"]]

    return made
