"""Sandboxes that wait, and the images of scripts."""

import threading
from typing import cast

from transformer.engines.images import ScriptImages
from transformer.engines.pool import SandboxPool
from transformer.engines.sandbox import Image, PublicImage, Sandbox


class Stub:
    """A sandbox that only remembers what was done to it."""

    def __init__(self) -> None:
        self.image = PublicImage(b"image")
        self.loaded: str | None = None
        self.trapped = False
        self.bytes = self.image.size
        self.restored = 0
        self.closed = False

    def size(self) -> int:
        """The memory's size."""
        return self.bytes

    def restore(self, _: Image) -> None:
        """Count."""
        self.restored += 1

    def close(self) -> None:
        """Note that it happened, once."""
        assert not self.closed
        self.closed = True


class Maker:
    """Makes stubs and keeps them."""

    def __init__(self) -> None:
        self.made: list[Stub] = []

    def __call__(self) -> Sandbox:
        """Make one more."""
        self.made.append(Stub())
        return cast("Sandbox", self.made[-1])


def used(pool: SandboxPool, digest: str | None) -> Stub:
    """Take a sandbox, load something, give it back."""
    sandbox = pool.take(digest)
    sandbox.loaded = digest
    pool.give_back(sandbox)
    return cast("Stub", sandbox)


def test_reset_before_it_waits():
    """A sandbox is put back to its image before it waits for the next call."""
    pool = SandboxPool(Maker(), 4)
    assert used(pool, "a").restored == 1


def test_the_same_script_gets_its_sandbox_back():
    """A script gets a sandbox that has it loaded, whichever ran in between."""
    maker = Maker()
    pool = SandboxPool(maker, 2)
    first, second = used(pool, "a"), used(pool, "b")
    assert used(pool, "a") is first
    assert used(pool, "b") is second
    assert len(maker.made) == 2


def test_a_full_pool_reuses_what_was_used_longest_ago():
    """When the pool is full another script's sandbox is taken, the least recently used one."""
    maker = Maker()
    pool = SandboxPool(maker, 2)
    first = used(pool, "a")
    used(pool, "b")
    assert used(pool, "c") is first
    assert len(maker.made) == 2


def test_more_at_a_time_than_the_pool_holds():
    """Any number may be out at a time; those that find no room are closed when they come back."""
    maker = Maker()
    pool = SandboxPool(maker, 2)
    out = [pool.take("a") for _ in range(5)]
    for sandbox in out:
        pool.give_back(sandbox)
    assert len(maker.made) == 5
    assert sum(stub.closed for stub in maker.made) == 3


def test_unfit_sandboxes_are_thrown_away():
    """One that trapped, or whose memory grew, is closed and not used again."""
    maker = Maker()
    pool = SandboxPool(maker, 2)
    for spoil in ({"trapped": True}, {"bytes": 99}):
        stub = cast("Stub", pool.take(None))
        for name, value in spoil.items():
            setattr(stub, name, value)
        pool.give_back(cast("Sandbox", stub))
        assert stub.closed
        assert not stub.restored
        assert pool.take(None) is not stub


def test_closing_closes_what_waits_and_what_comes_back():
    """After closing no sandbox stays open, those that were out included."""
    maker = Maker()
    pool = SandboxPool(maker, 4)
    used(pool, "a")
    out = pool.take("b")
    pool.close()
    pool.give_back(out)
    assert all(stub.closed for stub in maker.made)


def test_threads_never_share_a_sandbox():
    """Threads that take and give back at the same time never hold the same sandbox."""
    pool = SandboxPool(Maker(), 3)
    held: set[int] = set()
    clashes: list[int] = []

    def work(number: int) -> None:
        for step in range(300):
            sandbox = pool.take(f"script {(number + step) % 4}")
            if id(sandbox) in held:
                clashes.append(number)
            held.add(id(sandbox))
            sandbox.loaded = f"script {(number + step) % 4}"
            held.discard(id(sandbox))
            pool.give_back(sandbox)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clashes == []


def test_an_image_is_wanted_the_second_time():
    """A script gets an image when it is loaded again, unless that was too many scripts ago."""
    images = ScriptImages(capacity=2, remembered=3)
    assert not images.wanted("a")
    assert images.wanted("a")
    for other in ("b", "c", "d"):
        assert not images.wanted(other)
    assert not images.wanted("a")


def test_images_are_bounded():
    """The image used longest ago goes when there are too many."""
    images = ScriptImages(capacity=2, remembered=9)
    kept = {name: PublicImage(name.encode()) for name in "abc"}
    images.put("a", kept["a"])
    images.put("b", kept["b"])
    assert images.get("a") is kept["a"]
    images.put("c", kept["c"])
    assert images.get("b") is None
    assert images.get("a") is kept["a"]
    assert images.get("c") is kept["c"]
