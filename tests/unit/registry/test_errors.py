"""The errors of the registry."""

import inspect

from registry import errors
from registry.errors import RegistryError


def test_every_error_is_drawn_in_the_tree() -> None:
    """The module's picture has all errors, and no others."""
    classes = {
        name
        for name, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, RegistryError)
    }
    drawn = {
        word for word in (errors.__doc__ or "").split() if word in classes or word[:1].isupper()
    }
    assert classes <= drawn


def test_an_error_can_be_made_again_of_what_it_says() -> None:
    """Class, message and details are all there is to an error."""
    error = errors.definition_exists("A", "1.0.0")
    again = type(error)(error.message, **error.details)
    assert (str(again), again.details) == (str(error), {"name": "A", "version": "1.0.0"})


def test_an_id_is_answered_in_a_safe_form() -> None:
    """What was sent as an id comes back short and in ASCII."""
    assert errors.no_instance("ü\ud800" + "x" * 100).details == {"id": "??" + "x" * 62}
