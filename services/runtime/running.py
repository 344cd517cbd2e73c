"""The calls that a server works on at a moment."""

import asyncio
from typing import Any

from google.protobuf.message import Message

from services.runtime.call import Call
from services.runtime.channel import require_carried
from services.runtime.dispatch import CallFailed
from services.runtime.errors import ServiceStopping, to_status
from services.runtime.interceptors import Endpoint

# For calls that were cancelled to be answered.
LAST_WORDS_SECONDS = 0.5
_STOPPING = ServiceStopping("The service is being stopped; send the call again.")


class RunningCalls:
    """The calls that a server works on, so that they can be ended with an answer."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = False

    async def answer(self, endpoint: Endpoint, request: Message, call: Call) -> Message:
        """Answer one call; raises `CallFailed`, also when the call is ended by `finish`."""
        task: Any = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            response = await endpoint(request, call)
        except asyncio.CancelledError as cancelled:
            if not self._ended:
                raise
            raise CallFailed(to_status(_STOPPING, call.request_id)) from cancelled
        require_carried(response)
        return response

    async def finish(self, seconds: float) -> None:
        """Wait for all that run; those that take longer are told that they may be sent again."""
        if not await self._done_in(seconds):
            self._ended = True
            for task in self._tasks:
                task.cancel()
            await self._done_in(LAST_WORDS_SECONDS)

    async def _done_in(self, seconds: float) -> bool:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        return not self._tasks
