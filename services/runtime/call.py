"""One incoming call, as interceptors and servicers see it, whatever door it came through."""

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, proven by a key: the tenant that everything belongs to, or one of our services."""

    tenant: str
    subject: str
    is_service: bool = False


NOBODY = Caller(tenant="", subject="nobody")


@dataclass(slots=True)
class Call:
    """One rpc on its way.

    `deadline` is in the event loop's time, None when nobody waits. `caller` is `NOBODY` until the
    identity interceptor has seen the key.
    """

    method: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    deadline: float | None = None
    request_id: str = ""
    caller: Caller = NOBODY

    @property
    def tenant(self) -> str:
        """Whose data this call is about."""
        return self.caller.tenant

    def remaining(self) -> float | None:
        """Seconds until the deadline; negative once it has passed."""
        if self.deadline is None:
            return None
        return self.deadline - asyncio.get_running_loop().time()


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
