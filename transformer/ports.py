"""What the transformer needs of an engine."""

from typing import Protocol

from transformer.model import Call, Compiled, Limits, Outcome, Script


class Engine(Protocol):
    """Runs scripts.

    Every method blocks the calling thread and may be called from any thread, from several at a
    time; `close` once, after the last of them has returned.
    """

    def compile(self, script: Script, limits: Limits) -> Compiled:
        """Turn a source into bytecode without running any of it.

        Raises `SourceTooLarge`, `ScriptSyntaxInvalid`, `StackExceeded`, `TimeExceeded`.
        """

    def inspect(self, compiled: Compiled, limits: Limits) -> str:
        """Run the script's top level and name the function a call would enter.

        Raises `TransformFunctionMissing`, `ScriptThrew`, `AsyncUnsettled`, `BudgetExceeded`.
        """

    def run(self, compiled: Compiled, call: Call, limits: Limits) -> Outcome:
        """Call the script's transform in a sandbox that has seen nothing else.

        Raises a `TransformFailed`.
        """

    def close(self) -> None:
        """Free what the engine holds."""
