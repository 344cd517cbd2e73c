"""From a token answer to the store, through everything that can go wrong, in any order."""

import asyncio
import json
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credentials.errors import (
    CredentialsError,
    EndpointSilent,
    EndpointUnreachable,
    NeedsReauthorization,
    StoreSealed,
    StoreUnavailable,
)
from credentials.grants import GrantState, from_record
from credentials.model import (
    OutboundAnswer,
    OutboundRequest,
    Part,
    RecordKey,
    SecretRecord,
    SpoolEntry,
    Versioned,
)
from credentials.ports import SecretStore, Spool
from credentials.waiting import Timing
from tests.unit.credentials.world import (
    INSTANCE,
    TENANT,
    LoopClock,
    Process,
    RotatingServer,
    World,
    answer,
    form_of,
    hurried,
)

UNREACHABLE = EndpointUnreachable("nobody there", host="auth.example.com")


class Weather:
    """What goes wrong, and what has come of it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311
        self.is_fair = False
        self.shown: dict[str, bool] = {}  # refresh tokens, and whether one may be shown again
        self.spooled: set[str] = set()  # refresh tokens that have reached a process
        self.doubtful: list[str] = []  # tokens shown again without a word of doubt
        self.generation = 0

    def strikes(self, share: float) -> bool:
        """Tell whether this goes wrong."""
        return not self.is_fair and self.dice.random() < share


class Life:
    """Of one process; once it is over nothing returns to it."""

    def __init__(self) -> None:
        self.is_over = False
        self.is_cut_off = False

    async def goes_on(self) -> None:
        """Return, if it does."""
        if self.is_over:
            await asyncio.Event().wait()


class WeatherStore:
    """A store that one process sees, through the weather."""

    def __init__(self, inner: SecretStore, weather: Weather, life: Life) -> None:
        self._inner = inner
        self._weather = weather
        self._life = life

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record."""
        await self._way()
        found = await self._inner.get(key)
        await self._life.goes_on()
        return found

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Write the record, which may seem to fail, or fail."""
        await self._way()
        version = await self._inner.put(key, record, expected_version)
        if key.part is Part.GRANT:
            generation = from_record(record).generation
            assert generation >= self._weather.generation
            self._weather.generation = generation
        await self._life.goes_on()
        if self._weather.strikes(0.08):
            raise StoreUnavailable("the answer was lost")
        return version

    async def delete(self, key: RecordKey) -> None:
        """Forget the record."""
        await self._way()
        await self._inner.delete(key)

    async def _way(self) -> None:
        await self._life.goes_on()
        await asyncio.sleep(self._weather.dice.uniform(0, 0.1))
        await self._life.goes_on()
        if self._life.is_cut_off or self._weather.strikes(0.03):
            raise StoreSealed("the store is sealed")


class WeatherSpool:
    """A spool whose entries are counted when they are safe."""

    def __init__(self, inner: Spool, weather: Weather, life: Life) -> None:
        self._inner = inner
        self._weather = weather
        self._life = life

    async def keep(self, entry: SpoolEntry) -> None:
        """Keep an entry; the process may die just then, before or after."""
        await asyncio.sleep(0.01)
        await self._life.goes_on()
        await self._inner.keep(entry)
        self._weather.spooled.add(json.loads(entry.body).get("refresh_token", ""))
        if self._weather.strikes(0.05):
            self._life.is_over = True
        await self._life.goes_on()

    async def find(self, key: RecordKey, attempt: str) -> SpoolEntry | None:
        """Answer an entry."""
        await self._life.goes_on()
        return await self._inner.find(key, attempt)

    async def drop(self, key: RecordKey, attempt: str) -> None:
        """Drop an entry."""
        await self._life.goes_on()
        await self._inner.drop(key, attempt)

    def entries(self) -> Any:
        """Answer all entries."""
        return self._inner.entries()


class WeatherServer:
    """A server behind a bad line."""

    def __init__(self, world: World, weather: Weather, life: Life) -> None:
        self._server: RotatingServer = world.server
        self._world = world
        self._weather = weather
        self._life = life

    async def send(self, request: OutboundRequest, timeout: float) -> OutboundAnswer:
        """Answer a request, perhaps."""
        await self._life.goes_on()
        weather = self._weather
        if weather.strikes(0.1):
            raise UNREACHABLE
        await asyncio.sleep(0.05)
        if weather.strikes(0.1):
            return answer({"error": "temporarily_unavailable"}, 503)
        await self._watch(form_of(request).get("refresh_token", ""))
        found = await self._server.send(request, timeout)
        seconds = weather.dice.uniform(0, 20 if weather.strikes(0.1) else 2)
        await asyncio.sleep(min(seconds, timeout))
        await self._life.goes_on()
        if seconds >= timeout or weather.strikes(0.05):
            raise EndpointSilent("no answer", host="auth.example.com")
        return found

    async def _watch(self, token: str) -> None:
        """Note a token that is shown again though nobody has said that it is in doubt."""
        if token in self._weather.shown and not (await self._world.stored()).doubt:
            self._weather.doubtful.append(token)
        self._weather.shown[token] = True


class Story:
    """Some processes over one store and one server, through bad weather and into fair."""

    def __init__(self, seed: int) -> None:
        self.weather = Weather(seed)
        self.world = World(clock=LoopClock())
        self.world.server.grace = self.weather.dice.random() < 0.3
        self.lives: dict[Process, Life] = {}
        self.work: list[asyncio.Task[Any]] = []

    def born(self) -> Process:
        """Start a process, whose clock is some minutes off, and which looks into the spool."""
        life, weather, world = Life(), self.weather, self.world
        clock = LoopClock(weather.dice.uniform(-120, 120))
        clock.began = world.clock.began
        process = world.process(
            f"p{len(self.lives)}",
            store=WeatherStore(world.inner, weather, life),
            spool=WeatherSpool(world.spool, weather, life),
            server=WeatherServer(world, weather, life),
            clock=clock,
            timing=Timing(),
        )
        self.lives[process] = life
        self.begin(process.refresher.recover())
        return process

    def living(self) -> list[Process]:
        """Answer who lives, at least two."""
        found = [process for process, life in self.lives.items() if not life.is_over]
        while len(found) < 2:
            found.append(self.born())
        return found

    def begin(self, work: Any) -> None:
        """Let something happen."""
        self.work.append(asyncio.ensure_future(work))

    async def event(self) -> None:
        """Let one thing happen."""
        dice, living = self.weather.dice, self.living()
        process = dice.choice(living)
        match dice.choice(["fresh", "fresh", "fresh", "refused", "forced", "die", "cut", "wait"]):
            case "fresh":
                for each in living:
                    self.begin(each.refresher.fresh(TENANT, INSTANCE))
            case "refused":
                generation = (await self.world.stored()).generation
                self.begin(process.refresher.fresh(TENANT, INSTANCE, refused=generation))
            case "forced":
                self.begin(process.upkeep.refresh(TENANT, INSTANCE, "user-1"))
            case "die":
                self.lives[process].is_over = True
            case "cut":
                self.lives[process].is_cut_off = not self.lives[process].is_cut_off
            case _:
                await asyncio.sleep(dice.choice([1, 20, 40, 400, 4000]))
        await asyncio.sleep(dice.uniform(0, 3))

    async def clears_up(self) -> None:
        """Let the weather be fair, and everything come to its end."""
        self.weather.is_fair = True
        for life in self.lives.values():
            life.is_cut_off = False
        last = self.born()
        await asyncio.sleep(1000)
        assert await last.refresher.recover() == 0
        for _ in range(2):  # by now every token has ended
            await asyncio.sleep(4000)
            for process in self.living():
                try:
                    await process.refresher.fresh(TENANT, INSTANCE)
                except NeedsReauthorization:
                    assert (await self.world.stored()).state is not GrantState.ACTIVE

    async def judged(self) -> None:
        """Look at what is left: nothing that has reached us is lost."""
        weather, server = self.weather, self.world.server
        grant = await self.world.stored()
        assert weather.doubtful == []
        assert grant.claim is None
        assert [entry async for entry in self.world.spool.entries()] == []
        spent = server.given.get(grant.refresh_token)
        if spent is not None:  # then its successor has reached nobody
            assert spent["refresh_token"] not in weather.spooled
        if grant.state is GrantState.NEEDS_REAUTHORIZATION:
            assert grant.cause == "in_doubt"
            assert spent is not None
        else:
            assert grant.refresh_token in server.live

    async def told(self) -> None:
        """Go through it all."""
        await self.world.configured()
        await self.world.granted()
        self.weather.generation = 1
        for _ in range(40):
            await self.event()
        await self.clears_up()
        await self.judged()
        for task in self.work:
            task.cancel()
        found = await asyncio.gather(*self.work, return_exceptions=True)
        known = (CredentialsError, asyncio.CancelledError)
        assert [e for e in found if isinstance(e, BaseException) and not isinstance(e, known)] == []
        for process, life in self.lives.items():
            if not life.is_over:
                await process.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_nothing_is_lost_whatever_happens(seed: int) -> None:
    """Through deaths, cuts, lost answers and lying writes: every token that came is kept.

    No refresh token is shown twice without a word of doubt, generations never go back, and no claim
    stays.
    """

    async def scenario() -> None:
        await Story(seed).told()

    hurried(scenario())
