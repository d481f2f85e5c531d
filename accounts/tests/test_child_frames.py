"""The frames between a terminal host and its children."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.terminals.child.frames import (
    HEADER,
    LARGEST_PAYLOAD_BYTES,
    LAYOUT,
    Bye,
    Failure,
    Farewell,
    Frame,
    FrameError,
    FrameReader,
    Hello,
    Kind,
    Request,
    bye_of,
    bye_payload,
    cursor_of,
    cursor_payload,
    failure_of,
    failure_payload,
    frame,
    hello_of,
    hello_payload,
    pack,
    reading_body,
    reading_of,
    reading_payload,
    request_of,
    request_payload,
    same_of,
    same_payload,
    unpack,
)
from accounts.terminals.child.rows import unanswered_row
from accounts.terminals.readings import ACCOUNT_DTYPE, POSITION_DTYPE, Outcome

FRAMES = st.lists(
    st.tuples(st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.binary(max_size=40)),
    max_size=5,
)  # fmt: skip
DECODERS: list[Callable[[bytes], Any]] = [
    hello_of, reading_of, same_of, failure_of, bye_of, request_of, cursor_of, unpack,
]  # fmt: skip


@given(FRAMES, st.integers(1, 20))
def test_it_cuts_a_stream_into_its_frames(
    frames: list[tuple[Kind, int, bytes]], piece_bytes: int
) -> None:
    stream = b"".join(frame(kind, payload, number) for kind, number, payload in frames)
    reader = FrameReader()

    came = [
        each
        for start in range(0, len(stream), piece_bytes)
        for each in reader.feed(stream[start : start + piece_bytes])
    ]

    assert came == [Frame(*each[:2], each[2]) for each in frames]


@pytest.mark.parametrize(
    "garbage",
    [
        b"Traceback (most recent call last):",
        HEADER.pack(0, 0, 0),
        HEADER.pack(99, 0, 0),
        HEADER.pack(Kind.READING, 0, LARGEST_PAYLOAD_BYTES + 1),
    ],
)
def test_it_refuses_what_is_no_frame(garbage: bytes) -> None:
    with pytest.raises(FrameError):
        list(FrameReader().feed(garbage))


def test_it_hands_out_the_frames_before_the_garbage() -> None:
    came = FrameReader().feed(frame(Kind.STOP) + b"\0" * HEADER.size)

    assert next(came).kind is Kind.STOP
    with pytest.raises(FrameError):
        next(came)


@pytest.mark.parametrize("length", [LARGEST_PAYLOAD_BYTES, 1])
def test_it_waits_for_the_rest_of_a_frame(length: int) -> None:
    assert list(FrameReader().feed(HEADER.pack(Kind.READING, 0, length))) == []


@given(st.sampled_from(DECODERS), st.binary(max_size=60))
def test_it_takes_any_payload_apart_or_refuses_it(
    decode: Callable[[bytes], Any], payload: bytes
) -> None:
    try:
        decode(payload)
    except FrameError:
        return


def test_it_gives_back_what_was_sent() -> None:
    hello = Hello(LAYOUT, 4711, "5.0.6231", "3.11.7")
    failure = Failure(-10005, "IPC timeout", may_have_executed=True)
    bye = Bye(Farewell.NO_PACKAGE, "The MetaTrader5 package is not installed.")
    request = Request("order_send", (1001, {"volume": 0.1, "type": 1}), send_by=17.5)

    assert hello_of(hello_payload(hello)) == hello
    assert failure_of(failure_payload(failure)) == failure
    assert bye_of(bye_payload(bye)) == bye
    assert request_of(request_payload(request)) == request
    assert same_of(same_payload(12.25)) == 12.25
    assert cursor_of(cursor_payload(2**62)) == 2**62


def test_it_carries_arrays_and_numbers_beyond_the_sign() -> None:
    bars = np.array([(1, 2.5)], dtype=[("time", "<i8"), ("open", "<f8")])

    rates, magic, price = unpack(pack((bars, 2**64 - 1, np.float64(1.5))))

    assert rates.dtype == bars.dtype
    assert rates.tolist() == bars.tolist()
    assert (magic, price) == (2**64 - 1, 1.5)


def test_it_refuses_arrays_of_objects_on_both_sides() -> None:
    with pytest.raises(TypeError, match="cannot cross"):
        pack(object())
    with pytest.raises(FrameError):
        unpack(b"\xc7\x04\x02abcd")


def test_it_takes_a_reading_apart_and_refuses_a_part_of_one() -> None:
    positions = np.zeros(2, dtype=POSITION_DTYPE)
    positions["ticket"] = [7, 8]
    row = unanswered_row(Outcome.SILENT, -10005)
    body = reading_body(row, (positions.tobytes(), b"", b"", b""), ["EURUSD"], "S", "USD")
    payload = reading_payload(3.5, body)

    reading = reading_of(payload)

    assert (reading.taken_at, reading.server, reading.currency) == (3.5, "S", "USD")
    assert reading.symbols == ("EURUSD",)
    assert reading.account.dtype == ACCOUNT_DTYPE
    assert reading.account["outcome"].tolist() == [Outcome.SILENT]
    assert reading.positions["ticket"].tolist() == [7, 8]
    assert (len(reading.orders), len(reading.deals), len(reading.prices)) == (0, 0, 0)
    for length in range(len(payload)):
        with pytest.raises(FrameError):
            reading_of(payload[:length])


def test_it_refuses_a_count_of_rows_that_are_not_there() -> None:
    row = unanswered_row(Outcome.NONE, -1)
    payload = bytearray(reading_payload(0.0, reading_body(row, (b"",) * 4, (), "", "")))
    struct.pack_into("<I", payload, 8, 2**32 - 1)

    with pytest.raises(FrameError, match="cut short"):
        reading_of(bytes(payload))
