"""The config of an instance, and with it its methods, made ready once for the calls that follow."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import SplitResult, urlsplit

from executor.errors import InstanceNotConnected, MethodNotCallable, MethodNotFound
from executor.json_text import TemplateValue, dump, template_value
from executor.lru import LastRenewed, LeastRecentlyUsed
from executor.model import ExecutorLimits
from executor.plan import Plan, Plans
from executor.template import CONFIG_PREFIX, Template, encode_reserved
from registry.model import Definition, Instance, InstanceStatus, Target

_UNCLEAN = re.compile(r"[\x00-\x20\\\x7f]")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\]")

_WHAT_TO_DO = {
    InstanceStatus.PENDING_CONFIGURATION: "its config is not complete yet",
    InstanceStatus.PENDING_AUTHENTICATION: "it waits for authentication",
    InstanceStatus.DISCONNECTED: "it was disconnected; connect it again",
    InstanceStatus.AUTH_ERROR: "its credentials were refused; connect it again",
    InstanceStatus.CONFIG_ERROR: "its config does not work; correct it",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """Config without secrets: its values, their JSON text, and the server's address from it.

    `base` ends without a slash; `query` is the part of the address behind its `?`.
    """

    source: Mapping[str, Any]
    values: Mapping[str, Any]
    text: bytes
    base: str
    query: str

    def lookup(self, name: str) -> TemplateValue:
        """Answer a variable `config.a.b` of a template."""
        value: Any = self.values
        for step in name.removeprefix(CONFIG_PREFIX).split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return template_value(dump(value))


class Configurations:
    """Keeps the configurations of the instances that are called most."""

    __slots__ = ("_kept",)

    def __init__(self, size: int) -> None:
        self._kept: LeastRecentlyUsed[tuple[str, str, str], Configuration] = LeastRecentlyUsed(size)

    def of(self, target: Target, plan: Plan) -> Configuration:
        """Answer the instance's configuration; raises `MethodNotCallable` when it has no server."""
        instance = target.instance
        key = (instance.tenant, instance.id, target.definition.digest)
        kept = self._kept.get(key)
        # A fresh read of the registry is another object with, mostly, the same content.
        if kept is None or (kept.source is not instance.config and kept.source != instance.config):
            kept = configure(target, plan.server)
            self._kept.put(key, kept)
        return kept


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


def configure(target: Target, server: Template) -> Configuration:
    """Merge the config over the definition's defaults and find the server's address."""
    definition, instance = target.definition, target.instance
    secret = {*definition.secret_fields, *instance.secret_fields}
    values = {
        name: value
        for name, value in {**definition.default_config, **instance.config}.items()
        if name not in secret
    }
    partial = Configuration(instance.config, values, dump(values), "", "")
    parts = _server(server, partial)
    path = encode_reserved(parts.path.rstrip("/"))
    return Configuration(
        instance.config,
        values,
        partial.text,
        f"{parts.scheme}://{parts.netloc}{path}",
        encode_reserved(parts.query),
    )


def _server(template: Template, configuration: Configuration) -> SplitResult:
    values = {name: configuration.lookup(name) for name in template.names}
    missing = sorted(
        name.removeprefix(CONFIG_PREFIX) for name, value in values.items() if not value
    )
    if missing:
        raise MethodNotCallable(
            f"the address of the server needs {', '.join(missing)} in the instance's config",
            missing=missing,
        )
    text = template.expand_trusted(values)
    try:
        return _split(text)
    except ValueError as error:
        raise MethodNotCallable(
            f"the address of the server is not usable: {error}", server=_without_userinfo(text)
        ) from None


def _split(text: str) -> SplitResult:
    if _UNCLEAN.search(text):
        raise ValueError("it holds a space, a backslash or a control character")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"}:
        raise ValueError("it must start with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("it must not hold a user name or a password")
    if "#" in text:
        raise ValueError("it must not hold a fragment")
    host = parts.netloc.removesuffix(f":{parts.port}") if parts.port else parts.netloc
    if not _HOST.fullmatch(ascii_host(host)):
        raise ValueError("it has no valid host")
    return parts._replace(netloc=ascii_host(parts.netloc))


def ascii_host(host: str) -> str:
    """Write a host name in ASCII (IDNA); raises ValueError when it has no such form."""
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _without_userinfo(text: str) -> str:
    return re.sub(r"//[^/?#]*@", "//***@", text)


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
