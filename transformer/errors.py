"""What can go wrong when a script reshapes data.

TransformerError
├── EngineUnavailable            the guest artefact is missing or cannot be loaded
└── TransformFailed              the script, its data or its budget; `code` says which
    ├── ScriptSyntaxInvalid      SYNTAX_ERROR
    ├── SourceTooLarge           SOURCE_TOO_LARGE
    ├── TransformFunctionMissing NO_TRANSFORM_FUNCTION
    ├── ScriptThrew              THROWN
    ├── InputNotJson             INPUT_NOT_JSON
    ├── InputTooLarge            INPUT_TOO_LARGE
    ├── OutputNotJson            OUTPUT_NOT_JSON
    ├── OutputTooLarge           OUTPUT_TOO_LARGE
    ├── AsyncUnsettled           ASYNC_UNSETTLED
    ├── SandboxCrashed           ENGINE_ERROR
    └── BudgetExceeded
        ├── TicksExceeded        TICKS_EXCEEDED
        ├── TimeExceeded         TIME_EXCEEDED
        ├── MemoryExceeded       MEMORY_EXCEEDED
        └── StackExceeded        STACK_EXCEEDED
"""

from typing import ClassVar


class TransformerError(Exception):
    """Root of this component's errors. `details` is JSON-able and in camelCase."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class EngineUnavailable(TransformerError):
    """The engine cannot start on this machine as it stands."""


class TransformFailed(TransformerError):
    """One transform could not be carried out.

    Details, where they apply: `code`, `phase` (parse, compile, load, run, serialize), `line`,
    `column`, `codeFrame`, `stack`, `path`, `used`, `allowed`, `limit`, `console`.
    """

    code: ClassVar[str] = "ENGINE_ERROR"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message, code=self.code, **details)


class ScriptSyntaxInvalid(TransformFailed):
    """The source is not JavaScript."""

    code = "SYNTAX_ERROR"


class SourceTooLarge(TransformFailed):
    """The source exceeds its limit in bytes."""

    code = "SOURCE_TOO_LARGE"


class TransformFunctionMissing(TransformFailed):
    """The source defines no function named transform and exports none."""

    code = "NO_TRANSFORM_FUNCTION"


class ScriptThrew(TransformFailed):
    """The script ended in an exception it did not catch."""

    code = "THROWN"


class InputNotJson(TransformFailed):
    """The input or the context is not a JSON text."""

    code = "INPUT_NOT_JSON"


class InputTooLarge(TransformFailed):
    """Input and context together exceed their limit in bytes."""

    code = "INPUT_TOO_LARGE"


class OutputNotJson(TransformFailed):
    """The result, or something inside it, has no JSON form."""

    code = "OUTPUT_NOT_JSON"


class OutputTooLarge(TransformFailed):
    """The result exceeds its limit in bytes."""

    code = "OUTPUT_TOO_LARGE"


class AsyncUnsettled(TransformFailed):
    """An async transform waits for something that can never happen here."""

    code = "ASYNC_UNSETTLED"


class SandboxCrashed(TransformFailed):
    """The sandbox itself failed; it was thrown away."""

    code = "ENGINE_ERROR"


class BudgetExceeded(TransformFailed):
    """The script asked for more than it is allowed."""


class TicksExceeded(BudgetExceeded):
    """The deterministic step budget ran out."""

    code = "TICKS_EXCEEDED"


class TimeExceeded(BudgetExceeded):
    """The wall-clock budget ran out."""

    code = "TIME_EXCEEDED"


class MemoryExceeded(BudgetExceeded):
    """The memory budget ran out."""

    code = "MEMORY_EXCEEDED"


class StackExceeded(BudgetExceeded):
    """Calls or data were nested too deeply."""

    code = "STACK_EXCEEDED"
