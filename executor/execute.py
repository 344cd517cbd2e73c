"""One call, end to end: the only place where its steps stand in their order."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from math import inf
from time import monotonic

from msgspec import Struct

from credentials.model import Authorization, AuthScheme, OutgoingRequest
from executor.arguments import Arguments, prepare, too_large
from executor.endpoint import Endpoint, Endpoints
from executor.errors import DeadlinePassed, InstanceChanging, ResultMismatch
from executor.model import Execution, ExecutorLimits, HttpRequest, HttpResponse, MethodCall
from executor.plan import Plan
from executor.ports import Authorizer, RefreshableDirectory, Sender, Transforms
from executor.request import authorized, bind
from executor.response import Shown, facts, judge, read, refuses
from registry.model import Problem

NOTHING_SHOWN: Shown = ()
NO_CONTEXT = b"{}"
CHANGE_MS = 200


def own_name() -> str:
    """Answer what we call ourselves towards upstreams."""
    try:
        return f"integration-service/{version('integration-service')}"
    except PackageNotFoundError:
        return "integration-service"


def random_seeds() -> Callable[[], int]:
    """Answer a source of 32 random bits each, for scripts: no secret depends on them."""
    return partial(random.Random().getrandbits, 32)  # noqa: S311


class _Progress(Struct):
    """Where a call is in its time. `started` and `ends_at` are monotonic seconds.

    `asked` are the seconds that the caller gives, infinitely many when it set no deadline.
    `renewed` says that a refused authorization was asked for again, which is done once per call.
    """

    asked: float
    started: float
    ends_at: float
    phase: str = "resolve"
    renewed: bool = False

    def passed(self) -> DeadlinePassed:
        allowed = round((self.ends_at - self.started) * 1000)
        return DeadlinePassed(
            f"the deadline of {allowed} ms passed in the phase {self.phase}",
            phase=self.phase,
            timeoutMs=allowed,
        )

    def enter(self, phase: str) -> float:
        """Begin a phase and answer the seconds left; raises `DeadlinePassed` when none are.

        The timer cannot see what passes without the event loop having its turn: a script, say.
        """
        self.phase = phase
        left = self.ends_at - monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def bound(self, seconds: float, timer: asyncio.Timeout) -> None:
        """Let the method's own limit take the place of the default; raises as `enter` does."""
        self.ends_at = self.started + min(self.asked, seconds)
        left = self.enter("resolve")
        timer.reschedule(asyncio.get_running_loop().time() + left)


class _Run(Struct, frozen=True):
    """A call whose plan is known and whose parameters are good."""

    call: MethodCall
    progress: _Progress
    endpoint: Endpoint
    arguments: Arguments
    seed: int


@dataclass(slots=True, eq=False, repr=False)
class Executor:
    """Executes methods of instances.

    `clock` answers the time in UTC; `seeds` one number per call, which makes the randomness of its
    scripts repeatable; `user_agent` is what upstreams see.
    """

    directory: RefreshableDirectory
    authorizer: Authorizer
    transforms: Transforms
    sender: Sender
    limits: ExecutorLimits
    clock: Callable[[], datetime]
    seeds: Callable[[], int] = field(default_factory=random_seeds)
    user_agent: str = field(default_factory=own_name)
    _endpoints: Endpoints = field(init=False)

    def __post_init__(self) -> None:
        self._endpoints = Endpoints(self.limits, self.user_agent)

    async def execute(self, call: MethodCall) -> Execution:
        """Call the method once and answer its result.

        Raises the errors of `executor.errors`, and those of the ports as they are. The deadline is
        the caller's or the method's (else the service's default), whichever is earlier; it bounds
        everything, and cancelling the call closes the connection to the upstream.
        """
        asked = inf if call.timeout is None else call.timeout
        seconds = min(asked, self.limits.default_timeout)
        started = monotonic()
        progress = _Progress(asked, started, started + seconds)
        if seconds <= 0:
            raise progress.passed()
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                try:
                    return await self._steps(call, progress, timer)
                except InstanceChanging:
                    # Mostly what was remembered is old. From the start: the host may be another.
                    return await self._steps(call, progress, timer, fresh=True)
        except DeadlinePassed:
            # Whoever noticed: only here it is known what was allowed in all.
            raise progress.passed() from None
        except TimeoutError:
            if not timer.expired():
                raise
            raise progress.passed() from None

    async def _steps(
        self,
        call: MethodCall,
        progress: _Progress,
        timer: asyncio.Timeout,
        *,
        fresh: bool = False,
    ) -> Execution:
        target = await self.directory.resolve(call.tenant, call.instance_id, fresh=fresh)
        endpoint = self._endpoints.of(target, call.method)
        plan = endpoint.plan
        if plan.timeout is not None:
            progress.bound(plan.timeout, timer)
        progress.phase = "validate"
        arguments = prepare(plan, call, self.limits.max_request_bytes)
        run = _Run(call, progress, endpoint, arguments, self.seeds())
        request, shown = await self._bind(run), NOTHING_SHOWN
        if plan.scheme is None:
            response = await self.sender.send(request, progress.enter("send"))
        else:
            response, shown = await self._exchange(run, plan.scheme, request)
        judge(response, shown, self.clock)
        data, value = read(response, shown)
        check, script = plan.result, plan.response
        if script is None:
            problems = check.problems(value) if check else ()
        else:
            progress.phase = "responseTransform"
            context = _context(run, response) if script.takes_context else NO_CONTEXT
            data = await self.transforms.transform(script.source, data, context, run.seed ^ 1)
            problems = check.problems_in(data) if check else ()
        if problems and plan.strict:
            raise _mismatch(plan, problems)
        return Execution(data, problems)

    async def _exchange(
        self, run: _Run, scheme: AuthScheme, request: HttpRequest
    ) -> tuple[HttpResponse, Shown]:
        """Send the request with its authorization, and once more with a newer one if it is refused.

        What was refused was not done, so it may be sent again whatever its verb.
        """
        first = await self._authorize(run, scheme, request)
        response = await self._send(run, request, first)
        if not first.generation or run.progress.renewed or not refuses(response):
            return response, (first,)
        run.progress.renewed = True
        second = await self._authorize(run, scheme, request, first.generation)
        if second.generation == first.generation:
            return response, (first,)
        return await self._send(run, request, second), (first, second)

    async def _authorize(
        self, run: _Run, scheme: AuthScheme, request: HttpRequest, refused: int = 0
    ) -> Authorization:
        run.progress.phase = "authorize"
        headers, body = (request.headers, request.body or b"") if scheme.signs else ((), b"")
        authorization = await self.authorizer.authorize(
            run.call.tenant,
            run.call.instance_id,
            scheme,
            OutgoingRequest(request.method, request.url, headers, body, refused),
            run.endpoint.target.instance.credentials_version,
        )
        if authorization is None:
            raise _changing()
        return authorization

    async def _send(
        self, run: _Run, request: HttpRequest, authorization: Authorization
    ) -> HttpResponse:
        return await self.sender.send(
            authorized(request, authorization), run.progress.enter("send")
        )

    async def _bind(self, run: _Run) -> HttpRequest:
        plan, arguments, limit = run.endpoint.plan, run.arguments, self.limits.max_request_bytes
        script, transformed = plan.request, None
        if script is not None:
            run.progress.phase = "requestTransform"
            context = _context(run) if script.takes_context else NO_CONTEXT
            transformed = await self.transforms.transform(
                script.source, arguments.text, context, run.seed
            )
        request = bind(plan, run.endpoint.configuration, arguments, transformed)
        if request.body is not None and len(request.body) > limit:
            raise too_large(len(request.body), limit)
        return request


def _context(run: _Run, response: HttpResponse | None = None) -> bytes:
    return b'{"parameters":%b,"config":%b,"method":%b,"metadata":%b%b}' % (
        run.arguments.text,
        run.endpoint.configuration.text,
        run.endpoint.plan.method_json,
        run.arguments.metadata,
        b"" if response is None else b',"response":' + facts(response),
    )


def _changing() -> InstanceChanging:
    return InstanceChanging(
        "the instance is being changed right now; if this lasts, a change of it broke off: send "
        "the change again",
        retry_after_ms=CHANGE_MS,
    )


def _mismatch(plan: Plan, problems: tuple[Problem, ...]) -> ResultMismatch:
    return ResultMismatch(
        f"the result does not match the resultSchema of {plan.method}: "
        f"{problems[0].path}: {problems[0].message}",
        problems=[{"path": p.path, "message": p.message} for p in problems],
    )
