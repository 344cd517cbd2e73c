"""The codec, held against protobuf's own `json_format` and beyond it."""

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from protos.integration.v1.definition_pb2 import Definition, Method, Pagination
from protos.integration.v1.registry_service_pb2 import (
    CreateInstanceRequest,
    ListDefinitionsResponse,
    UpdateInstanceRequest,
    ValidateDefinitionResponse,
)
from services.gateway.decode import Decoders
from services.gateway.encode import Encoders
from services.gateway.errors import FieldsInvalid, UnsupportedField

Make = Callable[..., Message]
DECODERS, ENCODERS = Decoders(), Encoders()

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
COLOURS = st.sampled_from([0, 1, 7, -3, 99])
# The years 1 to 9999, which is all that RFC 3339 can say.
TIMES = st.builds(
    dict,
    seconds=st.integers(-62135596800, 253402300799),
    nanos=st.sampled_from([0, 1, 1_000, 1_000_000, 120_000_000, 999_999_999]),
)
INNERS = st.recursive(
    st.fixed_dictionaries({}, optional={"name": TEXT, "count": INT32}),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"name": TEXT, "next": inner, "children": st.lists(inner, max_size=2)}
    ),
    max_leaves=4,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXT,
        "blob": st.binary(max_size=6),
        "flag": st.booleans(),
        "real": st.floats(allow_nan=False) | st.just(math.nan),
        "small": INT32,
        "big_number": INT64,
        "unsigned_small": UINT32,
        "unsigned_big": UINT64,
        "zig_small": INT32,
        "zig_big": INT64,
        "fixed_small": UINT32,
        "fixed_big": UINT64,
        "signed_fixed_small": INT32,
        "signed_fixed_big": INT64,
        "colour": COLOURS,
        "inner": INNERS,
        "texts": st.lists(TEXT, max_size=3),
        "big_numbers": st.lists(INT64, max_size=3),
        "colours": st.lists(COLOURS, max_size=3),
        "inners": st.lists(INNERS, max_size=2),
        "happened_at": TIMES,
        "times": st.lists(TIMES, max_size=2),
        "nickname": TEXT,
        "rank": INT32,
        "nothing": st.just({}),
        "left": TEXT,
        "renamed": TEXT,
    },
)
NUMBERS = ["0", "-0", "1", "1.0", "1.5", "1e2", "1E+2", "12e-1", "120e-1", "-1", "1e30", "0e99"]
EDGES = ["2147483647", "2147483648", "-2147483649", "4294967296", "9007199254740993", "1e400"]
WORDS = ["", "1", "-1", "1.0", " 1", "1_0", "+1", "RED", "red", "NaN", "-Infinity", "true", "AQ=="]
OTHERS = ["AQ", "-_8", "!", "2025-01-31T09:30:00Z", "2025-01-31T09:30:00.5+02:00", "2025-01-31"]
VALUES = ["true", "null", "[]", "{}", "[1]", '["1"]', "[null]", '{"name":"x"}', '{"nope":1}']
RAW_VALUES = [*NUMBERS, *EDGES, *VALUES, *(json.dumps(word) for word in [*WORDS, *OTHERS])]


def decode(message: Message, text: str | bytes) -> Message:
    """Fill a message from JSON, our way."""
    DECODERS.message(message.DESCRIPTOR)(
        message, text.encode() if isinstance(text, str) else text, ""
    )
    return message


def encode(message: Message) -> bytes:
    """Write a message as JSON, our way."""
    return ENCODERS.message(message.DESCRIPTOR)(message)


def problems(message: Message, text: str) -> list[tuple[str, str]]:
    """What our reader finds wrong."""
    with pytest.raises(FieldsInvalid) as caught:
        decode(message, text)
    return [(problem.path, problem.message) for problem in caught.value.problems]


@given(fields=MESSAGES)
def test_writes_what_protobuf_writes(make: Make, fields: dict[str, Any]):
    """Every message has the JSON that json_format gives it, plus its false booleans."""
    message = make("Everything", **fields)
    expected = {"flag": False} | json_format.MessageToDict(message)
    assert json.loads(encode(message)) == json.loads(json.dumps(expected))


@given(fields=MESSAGES, proto_names=st.booleans())
def test_reads_what_protobuf_writes(make: Make, fields: dict[str, Any], *, proto_names: bool):
    """JSON from json_format, by either kind of name, becomes the same message again."""
    message = make("Everything", **fields)
    text = json_format.MessageToJson(message, preserving_proto_field_name=proto_names)
    assert same(decode(make("Everything"), text), message)


@given(fields=MESSAGES)
def test_reads_what_it_writes(make: Make, fields: dict[str, Any]):
    """Our JSON becomes the same message again."""
    message = make("Everything", **fields)
    assert same(decode(make("Everything"), encode(message)), message)


def same(one: Message, other: Message) -> bool:
    """Equality under which NaN equals itself."""
    return one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def field_names(everything: FileDescriptor) -> list[str]:
    """JSON names of the contract with every kind of field."""
    return [field.json_name for field in everything.message_types_by_name["Everything"].fields]


# What json_format takes although ProtoJSON does not have it, and we refuse.
LAX = {
    "numbers": {'"1_0"', '"+1"', '" 1"'},
    "blob": {'"!"', '"2025-01-31T09:30:00Z"', '"2025-01-31T09:30:00.5+02:00"'},
    "real": {"true"},
    "colour": {"true", "1.5", "12e-1", "4294967296", "9007199254740993"},
    "inner": {"[]", '""'},
    "nothing": {"[]", '""'},
}


def test_agrees_with_protobuf_on_what_is_valid(make: Make, everything: FileDescriptor):
    """Any value in any field means what it means to json_format, or is refused as it refuses it.

    Apart from a few forms that only Python's reader takes; those we refuse.
    """
    for name, raw in itertools.product(field_names(everything), RAW_VALUES):
        text = f'{{"{name}":{raw}}}'
        expected = attempt(lambda text=text: json_format.Parse(text, make("Everything")))
        found = attempt(lambda text=text: decode(make("Everything"), text))
        if found is None:
            lax = raw in LAX["numbers"] or raw in LAX.get(name, ())
            assert expected is None or lax, text
        else:
            assert expected is not None, text
            # Python reads -0 as a whole number, which loses the sign.
            assert same(found, expected) or text == '{"real":-0}', text


def attempt(read: Callable[[], Message]) -> Message | None:
    """What a reader answers; None when it refuses."""
    try:
        return read()
    except (FieldsInvalid, json_format.ParseError):
        return None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"texts":["a",5]}', [("/texts/1", "must be a string, not a number")]),
        ('{"texts":{}}', [("/texts", "must be an array, not an object")]),
        ('{"texts":[null]}', [("/texts/0", "must be a string, not null")]),
        ('{"inner":[]}', [("/inner", "must be an object, not an array")]),
        (
            '{"inner":{"next":{"count":"x"}}}',
            [("/inner/next/count", "must be a whole number, not 'x'")],
        ),
        (
            '{"inners":[{},{"count":true}]}',
            [("/inners/1/count", "must be a whole number, not true")],
        ),
        ('{"inners":[1]}', [("/inners/0", "must be an object, not a number")]),
        ('{"small":3000000000}', [("/small", "must be between -2147483648 and 2147483647")]),
        ('{"small":1.5}', [("/small", "must be a whole number, not 1.5")]),
        ('{"small":1e99}', [("/small", "is out of range")]),
        ('{"bigNumber":1e9999999999}', [("/bigNumber", "is out of range")]),
        ('{"flag":"true"}', [("/flag", "must be true or false, not a string")]),
        ('{"real":1e400}', [("/real", "is out of range")]),
        (f'{{"real":{"1" * 100_000}}}', [("/real", "is out of range")]),
        (f'{{"small":{"1" * 100_000}}}', [("/small", "is out of range")]),
        (
            '{"colour":"red"}',
            [("/colour", "must be one of NONE, RED, DARK_BLUE, BELOW, not 'red'")],
        ),
        ('{"blob":"*"}', [("/blob", "must be base64")]),
        (
            '{"happenedAt":"today"}',
            [
                (
                    "/happenedAt",
                    "must be a time such as 2025-01-31T09:30:00Z (RFC 3339), not 'today'",
                )
            ],
        ),
        ('{"happenedAt":5}', [("/happenedAt", "must be a string, not a number")]),
        ('{"left":"a","right":1}', [("/right", "excludes 'left', which is there too")]),
        ('{"bigNumber":1,"big_number":1}', [("/big_number", "is there twice, under two names")]),
        ('{"text":"a","text":"b"}', [("/text", "is there twice")]),
        ("[]", [("", "must be an object, not an array")]),
        (
            '{"small":"x","flag":1}',
            [
                ("/small", "must be a whole number, not 'x'"),
                ("/flag", "must be true or false, not a number"),
            ],
        ),
    ],
)
def test_says_what_is_wrong_and_where(make: Make, text: str, expected: list[tuple[str, str]]):
    """Each problem has the pointer of its value and says what would do."""
    assert problems(make("Everything"), text) == expected


def test_an_unknown_field_is_named_with_a_guess():
    """A mistyped name is refused with the nearest name and all that there are."""
    ((path, message),) = problems(CreateInstanceRequest(), '{"confg":{}}')
    assert path == "/confg"
    assert message.startswith("is not a field here; did you mean 'config'?")
    assert message.endswith("There is config, integrationDefinitionId, name")


@pytest.mark.parametrize("name", ["~a/b", "x" * 100_000])
def test_an_odd_name_is_pointed_to(name: str):
    """A pointer escapes what it has to, and a huge name is not searched for."""
    ((path, message),) = problems(CreateInstanceRequest(), json.dumps({name: 1}))
    assert path == "/" + name.replace("~", "~0").replace("/", "~1")
    assert "did you mean" not in message


def test_problems_are_bounded():
    """A body full of mistakes is not answered with a list as long."""
    text = json.dumps({f"f{number}": 1 for number in range(1000)})
    assert len(problems(CreateInstanceRequest(), text)) == 20


def test_null_leaves_a_field_unset_but_is_a_value_of_json():
    """`null` means absence, except in a field that holds any JSON."""
    message = decode(UpdateInstanceRequest(), '{"name":null,"etag":null,"config":null}')
    assert message == UpdateInstanceRequest(config={"utf8": b"null"})


def test_an_empty_optional_text_is_a_value():
    """Presence survives both ways where the contract has it."""
    message = decode(UpdateInstanceRequest(), '{"name":""}')
    assert message.HasField("name")
    assert encode(message) == b'{"name":""}'


JSON_TEXTS = [
    "1.0",
    "1e2",
    "-0",
    "9007199254740993",
    "123456789012345678901234567890.123456789",
    '{ "z" : 1 ,\n"a":[ 1,  2 ],"z":2 }',
    '"\\u00e9\\/é\u2028"',
    '{"":{"":[]}}',
    "null",
    "false",
    '""',
]


@pytest.mark.parametrize("raw", JSON_TEXTS)
def test_json_survives_byte_for_byte(make: Make, raw: str):
    """What a `Json` field is given goes in and out with every byte, and nothing around it."""
    text = f'{{ "values" : [ {raw} ,{raw}\t], "value":\r\n {raw} }}'
    message = decode(make("Dynamic"), text)
    assert message.value.utf8 == raw.encode()
    assert encode(message) == f'{{"value":{raw},"values":[{raw},{raw}]}}'.encode()


def test_json_without_a_value_is_left_out(make: Make):
    """A `Json` that holds no text is no member, and null in a list, whose places count."""
    message = make("Dynamic", value={}, values=[{}, {"utf8": b"1"}], name="n")
    assert encode(message) == b'{"values":[null,1],"name":"n"}'
    assert encode(make("Judged", value={}, inner={})) == b'{"fine":false,"inner":{}}'


def test_unset_fields_are_left_out():
    """Only what is set is shown."""
    definition = Definition(id="d", status=Definition.PUBLISHED, methods=[Method(name="m")])
    assert encode(definition) == b'{"id":"d","status":"PUBLISHED","methods":[{"name":"m"}]}'


def test_nothing_is_still_shown_where_it_is_a_fact():
    """An empty list has its items, a page its numbers, a verdict its false."""
    empty = ListDefinitionsResponse(pagination=Pagination(page=1, limit=20))
    assert encode(empty) == (b'{"items":[],"pagination":{"page":1,"limit":20,"total":0,"pages":0}}')
    assert encode(ValidateDefinitionResponse()) == b'{"valid":false}'


@pytest.mark.parametrize(
    "field",
    [
        "float ratio = 1;",
        "google.protobuf.Struct any = 1;",
        "google.protobuf.Duration wait = 1;",
        "map<string, string> labels = 1;",
    ],
)
def test_a_type_without_json_form_is_refused_at_start(
    compile_contract: Callable[[str], FileDescriptor], field: str
):
    """A contract that the codec cannot speak is found out before it serves."""
    message = compile_contract(f"message M {{ {field} }}").message_types_by_name["M"]
    with pytest.raises(UnsupportedField, match="no JSON form"):
        Decoders().message(message)
    with pytest.raises(UnsupportedField, match="no JSON form"):
        Encoders().message(message)
