"""A chain of entries shows every change that was made to it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.chain import GENESIS, Head, Mark, decode_mark, encode_mark, file_of, link, verify
from credentials.errors import AuditBroken
from credentials.model import AuditEntry

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
entries = st.builds(
    AuditEntry,
    action=texts,
    tenant=texts,
    instance_id=texts,
    actor=texts,
    outcome=texts,
    details=st.dictionaries(texts, json_values, max_size=3),
)
chains = st.lists(entries, min_size=3, max_size=6)


def written(chain: Sequence[AuditEntry], after: Head = GENESIS) -> list[bytes]:
    """Answer the lines of a chain."""
    lines = []
    for second, entry in enumerate(chain):
        line, after = link(after, START + timedelta(seconds=second), "host:1", entry)
        lines.append(line)
    return lines


def broken_at(lines: Sequence[bytes]) -> int | None:
    """Answer the line at which a chain breaks, None when it does not."""
    try:
        list(verify(lines, "a.jsonl"))
    except AuditBroken as error:
        return int(str(error.details["line"]))
    return None


@settings(deadline=None, max_examples=60)
@given(chains)
def test_what_was_written_is_good(chain: list[AuditEntry]) -> None:
    """The heads of a chain are numbered without a gap, and the last is that of its last entry."""
    lines = written(chain)

    heads = list(verify(lines))

    assert [head.n for head in heads] == list(range(1, len(chain) + 1))
    assert json.loads(lines[-1])["hash"] == heads[-1].hash


def test_an_entry_is_what_the_documentation_says() -> None:
    """Anyone can check the chain with a JSON reader and SHA-256."""
    entry = AuditEntry("token.refreshed", "acme", "int_inst_1", "admin", details={"b": 1, "a": "é"})

    line, head = link(Head(6, "ab" * 32), START, "host:1", entry)

    read = json.loads(line)
    body = {name: value for name, value in read.items() if name not in {"prev", "hash"}}
    assert body == {
        "n": 7,
        "at": "2026-01-02T03:04:05Z",
        "process": "host:1",
        "action": "token.refreshed",
        "tenant": "acme",
        "instanceId": "int_inst_1",
        "actor": "admin",
        "outcome": "ok",
        "details": {"b": 1, "a": "é"},
    }
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert read["prev"] == "ab" * 32
    assert read["hash"] == sha256(("ab" * 32 + canonical).encode()).hexdigest() == head.hash
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1


@settings(deadline=None, max_examples=60)
@given(chains, st.data())
def test_a_changed_line_is_found(chain: list[AuditEntry], data: st.DataObject) -> None:
    """Whatever octet is changed, the break is at its line."""
    lines = written(chain)
    place = data.draw(st.integers(0, len(lines) - 1))
    position = data.draw(st.integers(0, len(lines[place]) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda new: new != lines[place][position]))
    changed = bytearray(lines[place])
    changed[position] = octet
    lines[place] = bytes(changed)

    assert broken_at(lines) == place + 1


@settings(deadline=None, max_examples=60)
@given(chains, st.data())
def test_a_cut_or_lengthened_line_is_found(chain: list[AuditEntry], data: st.DataObject) -> None:
    """Octets that are taken out of a line or put into it break it."""
    lines = written(chain)
    place = data.draw(st.integers(0, len(lines) - 1))
    position = data.draw(st.integers(0, len(lines[place]) - 1))
    added = data.draw(st.binary(max_size=5))
    removed = data.draw(st.integers(0 if added else 1, 5))
    line = lines[place][:position] + added + lines[place][position + removed :]
    if line == lines[place]:
        return
    lines[place] = line

    assert broken_at(lines) == place + 1


@settings(deadline=None, max_examples=60)
@given(chains, st.data())
def test_a_removed_line_is_found(chain: list[AuditEntry], data: st.DataObject) -> None:
    """Where a line is missing, the next one does not fit."""
    lines = written(chain)
    place = data.draw(st.integers(0, len(lines) - 2))
    del lines[place]

    assert broken_at(lines) == place + 1


@settings(deadline=None, max_examples=60)
@given(chains, st.data())
def test_reordered_lines_are_found(chain: list[AuditEntry], data: st.DataObject) -> None:
    """Of lines in another order, the first that stands wrong is the break."""
    lines = written(chain)
    order = data.draw(st.permutations(range(len(lines))))
    moved = [place for place, origin in enumerate(order) if place != origin]

    assert broken_at([lines[origin] for origin in order]) == (moved[0] + 1 if moved else None)


@settings(deadline=None, max_examples=60)
@given(chains, entries, st.data())
def test_an_inserted_line_is_found(
    chain: list[AuditEntry], entry: AuditEntry, data: st.DataObject
) -> None:
    """A line that comes between others breaks the chain there or right behind it."""
    lines = written(chain)
    place = data.draw(st.integers(0, len(lines) - 1))
    after = ([GENESIS, *verify(lines)])[place]
    forged, _ = link(after, START, "host:2", entry)
    repeated = data.draw(st.sampled_from(lines))
    foreign = data.draw(st.sampled_from([forged, repeated, b"\n", b"{}\n"]))
    if foreign == lines[place]:
        place += 1
    if place == len(lines):
        return

    found = broken_at([*lines[:place], foreign, *lines[place:]])

    assert found in {place + 1, place + 2}


def test_a_chain_goes_on_where_another_ended() -> None:
    """A file is verified from the head of the one before, and from nothing else."""
    chain = [AuditEntry("a", "t", "i", "me") for _ in range(3)]
    *_, head = verify(written(chain))
    following = written(chain, head)

    *_, last = verify(following, after=head)

    assert last.n == 6
    assert broken_at(following) == 1


@pytest.mark.parametrize("value", [object(), float, {1: 2}, "\ud800"])
def test_only_json_can_be_written(value: object) -> None:
    """A detail that is no JSON value is refused, and not written as something else."""
    with pytest.raises((TypeError, ValueError)):
        link(GENESIS, START, "host:1", AuditEntry("a", "t", "i", "me", details={"x": value}))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**18), st.integers(1, 999_999), st.integers(0, 10**15))
def test_a_mark_is_read_as_it_was_written(number: int, file: int, start: int) -> None:
    """A head file has one length, so that writing over it never leaves a rest."""
    mark = Mark(Head(number, "0f" * 32), file, start, start + 400)

    assert decode_mark(encode_mark(mark), "slot-00.head") == mark
    assert len(encode_mark(mark)) == len(encode_mark(Mark(GENESIS)))


@pytest.mark.parametrize("text", [b"", b"1 2 3", encode_mark(Mark(GENESIS))[:-1]])
def test_what_is_no_mark_breaks_the_log(text: bytes) -> None:
    """A head file that was emptied, cut or overwritten is a break."""
    with pytest.raises(AuditBroken, match=r"slot-00\.head"):
        decode_mark(text, "slot-00.head")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("slot-00.000001.jsonl", (0, 1)),
        ("slot-12.000345.jsonl", (12, 345)),
        ("slot-07.head", (7, 0)),
        ("slot-07.lock", None),
        ("notes.txt", None),
    ],
)
def test_files_of_the_log_are_known_by_name(name: str, place: tuple[int, int] | None) -> None:
    """Other files in the directory are nobody's business."""
    assert file_of(name) == place


def test_a_break_tells_where_it_is() -> None:
    """The error names the file and the line, in its text and in its details."""
    lines = written([AuditEntry("a", "t", "i", "me") for _ in range(3)])

    with pytest.raises(AuditBroken, match=r"line 2 of a\.jsonl was changed") as caught:
        list(verify([lines[0], lines[1].replace(b"me", b"em"), lines[2]], "a.jsonl"))

    assert caught.value.details == {"path": "a.jsonl", "line": 2}
