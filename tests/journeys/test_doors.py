"""The same scenarios through every door of every way to run the system."""

import pytest

from examples.crm import Crm
from tests.journeys import scenarios
from tests.journeys.doors import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_create_contact(door: Door, crm: tuple[Crm, str]) -> None:
    """The CRM example runs: transformed body and key at the upstream, the caller's shape back."""
    await scenarios.create_contact(door, *crm)


async def test_list_users(door: Door, crm: tuple[Crm, str]) -> None:
    """The basic example runs by convention, with the default of a missing parameter."""
    await scenarios.list_users(door, *crm)


async def test_calendar_waits_for_consent(door: Door) -> None:
    """The calendar example registers unchanged and waits for consent."""
    await scenarios.calendar_waits_for_consent(door)


async def test_stripe_waits_for_verification(door: Door) -> None:
    """The Stripe example registers unchanged and says that webhooks are not verified yet."""
    await scenarios.stripe_waits_for_verification(door)
