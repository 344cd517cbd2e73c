"""Parameters and the requests they become, for the tests of binding."""

from typing import Any

from hypothesis import strategies as st

from executor.arguments import Arguments, prepare
from executor.configuration import configure
from executor.model import HttpRequest
from executor.plan import make_plan
from executor.request import bind
from registry.model import Method, Target
from tests.unit.executor.world import AGENT, call, definition, instance

LIMIT = 10_000
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NASTY = st.text(st.sampled_from(list("./\\%2eEfF?#;:@&= a\r\n\0é")), max_size=12)
NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)


def bound(
    of: Method,
    parameters: bytes,
    transformed: bytes | None = None,
    config: dict[str, Any] | None = None,
    **more: Any,
) -> HttpRequest:
    """Answer the request that these parameters become."""
    target = Target(instance(config), definition(of, **more))
    plan = make_plan(target.definition, of, AGENT)
    configuration = configure(target, plan.server)
    return bind(plan, configuration, prepared(of, parameters), transformed)


def prepared(of: Method, parameters: bytes, metadata: bytes = b"") -> Arguments:
    """Answer the parameters, completed and checked."""
    whole = definition(of)
    return prepare(make_plan(whole, of, AGENT), call(of.name, parameters, metadata=metadata), LIMIT)
