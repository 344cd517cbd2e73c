"""How an API is reached: its server, and the request that proves credentials good."""

from collections.abc import Iterator
from typing import Final

from registry.binding import path_problems
from registry.fields import Fields
from registry.model import Verification
from registry.templates import CONFIG, ConfigFields, MalformedTemplate, uri_variables

DEFAULT_SERVER: Final = "{+config.baseUrl}"


def read_server(top: Fields, config: ConfigFields) -> str:
    """Read `server`; without it the config's `baseUrl` is the server."""
    server = top.text("server", DEFAULT_SERVER)
    if not top.has("server"):
        return server
    try:
        names = uri_variables(server)
    except MalformedTemplate as error:
        top.refuse("server", f"is no RFC 6570 template: {error}")
        return server
    if not server.startswith(("https://", "http://", "{+config.")):
        top.refuse("server", "must start with https://, http:// or {+config.…}")
    for name in dict.fromkeys(names):
        if problem := _config_problem(name, config):
            top.refuse("server", problem)
    return server


def _config_problem(name: str, config: ConfigFields) -> str:
    if not name.startswith(CONFIG):
        return f"uses {{{name}}}; only fields of the config can stand here, as config.{name}"
    return config.problem(name)


def read_verification(top: Fields, config: ConfigFields) -> Verification | None:
    """Read `verification`: the request that proves credentials good."""
    verification = top.inner("verification")
    if verification is None:
        return None
    verification.required("path")
    method = verification.word("method", ("GET", "POST"), "GET")
    path = verification.text("path", "/")
    if verification.has("path") and isinstance(verification.raw("path"), str):
        for problem in _path_problems(path, config):
            verification.refuse("path", problem)
    verification.rest(())
    return Verification(method, path)


def _path_problems(path: str, config: ConfigFields) -> Iterator[str]:
    try:
        names = uri_variables(path)
    except MalformedTemplate as error:
        yield f"is no RFC 6570 template: {error}"
        return
    yield from path_problems(path)
    yield from filter(None, (_config_problem(name, config) for name in dict.fromkeys(names)))
