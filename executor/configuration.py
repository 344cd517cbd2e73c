"""The config of an instance, made ready once for the calls that follow."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from executor.errors import MethodNotCallable
from executor.json_text import TemplateValue, dump, template_value
from executor.lru import LeastRecentlyUsed
from executor.plan import Plan
from executor.template import CONFIG_PREFIX, Template, encode_reserved
from registry.model import Target

_UNCLEAN = re.compile(r"[\x00-\x20\\\x7f]")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\]")


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
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        reason = "a part of its host is empty, over 63 characters long, or of letters no host has"
        raise ValueError(reason) from None


def _without_userinfo(text: str) -> str:
    return re.sub(r"//[^/?#]*@", "//***@", text)
