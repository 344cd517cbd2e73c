"""Running scripts in tests, and looking into an engine's memory."""

import json
from collections.abc import Callable

import pytest

from transformer.engines.sandbox import Sandbox
from transformer.engines.wasm import WasmEngine
from transformer.errors import TransformFailed
from transformer.model import Call, Limits, Outcome, Script

CONTACT = {
    "firstName": "Jane",
    "lastName": "Smith",
    "email": "jane.smith@example.com",
    "phone": "+1-555-123-4567",
    "company": "Acme Inc.",
    "title": "Product Manager",
}
REQUEST_TRANSFORM = """
        // Transform from our standard format to the CRM's format
        function transform(input) {
          return {
            contact: {
              first_name: input.firstName,
              last_name: input.lastName,
              email_address: input.email,
              phone_number: input.phone || null,
              organization: input.company || null,
              job_title: input.title || null,
              custom_fields: {
                source: "integration_service"
              }
            }
          };
        }
      """
RESPONSE_TRANSFORM = """
        // Transform from the CRM's response format to our standard format
        function transform(input) {
          return {
            id: input.contact_id,
            fullName: input.contact.first_name + " " + input.contact.last_name,
            email: input.contact.email_address,
            createdAt: input.created_at
          };
        }
      """
SHORT = Limits(time_ms=200, ticks=2_000_000, memory_bytes=8 * 1024 * 1024)


def run(
    engine: WasmEngine,
    source: str,
    value: object = None,
    limits: Limits | None = None,
    **call: object,
) -> Outcome:
    """Compile and run a script on a JSON value or on raw bytes."""
    allowed = limits or Limits(time_ms=5_000)
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    arguments = {"context": b"{}", "now_ms": 0, "seed": 1, **call}
    compiled = engine.compile(Script(source), allowed)
    return engine.run(compiled, Call(text, **arguments), allowed)


def result(engine: WasmEngine, source: str, value: object = None, **call: object) -> object:
    """What the script returns, as a Python value."""
    return json.loads(run(engine, source, value, **call).output)


def failure(
    engine: WasmEngine, source: str, value: object = None, limits: Limits | None = None
) -> TransformFailed:
    """The error a script ends in; the engine must work as before after it."""
    with pytest.raises(TransformFailed) as caught:
        run(engine, source, value, limits)
    assert result(engine, "function transform(input) { return input + 1 }", 41) == 42
    return caught.value


def each_idle(engine: WasmEngine, look: Callable[[Sandbox], object]) -> list[object]:
    """Apply a function to every sandbox that waits in the engine's pool."""
    waiting = engine._pool._idle.values()  # noqa: SLF001 - memory is what is tested here
    return [look(sandbox) for sandboxes in waiting for sandbox in sandboxes]


def idle_memories(engine: WasmEngine) -> list[bytes]:
    """The whole linear memory of every idle sandbox."""
    return each_idle(engine, lambda sandbox: sandbox.read(0, sandbox.size()))


def sandboxes_equal_their_images(engine: WasmEngine) -> bool:
    """Whether every idle sandbox's memory is, byte for byte, the image it is reset to."""

    def same(sandbox: Sandbox) -> bool:
        now = sandbox.read(0, sandbox.size())
        sandbox.write(0, b"\xa5" * sandbox.size())
        sandbox.restore(sandbox.image)
        return bool(now == sandbox.read(0, sandbox.size()))

    checked = each_idle(engine, same)
    return bool(checked) and all(checked)
