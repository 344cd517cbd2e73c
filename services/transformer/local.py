"""The transformer of this process, as the executor and the registry want it."""

from collections.abc import Callable
from datetime import datetime

from registry.model import Problem
from services.transformer import wire
from transformer.model import Call, Script
from transformer.transform import Transformer


class LocalTransforms:
    """The executor's `Transforms` and the registry's `ScriptChecker` over local objects."""

    def __init__(self, transformer: Transformer, clock: Callable[[], datetime]) -> None:
        self._transformer = transformer
        self._clock = clock
        self._scripts: dict[str, Script] = {}

    async def transform(self, source: str, input: bytes, context: bytes, seed: int) -> bytes:  # noqa: A002 - the contract's word
        """Answer the JSON text that the script makes of `input`; raises `TransformFailed`."""
        now_ms = int(self._clock().timestamp() * 1000)
        call = Call(input=input, context=context, now_ms=now_ms, seed=seed)
        script = self._scripts.get(source) or self._remembered(source)
        outcome = await self._transformer.transform(script, call)
        return outcome.output

    async def check(self, source: str) -> tuple[Problem, ...]:
        """Answer what is wrong with a script."""
        diagnostics = await self._transformer.check(Script(source))
        return tuple(wire.registry_problem(found) for found in diagnostics.problems)

    def _remembered(self, source: str) -> Script:
        # A definition's scripts come again with every call: hash each text once.
        if len(self._scripts) >= MAX_SCRIPTS:
            self._scripts.clear()
        script = self._scripts[source] = Script(source)
        return script


MAX_SCRIPTS = 10_000
