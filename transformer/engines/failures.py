"""Turns what the guest reports into this component's errors."""

from collections.abc import Callable, Iterable

import wasmtime

from transformer import errors, frames
from transformer.engines.guest_io import PHASES, Failure, Status
from transformer.engines.sandbox import GuestTrapped
from transformer.model import ConsoleLine, Limits, Script

_CLASSES: dict[int, type[errors.TransformFailed]] = {
    Status.SYNTAX_ERROR: errors.ScriptSyntaxInvalid,
    Status.NO_TRANSFORM_FUNCTION: errors.TransformFunctionMissing,
    Status.THROWN: errors.ScriptThrew,
    Status.INPUT_NOT_JSON: errors.InputNotJson,
    Status.OUTPUT_NOT_JSON: errors.OutputNotJson,
    Status.OUTPUT_TOO_LARGE: errors.OutputTooLarge,
    Status.TICKS_EXCEEDED: errors.TicksExceeded,
    Status.MEMORY_EXCEEDED: errors.MemoryExceeded,
    Status.STACK_EXCEEDED: errors.StackExceeded,
    Status.ASYNC_UNSETTLED: errors.AsyncUnsettled,
}
_TOO_DEEP = "nests too deeply: look for a recursion that does not end"
_HINTS = {
    "a Map has no JSON form": ": use Object.fromEntries(map)",
    "a Set has no JSON form": ": use [...set]",
    "a BigInt has no JSON form": ": use Number(value) or String(value)",
    "a Promise has no JSON form": ": await it first",
}


def reported(script: Script, failure: Failure, limits: Limits) -> errors.TransformFailed:
    """The error for a run that the guest itself ended."""
    details = {
        "phase": PHASES[failure.reply.phase],
        **_place_details(script, failure.stack),
        **_excess_details(failure, limits),
        **_console_details(failure.console),
    }
    if failure.path:
        details["path"] = failure.path
    describe = _DESCRIPTIONS.get(failure.status, _crashed)
    if details["phase"] == "parse":
        describe = _input_unreadable
    message = describe(_position(script, failure), failure, limits)
    return _CLASSES.get(failure.status, errors.SandboxCrashed)(message, **details)


def trapped(
    script: Script, trap: GuestTrapped, phase: int, console: tuple[ConsoleLine, ...], limits: Limits
) -> errors.TransformFailed:
    """The error for a run that was stopped from outside."""
    details = {"phase": PHASES[phase], **_console_details(console)}
    if trap.code is wasmtime.TrapCode.INTERRUPT:
        return errors.TimeExceeded(
            f"{script.name} ran for more than {limits.time_ms} ms",
            **details,
            limit="timeMs",
            allowed=limits.time_ms,
        )
    if trap.code is wasmtime.TrapCode.STACK_OVERFLOW:
        return errors.StackExceeded(f"{script.name} {_TOO_DEEP}", **details)
    cause = str(trap).strip().splitlines()[-1]
    return errors.SandboxCrashed(
        f"the sandbox failed while it ran {script.name}: {cause}", **details
    )


def excess(limit: str, used: int, allowed: int, phase: str) -> dict[str, object]:
    """The details of something that is larger than it may be."""
    return {"limit": limit, "used": used, "allowed": allowed, "phase": phase}


def _place_details(script: Script, stack: str) -> dict[str, object]:
    place = frames.place_in(stack)
    if place is None:
        return {}
    return {
        "line": place.line,
        "column": place.column,
        "codeFrame": frames.code_frame(script, place),
        "stack": frames.renamed(stack, script),
    }


def _excess_details(failure: Failure, limits: Limits) -> dict[str, object]:
    reply = failure.reply
    excess = {
        Status.TICKS_EXCEEDED: ("ticks", reply.ticks, limits.ticks),
        Status.MEMORY_EXCEEDED: ("memoryBytes", reply.memory_peak, limits.memory_bytes),
        Status.OUTPUT_TOO_LARGE: ("outputBytes", reply.output_bytes, limits.output_bytes),
    }
    if failure.status not in excess:
        return {}
    return dict(zip(("limit", "used", "allowed"), excess[Status(failure.status)], strict=True))


def _console_details(console: Iterable[ConsoleLine]) -> dict[str, object]:
    lines = [{"level": line.level, "text": line.text} for line in console]
    return {"console": lines} if lines else {}


def _position(script: Script, failure: Failure) -> str:
    place = frames.place_in(failure.stack)
    return f"{script.name}:{place.line}:{place.column}" if place else script.name


def _thrown(at: str, failure: Failure, _: Limits) -> str:
    where = "at the top level" if PHASES[failure.reply.phase] == "load" else "in transform"
    what = f"{failure.name}: {failure.message}" if failure.name else failure.message
    return f"{what} ({at}, {where})"


def _crashed(at: str, failure: Failure, _: Limits) -> str:
    return f"the sandbox failed while it ran {at}: {failure.name} {failure.message}"


def _input_unreadable(_: str, failure: Failure, __: Limits) -> str:
    reasons: dict[int, str] = {
        Status.MEMORY_EXCEEDED: "the input is too large to read",
        Status.STACK_EXCEEDED: "the input nests too deeply to read",
    }
    return reasons.get(failure.status, f"the {failure.path} is not JSON: {failure.message}")


def _output_not_json(at: str, failure: Failure, _: Limits) -> str:
    if failure.path == "$" and failure.name in ("undefined", "function", "symbol"):
        return (
            f"{at} returned {failure.name}, which is not JSON: "
            "return an object, an array, a string, a number, a boolean or null"
        )
    where = f" at {failure.path}" if failure.path else ""
    hint = _HINTS.get(failure.message, "")
    return f"the result of {at} is not JSON{where}: {failure.message}{hint}"


_DESCRIPTIONS: dict[int, Callable[[str, Failure, Limits], str]] = {
    Status.SYNTAX_ERROR: lambda at, failure, _: f"{at} is not valid JavaScript: {failure.message}",
    Status.NO_TRANSFORM_FUNCTION: lambda at, _, __: (
        f"{at} defines no function to call: "
        "write `function transform(input, context) { … }` or export one"
    ),
    Status.THROWN: _thrown,
    Status.OUTPUT_NOT_JSON: _output_not_json,
    Status.OUTPUT_TOO_LARGE: lambda at, failure, limits: (
        f"the result of {at} has {failure.reply.output_bytes} bytes, "
        f"{limits.output_bytes} are allowed"
    ),
    Status.TICKS_EXCEEDED: lambda at, _, limits: (
        f"{at} ran for more than {limits.ticks} ticks: look for a loop that does not end"
    ),
    Status.MEMORY_EXCEEDED: lambda at, _, limits: (
        f"{at} needed more than {limits.memory_bytes} bytes of memory"
    ),
    Status.STACK_EXCEEDED: lambda at, _, __: f"{at} {_TOO_DEEP}",
    Status.ASYNC_UNSETTLED: lambda at, failure, _: f"{at}: {failure.message}",
}
