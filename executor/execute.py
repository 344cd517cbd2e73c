"""One call, end to end: the only place where its steps stand in their order."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from time import monotonic

from credentials.model import Authorization, OutgoingRequest
from executor.arguments import Arguments, check_size, prepare
from executor.configuration import Configuration, Configurations
from executor.errors import (
    DeadlinePassed,
    InstanceNotConnected,
    MethodNotFound,
    ResultMismatch,
)
from executor.model import Execution, ExecutorLimits, HttpRequest, HttpResponse, MethodCall
from executor.plan import Plan, Plans, Script
from executor.ports import Authorizer, Directory, Sender, Transforms
from executor.request import authorized, bind
from executor.response import facts, judge, read
from registry.model import Definition, Instance, InstanceStatus, Problem, Target

NO_AUTHORIZATION = Authorization()
NO_CONTEXT = b"{}"

_WHAT_TO_DO = {
    InstanceStatus.PENDING_CONFIGURATION: "its config is not complete yet",
    InstanceStatus.PENDING_AUTHENTICATION: "it waits for authentication",
    InstanceStatus.DISCONNECTED: "it was disconnected; connect it again",
    InstanceStatus.AUTH_ERROR: "its credentials were refused; connect it again",
    InstanceStatus.CONFIG_ERROR: "its config does not work; correct it",
}


def own_name() -> str:
    """Answer what we call ourselves towards upstreams."""
    try:
        return f"integration-service/{version('integration-service')}"
    except PackageNotFoundError:
        return "integration-service"


def random_seeds() -> Callable[[], int]:
    """Answer a source of 32 random bits each, for scripts: no secret depends on them."""
    return partial(random.Random().getrandbits, 32)  # noqa: S311


@dataclass(slots=True)
class _Progress:
    """Where a call is in its time. `started` and `ends_at` are monotonic seconds."""

    started: float
    ends_at: float
    phase: str = "resolve"

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


@dataclass(frozen=True, slots=True)
class _Run:
    """A call whose plan is known and whose parameters are good."""

    call: MethodCall
    progress: _Progress
    plan: Plan
    configuration: Configuration
    arguments: Arguments
    seed: int


@dataclass(slots=True, eq=False, repr=False)
class Executor:
    """Executes methods of instances.

    `clock` answers the time in UTC; `seeds` one number per call, which makes the randomness of its
    scripts repeatable; `user_agent` is what upstreams see.
    """

    directory: Directory
    authorizer: Authorizer
    transforms: Transforms
    sender: Sender
    limits: ExecutorLimits
    clock: Callable[[], datetime]
    seeds: Callable[[], int] = field(default_factory=random_seeds)
    user_agent: str = field(default_factory=own_name)
    _plans: Plans = field(init=False)
    _configurations: Configurations = field(init=False)

    def __post_init__(self) -> None:
        self._plans = Plans(self.limits.kept_plans, self.user_agent)
        self._configurations = Configurations(self.limits.kept_configurations)

    async def execute(self, call: MethodCall) -> Execution:
        """Call the method once and answer its result.

        Raises the errors of `executor.errors`, and those of the ports as they are. The deadline is
        the caller's or the method's (else the service's default), whichever is earlier; it bounds
        everything, and cancelling the call closes the connection to the upstream.
        """
        seconds = self._seconds(call, None)
        started = monotonic()
        progress = _Progress(started, started + seconds)
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                return await self._steps(call, progress, timer)
        except TimeoutError:
            if not timer.expired():
                raise
            raise progress.passed() from None

    async def _steps(
        self, call: MethodCall, progress: _Progress, timer: asyncio.Timeout
    ) -> Execution:
        progress.enter("resolve")
        target = await self.directory.resolve(call.tenant, call.instance_id)
        plan = self._plan(target, call.method)
        if plan.timeout is not None:
            progress.ends_at = progress.started + self._seconds(call, plan.timeout)
            left = progress.enter("resolve")
            timer.reschedule(asyncio.get_running_loop().time() + left)
        configuration = self._configurations.of(target, plan)
        progress.phase = "validate"
        arguments = prepare(plan, call, self.limits.max_request_bytes)
        run = _Run(call, progress, plan, configuration, arguments, self.seeds())
        request, authorization = await self._authorize(run, await self._bind(run))
        response = await self._send(run, request)
        judge(response, authorization, self.clock)
        data, value = read(response, authorization)
        check = plan.result
        if plan.response is None:
            return _answered(plan, data, check.problems(value) if check else ())
        progress.phase = "responseTransform"
        context = _context(plan.response, run, response)
        data = await self.transforms.transform(plan.response.source, data, context, run.seed ^ 1)
        return _answered(plan, data, check.problems_in(data) if check else ())

    async def _bind(self, run: _Run) -> HttpRequest:
        script = run.plan.request
        transformed = None
        if script is not None:
            run.progress.phase = "requestTransform"
            transformed = await self.transforms.transform(
                script.source, run.arguments.text, _context(script, run), run.seed
            )
        request = bind(run.plan, run.configuration, run.arguments, transformed)
        check_size(request.body, self.limits.max_request_bytes)
        return request

    async def _authorize(
        self, run: _Run, request: HttpRequest
    ) -> tuple[HttpRequest, Authorization]:
        call, scheme = run.call, run.plan.scheme
        if scheme is None:
            return request, NO_AUTHORIZATION
        run.progress.phase = "authorize"
        outgoing = OutgoingRequest(request.method, request.url)
        authorization = await self.authorizer.authorize(
            call.tenant, call.instance_id, scheme, outgoing
        )
        return authorized(request, authorization), authorization

    async def _send(self, run: _Run, request: HttpRequest) -> HttpResponse:
        try:
            return await self.sender.send(request, run.progress.enter("send"))
        except DeadlinePassed:
            raise run.progress.passed() from None

    def _seconds(self, call: MethodCall, own: float | None) -> float:
        """Answer how long a call may take, all in all."""
        allowed = self.limits.default_timeout if own is None else own
        return allowed if call.timeout is None else min(call.timeout, allowed)

    def _plan(self, target: Target, name: str) -> Plan:
        definition = target.definition
        plan = self._plans.known(definition.digest, name)
        if plan is not None:
            _check_connected(target.instance)
            return plan
        method = definition.method(name)
        if method is None:
            raise _unknown(definition, name)
        _check_connected(target.instance)
        return self._plans.make(definition, method)


def _context(script: Script, run: _Run, response: HttpResponse | None = None) -> bytes:
    if not script.takes_context:
        return NO_CONTEXT
    return b'{"parameters":%b,"config":%b,"method":%b,"metadata":%b%b}' % (
        run.arguments.text,
        run.configuration.text,
        run.plan.method_json,
        run.arguments.metadata,
        b"" if response is None else b',"response":' + facts(response),
    )


def _answered(plan: Plan, data: bytes, problems: tuple[Problem, ...]) -> Execution:
    if problems and plan.strict:
        raise ResultMismatch(
            f"the result does not match the resultSchema of {plan.method}: "
            f"{problems[0].path}: {problems[0].message}",
            problems=[{"path": p.path, "message": p.message} for p in problems],
        )
    return Execution(data, problems)


def _unknown(definition: Definition, name: str) -> MethodNotFound:
    names = [method.name for method in definition.methods]
    close = get_close_matches(name, names, n=3)
    hint = f"; did you mean {close[0]}?" if close else ""
    details = {"didYouMean": close} if close else {}
    return MethodNotFound(
        f"{definition.name} {definition.version} has no method {name!r}{hint}",
        method=name,
        methods=names,
        **details,
    )


def _check_connected(instance: Instance) -> None:
    if instance.status is InstanceStatus.CONNECTED:
        return
    details = {} if instance.error is None else {"reason": instance.error.code}
    raise InstanceNotConnected(
        f"instance {instance.id} cannot be used: {_WHAT_TO_DO[instance.status]}",
        status=instance.status.value,
        **details,
    )
