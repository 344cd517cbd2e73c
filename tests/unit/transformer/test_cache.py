"""The cache of compiled scripts."""

from hypothesis import given
from hypothesis import strategies as st

from transformer.cache import CompiledCache
from transformer.model import Compiled, Script


def compiled(source: str) -> Compiled:
    """A script with bytecode as long as its source."""
    return Compiled(Script(source), source.encode())


def test_found_by_digest():
    """What was put in is found by the digest of its source, and nothing else is."""
    cache = CompiledCache(10_000)
    entry = cache.put(compiled("a"))
    assert cache.get(Script("a").digest) is entry
    assert cache.get(Script("b").digest) is None


def test_least_recently_used_goes_first():
    """When room is needed the entry asked for longest ago goes."""
    cache = CompiledCache(3 * cache_bytes("a"))
    for source in ("a", "b", "c"):
        cache.put(compiled(source))
    cache.get(Script("a").digest)
    cache.put(compiled("d"))
    assert cache.get(Script("b").digest) is None
    assert cache.get(Script("a").digest) is not None


def test_the_same_script_counts_once():
    """Putting a script in again does not take more room."""
    cache = CompiledCache(2 * cache_bytes("a"))
    for source in ("a", "b", "b", "b"):
        cache.put(compiled(source))
    assert cache.get(Script("a").digest) is not None
    assert len(cache) == 2


def test_one_that_is_larger_than_the_cache():
    """A script larger than the whole cache is kept alone until the next one comes."""
    cache = CompiledCache(100)
    large = cache.put(compiled("x" * 1_000))
    assert cache.get(large.compiled.script.digest) is large
    cache.put(compiled("a"))
    assert len(cache) == 1


@given(st.lists(st.text(max_size=400), max_size=30))
def test_never_more_than_allowed(sources: list[str]):
    """Whatever is put in, all but the last together stay within the bound."""
    cache = CompiledCache(8_000)
    for source in sources:
        cache.put(compiled(source))
    kept = [entry for source in set(sources) if (entry := cache.get(Script(source).digest))]
    assert len(cache) == len(kept)
    assert sum(entry.size for entry in kept) <= 8_000


def cache_bytes(source: str) -> int:
    """What an entry for this source takes."""
    return CompiledCache(10_000).put(compiled(source)).size
