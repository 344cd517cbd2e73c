"""The tree of errors."""

import inspect

import executor.errors
from executor.errors import ExecutorError, Postponed, UpstreamRateLimited


def kinds() -> list[type[ExecutorError]]:
    """Answer all errors of the component."""
    return [
        value
        for value in vars(executor.errors).values()
        if inspect.isclass(value) and issubclass(value, ExecutorError)
    ]


def test_every_error_is_in_the_tree() -> None:
    """The picture at the top of the module shows all of them."""
    drawn = (executor.errors.__doc__ or "").split()
    assert all(kind.__name__ in drawn for kind in kinds())


def test_errors_hold_message_and_details() -> None:
    """Each is made of a message and details, and knows a wait only where waiting helps."""
    for kind in kinds():
        error = kind("what happened", statusCode=1)
        assert (error.message, str(error)) == ("what happened", "what happened")
        assert error.details == {"statusCode": 1}
        assert error.retry_after_ms is None


def test_a_wait_is_an_attribute_and_a_detail() -> None:
    """The edge reads the attribute, the caller the detail."""
    error = UpstreamRateLimited("slow down", retry_after_ms=1500)
    assert isinstance(error, Postponed)
    assert error.retry_after_ms == 1500
    assert error.details == {"retryAfterMs": 1500}
