"""Turns what the guest reports into this component's errors."""

import wasmtime

from transformer import errors, frames
from transformer.engines.guest_io import PHASES, ErrorText, Reply, Status
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


def failure(
    script: Script, status: int, reply: Reply, text: ErrorText, limits: Limits, console: tuple[ConsoleLine, ...]
) -> errors.TransformFailed:
    """The error for a run that the guest itself ended."""
    details = _where(script, text.stack) | _what(status, reply, limits)
    details["phase"] = PHASES[reply.phase]
    if console:
        details["console"] = [{"level": line.level, "text": line.text} for line in console]
    if text.path:
        details["path"] = text.path
    cls = _CLASSES.get(status, errors.SandboxCrashed)
    return cls(_message(script, status, text, reply, limits, details), **details)


def _where(script: Script, stack: str) -> dict[str, object]:
    place = frames.place_in(stack)
    if place is None:
        return {}
    return {
        "line": place.line,
        "column": place.column,
        "codeFrame": frames.code_frame(script, place),
        "stack": frames.renamed(stack, script),
    }


def _what(status: int, reply: Reply, limits: Limits) -> dict[str, object]:
    match status:
        case Status.TICKS_EXCEEDED:
            return {"limit": "ticks", "used": reply.ticks, "allowed": limits.ticks}
        case Status.MEMORY_EXCEEDED:
            return {"limit": "memoryBytes", "used": reply.memory_peak, "allowed": limits.memory_bytes}
        case Status.OUTPUT_TOO_LARGE:
            return {"limit": "outputBytes", "used": reply.output_bytes, "allowed": limits.output_bytes}
        case _:
            return {}


def _message(
    script: Script, status: int, text: ErrorText, reply: Reply, limits: Limits, details: dict[str, object]
) -> str:
    at = f"{script.name}:{details['line']}:{details['column']}" if "line" in details else script.name
    thrown = f"{text.name}: {text.message}" if text.name else text.message
    place = "at the top level" if PHASES[reply.phase] == "load" else "in transform"
    match status:
        case Status.SYNTAX_ERROR:
            return f"{at} is not valid JavaScript: {text.message}"
        case Status.NO_TRANSFORM_FUNCTION:
            return (
                f"{script.name} defines no function to call: "
                "write `function transform(input, context) { … }` or export one"
            )
        case Status.THROWN:
            return f"{thrown} ({at}, {place})"
        case Status.INPUT_NOT_JSON:
            return f"the input is not JSON: {text.message}"
        case Status.OUTPUT_NOT_JSON:
            return _output_message(script, text)
        case Status.OUTPUT_TOO_LARGE:
            return f"the result of {script.name} has {reply.output_bytes} bytes, {limits.output_bytes} are allowed"
        case Status.TICKS_EXCEEDED:
            return f"{at} ran for more than {limits.ticks} ticks: look for a loop that does not end"
        case Status.MEMORY_EXCEEDED | Status.STACK_EXCEEDED if PHASES[reply.phase] == "parse":
            return "the input is too large to read" if status == Status.MEMORY_EXCEEDED else "the input nests too deeply"
        case Status.MEMORY_EXCEEDED:
            return f"{at} needed more than {limits.memory_bytes} bytes of memory"
        case Status.STACK_EXCEEDED:
            return f"{at} nests too deeply: look for a recursion that does not end"
        case Status.ASYNC_UNSETTLED:
            return f"{script.name}: {text.message}"
        case _:
            return f"the sandbox failed while it ran {script.name}: {thrown}"


def _output_message(script: Script, text: ErrorText) -> str:
    if text.path == "$" and text.name in ("undefined", "function", "symbol"):
        return f"{script.name} returned {text.name}, which is not JSON: return an object, array, string, number or null"
    where = f" at {text.path}" if text.path else ""
    hint = {
        "a Map has no JSON form": ": use Object.fromEntries(map)",
        "a Set has no JSON form": ": use [...set]",
        "a BigInt has no JSON form": ": use Number(value) or String(value)",
        "a Promise has no JSON form": ": await it first",
    }.get(text.message, "")
    return f"the result of {script.name} is not JSON{where}: {text.message}{hint}"


def trapped(
    script: Script, trap: GuestTrapped, reply: Reply, limits: Limits, console: tuple[ConsoleLine, ...]
) -> errors.TransformFailed:
    """The error for a run that was stopped from outside."""
    details: dict[str, object] = {"phase": PHASES[reply.phase]}
    if console:
        details["console"] = [{"level": line.level, "text": line.text} for line in console]
    if trap.code is wasmtime.TrapCode.INTERRUPT:
        return errors.TimeExceeded(
            f"{script.name} ran for more than {limits.time_ms} ms",
            limit="timeMs", allowed=limits.time_ms, **details,
        )
    if trap.code is wasmtime.TrapCode.STACK_OVERFLOW:
        return errors.StackExceeded(f"{script.name} nests too deeply: look for a recursion that does not end", **details)
    return errors.SandboxCrashed(f"the sandbox failed while it ran {script.name}: {trap}", **details)
