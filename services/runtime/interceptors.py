"""What happens around every rpc, in one order for every door: errors, deadline, identity.

An interceptor that has nothing to do after the call hands the coroutine on as it is: every layer
that awaits costs each call two turns.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from google.protobuf.message import Message

from services.runtime.call import Call, current_call
from services.runtime.dispatch import CallFailed
from services.runtime.errors import OUR_TROUBLE, CallTimedOut, is_ours, kind_of, to_status
from services.runtime.identity import KeyRing, PermissionDenied
from services.runtime.masking import Mask

Answering = Coroutine[Any, Any, Message]
Endpoint = Callable[[Message, Call], Answering]
Interceptor = Callable[[Endpoint], Endpoint]

# The component that does the work knows in which phase time ran out, so it gets to speak first.
DEADLINE_GRACE = 0.1

log = logging.getLogger("integration.calls")


def chain(endpoint: Endpoint, *interceptors: Interceptor) -> Endpoint:
    """Put the interceptors around the endpoint, the first outermost."""
    for interceptor in reversed(interceptors):
        endpoint = interceptor(endpoint)
    return endpoint


def errors(endpoint: Endpoint, mask: Mask = str) -> Endpoint:
    """Turn every error into a masked status; what is not ours is logged and shown as an id only."""

    async def intercepted(request: Message, call: Call) -> Message:
        call.request_id = call.metadata.get("x-request-id") or secrets.token_hex(8)
        try:
            return await endpoint(request, call)
        except CallFailed:
            raise
        except Exception as error:
            raise _failed(error, call, mask) from error

    return intercepted


def _failed(error: Exception, call: Call, mask: Mask) -> CallFailed:
    status = to_status(error, call.request_id, mask)
    facts = {"method": call.method, "request_id": call.request_id, "tenant": call.tenant}
    if not is_ours(error):
        log.error("call broke: %s", status.message, exc_info=error, extra=facts)
    elif isinstance(error, OUR_TROUBLE):
        log.warning("call failed: %s", kind_of(type(error)), exc_info=error, extra=facts)
    else:
        log.info("call failed: %s", kind_of(type(error)), extra=facts)
    return CallFailed(status)


def deadline(endpoint: Endpoint) -> Endpoint:
    """Refuse what is already too late, and stop what does not stop by itself."""

    async def bounded(request: Message, call: Call, ends_at: float) -> Message:
        if ends_at <= asyncio.get_running_loop().time():
            raise CallTimedOut("The deadline passed before the call began.", phase="queue")
        try:
            async with asyncio.timeout_at(ends_at + DEADLINE_GRACE):
                return await endpoint(request, call)
        except TimeoutError as error:
            raise CallTimedOut("The deadline passed.", phase="run") from error

    def intercepted(request: Message, call: Call) -> Answering:
        if call.deadline is None:
            return endpoint(request, call)
        return bounded(request, call, call.deadline)

    return intercepted


def identity(keys: KeyRing, service_only: frozenset[str]) -> Interceptor:
    """Let in who has a key; `service_only` rpcs are for our own services."""

    def intercept(endpoint: Endpoint) -> Endpoint:
        def intercepted(request: Message, call: Call) -> Answering:
            call.caller = keys.authenticate(call.metadata)
            if call.method in service_only and not call.caller.is_service:
                raise PermissionDenied("This method is for the services themselves.")
            # Never reset: a task serves one call, or one after another that each set their own.
            current_call.set(call)
            return endpoint(request, call)

        return intercepted

    return intercept
