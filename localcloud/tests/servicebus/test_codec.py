"""AMQP's types on the wire, with the SDK's own codec as the oracle."""

import uuid
from typing import Any

import pytest
from azure.servicebus._pyamqp._decode import decode_payload
from azure.servicebus._pyamqp._encode import encode_payload, encode_value
from azure.servicebus._pyamqp.message import Header, Message, Properties
from hypothesis import given
from hypothesis import strategies as st

from localcloud.servicebus import amqp_types, decoding, encoding
from localcloud.servicebus.amqp_types import Array, CodecError, Described, Symbol, Timestamp, ULong
from localcloud.servicebus.message import VALUE, encode_section, read_message, sections, write_message
from localcloud.servicebus.performatives import Attach, Transfer, decode_frame, encode_frame

from .conftest import nested


def integers(kind: type, bits: int, *, signed: bool) -> st.SearchStrategy[Any]:
    lowest = -(2 ** (bits - 1)) if signed else 0
    return st.integers(lowest, lowest + 2**bits - 1).map(kind)


SIMPLE: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    amqp_types.UByte: integers(amqp_types.UByte, 8, signed=False),
    amqp_types.UShort: integers(amqp_types.UShort, 16, signed=False),
    amqp_types.UInt: integers(amqp_types.UInt, 32, signed=False),
    amqp_types.ULong: integers(amqp_types.ULong, 64, signed=False),
    amqp_types.Byte: integers(amqp_types.Byte, 8, signed=True),
    amqp_types.Short: integers(amqp_types.Short, 16, signed=True),
    amqp_types.Int: integers(amqp_types.Int, 32, signed=True),
    int: integers(int, 64, signed=True),
    Timestamp: integers(Timestamp, 64, signed=True),
    float: st.floats(allow_nan=False),
    amqp_types.Float: st.floats(allow_nan=False, width=32).map(amqp_types.Float),
    uuid.UUID: st.uuids(),
    bytes: st.binary(max_size=300),
    str: st.text(max_size=300),
    Symbol: st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol),
}
OPAQUE = [
    st.none(),
    st.characters(exclude_categories=["Cs"]).map(amqp_types.Char),
    st.binary(min_size=4, max_size=4).map(amqp_types.Decimal32),
    st.binary(min_size=8, max_size=8).map(amqp_types.Decimal64),
    st.binary(min_size=16, max_size=16).map(amqp_types.Decimal128),
]
simple = st.one_of(*SIMPLE.values(), *OPAQUE)
arrays = st.one_of(*(st.lists(elements, max_size=5).map(Array) for elements in SIMPLE.values()))
values = st.recursive(
    simple | arrays,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=8) | st.text("ab", max_size=8).map(Symbol), inner, max_size=5)
        | st.builds(Described, integers(ULong, 64, signed=False), inner)
    ),
    max_leaves=20,
)


def typed(value: Any) -> Any:
    """The value with the type of every part, since `UInt(1) == 1`."""
    if isinstance(value, dict):
        return dict, [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [typed(item) for item in value]
    return type(value), value


@given(values)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    encoded = encoding.encode(value)
    decoded, end = decoding.decode(encoded)
    assert typed(decoded) == typed(value)
    assert end == len(encoded)


@given(st.one_of(*SIMPLE.values()) | st.lists(st.integers(0, 2**40), max_size=400))
def test_the_sdk_reads_what_we_write(value: Any) -> None:
    theirs = decode_payload(memoryview(encode_section(VALUE, value))).value
    if isinstance(theirs, bytes) and not isinstance(value, bytes):
        theirs = theirs.decode()  # the SDK leaves text as bytes
    assert theirs == value


@given(
    st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(max_size=300) | st.binary(max_size=300) | st.uuids(),
)
def test_we_read_what_the_sdk_writes(value: Any) -> None:
    encoded = bytearray()
    encode_value(encoded, value)
    assert decoding.decode(bytes(encoded)) == (value, len(encoded))


@given(values, st.data())
def test_a_value_cut_short_is_refused(value: Any, data: st.DataObject) -> None:
    encoded = encoding.encode(value)
    with pytest.raises(CodecError):
        decoding.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_that_can_be_written_again_or_refused(noise: bytes) -> None:
    try:
        value, end = decoding.decode(noise)
    except CodecError:
        return
    assert 0 < end <= len(noise)
    assert typed(decoding.decode(encoding.encode(value))[0]) == typed(value) or "nan" in repr(value)


@pytest.mark.parametrize(
    "encoded",
    [
        bytes([0xD0, 0, 0, 0, 4, 0xFF, 0xFF, 0xFF, 0xFF]),  # a list of four thousand million values in no bytes
        bytes([0xF0, 0, 0, 0, 5, 0xFF, 0xFF, 0xFF, 0xFF, 0x40]),  # an array of as many nulls
        bytes([0xC1, 2, 1, 0x40]),  # a map with half a pair
        bytes([0xC1, 3, 2, 0x45, 0x40]),  # a list as the key of a map
        bytes([0xA1, 1, 0xFF]),  # no UTF-8
        bytes([0x73, 0xFF, 0xFF, 0xFF, 0xFF]),  # no character
        bytes([0x99]),  # no type
        bytes([0xE0, 3, 1, 0x45, 0x45]),  # an array of lists, which we could not write again
        b"\x00\x53\x01" * 5000,  # nested without end
        b"\x00" * 5000,  # nested in its descriptor
    ],
)
def test_hostile_bytes_are_refused(encoded: bytes) -> None:
    with pytest.raises(CodecError):
        decoding.decode(encoded)


def test_a_message_may_be_nested_as_deeply_as_the_sdk_decodes() -> None:
    deepest, too_deep = nested(64), nested(65)
    decode_payload(memoryview(deepest))
    assert decoding.decode(deepest)[1] == len(deepest)
    with pytest.raises(ValueError, match="exceeds maximum depth"):
        decode_payload(memoryview(too_deep))
    with pytest.raises(CodecError, match="more than 64 levels"):
        decoding.decode(too_deep)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(2**63, id="above 64 bits"),
        pytest.param(amqp_types.UByte(256), id="above 8 bits"),
        pytest.param(object(), id="no type of AMQP"),
        pytest.param(Symbol("é"), id="a symbol beyond ASCII"),
        pytest.param(Array([1, "a"]), id="an array of two types"),
        pytest.param(Array([[]]), id="an array of lists"),
    ],
)
def test_what_amqp_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(CodecError):
        encoding.encode(value)


def test_a_frame_comes_back_with_its_payload() -> None:
    transfer = Transfer(handle=1, delivery_id=300, delivery_tag=b"tag", settled=True, more=False)
    frame = encode_frame(7, transfer, b"payload")
    assert int.from_bytes(frame[:4], "big") == len(frame)
    assert int.from_bytes(frame[6:8], "big") == 7
    assert decode_frame(frame[8:]) == (transfer, b"payload")


def test_a_frame_of_an_unknown_kind_or_with_too_many_fields_is_refused() -> None:
    for performative in (Described(ULong(0x99), []), Described(ULong(0x17), [None] * 9), ["no performative"]):
        with pytest.raises(CodecError):
            decode_frame(encoding.encode(performative))


def test_source_and_target_are_echoed_byte_for_byte() -> None:
    source = Described(ULong(0x28), ["address", amqp_types.UInt(0), Symbol("session-end"), {Symbol("f"): 1}])
    attach = Attach("link", 0, receiver=True, source=source)
    [decoded, _] = decode_frame(encode_frame(0, attach)[8:])
    assert encoding.encode(decoded.source) == encoding.encode(source)


def sdk_message(**parts: Any) -> bytes:
    return bytes(encode_payload(bytearray(), Message(**parts)))


@given(
    st.text(min_size=1, max_size=20),
    st.dictionaries(st.text(min_size=1, max_size=8), st.integers(0, 100) | st.text(max_size=8), max_size=4),
    st.lists(st.binary(max_size=300), min_size=1, max_size=3),
)
def test_a_message_of_the_sdk_passes_through_unchanged(
    message_id: str, properties: dict[str, Any], data: list[bytes]
) -> None:
    encoded = sdk_message(
        header=Header(ttl=5000),
        message_annotations={b"x-opt-partition-key": "key"},
        properties=Properties(message_id=message_id),
        application_properties=properties,
        data=data,
    )
    message, read_id = read_message(encoded)
    assert (read_id, message.time_to_live) == (message_id, 5.0)
    received = decode_payload(memoryview(write_message(message)))
    sent = decode_payload(memoryview(encoded))
    assert received.properties == sent.properties
    assert received.application_properties == sent.application_properties
    assert received.data == sent.data
    assert received.message_annotations is not None
    assert received.message_annotations[b"x-opt-partition-key"] == b"key"


def test_what_only_the_broker_may_annotate_is_dropped() -> None:
    forged = {Symbol("x-opt-sequence-number"): 99, Symbol("x-opt-deadletter-source"): "x", Symbol("mine"): 1}
    message, _ = read_message(encode_section(0x72, forged) + encode_section(VALUE, "a"))
    assert message.annotations == {Symbol("mine"): 1}


@pytest.mark.parametrize("fields", [["yes"], [None, 300], [None, None, "soon"]])
def test_a_header_with_fields_of_the_wrong_type_is_refused(fields: list[Any]) -> None:
    with pytest.raises(CodecError):
        read_message(encode_section(0x70, fields) + encode_section(VALUE, "a"))


@pytest.mark.parametrize("code", [0x70, 0x72, 0x73, 0x74, 0x75])
def test_a_section_of_the_wrong_type_is_refused(code: int) -> None:
    with pytest.raises(CodecError):
        read_message(encode_section(code, "no such thing"))


def test_sections_are_found_with_their_places() -> None:
    first, second = encode_section(0x73, ["id"]), encode_section(VALUE, "a")
    assert [(part.code, part.start, part.end) for part in sections(first + second)] == [
        (0x73, 0, len(first)),
        (VALUE, len(first), len(first) + len(second)),
    ]
