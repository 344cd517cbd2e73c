"""What a method of an instance is called with: found, checked and made ready once."""

from dataclasses import dataclass
from difflib import get_close_matches

from executor.configuration import Configuration, Configurations
from executor.errors import InstanceNotConnected, MethodNotFound
from executor.lru import LastRenewed
from executor.model import ExecutorLimits
from executor.plan import Plan, Plans
from registry.model import Definition, Instance, InstanceStatus, Target

_WHAT_TO_DO = {
    InstanceStatus.PENDING_CONFIGURATION: "its config is not complete yet",
    InstanceStatus.PENDING_AUTHENTICATION: "it waits for authentication",
    InstanceStatus.DISCONNECTED: "it was disconnected; connect it again",
    InstanceStatus.AUTH_ERROR: "its credentials were refused; connect it again",
    InstanceStatus.CONFIG_ERROR: "its config does not work; correct it",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What one method of a connected instance is called with."""

    target: Target
    plan: Plan
    configuration: Configuration


class Endpoints:
    """Keeps the endpoints that are called most, each as long as its target is the same object.

    A directory that remembers targets makes that the common case; a target read again mostly finds
    its plan and its configuration still there.
    """

    __slots__ = ("_configurations", "_kept", "_plans")

    def __init__(self, limits: ExecutorLimits, user_agent: str) -> None:
        self._plans = Plans(limits.kept_plans, user_agent)
        self._configurations = Configurations(limits.kept_configurations)
        self._kept: LastRenewed[tuple[str, str, str], Endpoint] = LastRenewed(
            limits.kept_configurations
        )

    def of(self, target: Target, method: str) -> Endpoint:
        """Answer the endpoint of a method.

        Raises `MethodNotFound`, `InstanceNotConnected`, and `MethodNotCallable` when the method
        cannot be compiled or the instance's config has no server.
        """
        key = (target.instance.tenant, target.instance.id, method)
        kept = self._kept.get(key)
        if kept is None or kept.target is not target:
            plan = self._plan(target, method)
            kept = Endpoint(target, plan, self._configurations.of(target, plan))
            self._kept.put(key, kept)
        return kept

    def _plan(self, target: Target, name: str) -> Plan:
        definition = target.definition
        method = definition.method(name)
        if method is None:
            raise _unknown(definition, name)
        _check_connected(target.instance)
        return self._plans.known(definition.digest, name) or self._plans.make(definition, method)


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
