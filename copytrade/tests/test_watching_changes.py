"""Telling changes from readings whose lists and deals disagree for a while."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.tests.factories import NOW
from copytrade.core.kinds import EventKind, OrderType
from copytrade.watching.baseline import baseline
from copytrade.watching.changes import DIFFERS_FOR, Evidence, detect
from copytrade.watching.deals import IN, INOUT, OUT
from copytrade.watching.facts import (
    AccountReading,
    Change,
    HeldPosition,
    KnownOrder,
    KnownPosition,
    Memory,
    NewDeal,
    WaitingOrder,
)
from copytrade.watching.ids import event_id

TICKET = 500
LATER = Evidence(now=NOW)


def held(lots: str, *, is_buy: bool = True, sl: float = 0.0) -> HeldPosition:
    return HeldPosition(
        identifier=TICKET, symbol="EURUSD", is_buy=is_buy, lots=Decimal(lots), stop_loss=sl
    )


def deal(number: int, lots: str, entry: int = IN, *, is_buy: bool = True) -> NewDeal:
    return NewDeal(
        ticket=number, order=number + 1000, position=TICKET, symbol="EURUSD", is_buy=is_buy,
        entry=entry, reason=0, lots=Decimal(lots), price=1.1, magic=0, happened_at=NOW,
    )  # fmt: skip


def reading(*positions: HeldPosition, deals: tuple[NewDeal, ...] = ()) -> AccountReading:
    return AccountReading(
        positions={each.identifier: each for each in positions},
        orders={},
        deals=deals,
        is_hedging=True,
    )


def known(lots: str, *, sl: float = 0.0) -> Memory:
    return Memory({TICKET: KnownPosition(held=held(lots, sl=sl), is_told=True)})


def test_a_position_that_is_gone_without_its_deal_means_nothing_yet() -> None:
    changes, memory = detect(known("1"), reading(), LATER)

    assert changes == []
    assert memory.positions[TICKET].held.lots == 1
    changes, memory = detect(memory, reading(deals=(deal(7, "1", OUT, is_buy=False),)), LATER)
    assert [(each.kind, each.lots) for each in changes] == [(EventKind.CLOSE, Decimal(1))]
    assert memory.positions == {}


def test_a_position_that_appears_without_its_deal_means_nothing_yet() -> None:
    changes, memory = detect(Memory(), reading(held("1", sl=1.09)), LATER)

    assert (changes, memory) == ([], Memory())


def test_a_deal_that_comes_before_the_list_has_it_decides() -> None:
    closes = (deal(7, "1", OUT, is_buy=False),)

    changes, memory = detect(known("1"), reading(held("1"), deals=closes), LATER)

    assert [(each.kind, each.lots, each.lots_before) for each in changes] == [
        (EventKind.CLOSE, Decimal(1), Decimal(1))
    ]
    assert detect(memory, reading(held("1")), LATER) == ([], memory)


def test_stops_that_the_list_shows_after_the_open_was_told_are_told_as_moved() -> None:
    changes, memory = detect(Memory(), reading(deals=(deal(7, "1"),)), LATER)
    assert [(each.kind, each.stop_loss) for each in changes] == [(EventKind.OPEN, 0.0)]

    changes, _ = detect(memory, reading(held("1", sl=1.09)), LATER)

    assert [(each.kind, each.key, each.stop_loss) for each in changes] == [
        (EventKind.STOPS, f"{TICKET}:1", 1.09)
    ]


def test_lots_that_no_deal_explains_are_believed_in_the_end() -> None:
    shown, instant = reading(held("0.6")), timedelta(microseconds=1)
    _, memory = detect(known("1"), shown, LATER)
    _, memory = detect(memory, shown, Evidence(now=NOW + DIFFERS_FOR - instant))
    assert memory.positions[TICKET].held.lots == 1

    changes, memory = detect(memory, shown, Evidence(now=NOW + DIFFERS_FOR))

    assert changes == []
    assert memory.positions[TICKET].held.lots == Decimal("0.6")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, (EventKind.PARTIAL_CLOSE, Decimal(1), Decimal("0.5"))),
        (15.0, (EventKind.PARTIAL_CLOSE, Decimal(1), Decimal("0.5"))),
        (15.1, (EventKind.CLOSE, Decimal("0.5"), None)),
    ],
)
def test_what_a_list_took_off_is_not_taken_off_again_by_the_deal_that_explains_it(
    seconds: float, expected: tuple[EventKind, Decimal, Decimal | None]
) -> None:
    shown = reading(held("0.5"))
    _, memory = detect(known("1"), shown, LATER)
    _, memory = detect(memory, shown, Evidence(now=NOW + DIFFERS_FOR))
    assert memory.positions[TICKET].held.lots == Decimal("0.5")

    late = replace(deal(7, "0.5", OUT, is_buy=False), happened_at=NOW + timedelta(seconds=seconds))
    after = Evidence(now=NOW + 2 * DIFFERS_FOR)
    changes, memory = detect(memory, reading(held("0.5"), deals=(late,)), after)

    kind, before, left = expected
    assert [(each.kind, each.lots, each.lots_before) for each in changes] == [
        (kind, Decimal("0.5"), before)
    ]
    assert (memory.positions[TICKET].held.lots if TICKET in memory.positions else None) == left
    if left is not None:
        ends = replace(late, ticket=8)
        changes, _ = detect(memory, reading(deals=(ends,)), after)
        assert [(each.kind, each.lots_before) for each in changes] == [(EventKind.CLOSE, left)]


def test_a_close_of_what_was_never_seen_is_measured_by_what_is_left() -> None:
    closes = (deal(7, "0.4", OUT, is_buy=False),)

    changes, _ = detect(Memory(), reading(held("0.6"), deals=closes), LATER)

    assert [(each.kind, each.is_buy, each.lots_before) for each in changes] == [
        (EventKind.PARTIAL_CLOSE, True, Decimal(1))
    ]


def test_ids_differ_by_provider_login_kind_and_key() -> None:
    base = (UUID(int=1), "Example-Demo", 77, EventKind.OPEN, "5")
    others = [
        (UUID(int=2), *base[1:]),
        (base[0], "Example-Live", *base[2:]),
        (*base[:2], 78, *base[3:]),
        (*base[:3], EventKind.CLOSE, "5"),
        (*base[:4], "6"),
    ]

    ids = {event_id(*each) for each in (base, *others)}

    assert len(ids) == 6
    # Written down: an id that changes with a release would copy everything once more.
    assert str(event_id(*base)) == "b164cbca-6e22-5a02-b0f4-2062c650c32a"


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 300)), min_size=1, max_size=12
)  # direction, hundredths of a lot


@given(STEPS, st.integers(0, 12))
@settings(max_examples=100, deadline=None)
def test_any_history_reads_the_same_from_wherever_the_watch_begins(
    steps: list[tuple[bool, int]], begin: int
) -> None:
    """A netted position's deals, taken in one by one or in one reading after the fact."""
    deals, net = [], Decimal(0)
    nets = [net]
    for number, (is_buy, hundredths) in enumerate(steps, start=1):
        lots = Decimal(hundredths) / 100
        signed = lots if is_buy else -lots
        opens = net == 0 or (net > 0) is is_buy
        entry = IN if opens else (OUT if lots <= abs(net) else INOUT)
        deals.append(deal(number, str(lots), entry, is_buy=is_buy))
        net += signed
        nets.append(net)
    begin = min(begin, len(deals))

    def shown(place: int, *new: NewDeal) -> AccountReading:
        lots = nets[place]
        there = [held(str(abs(lots)), is_buy=lots > 0)] if lots else []
        return reading(*there, deals=new)

    memory = Memory()
    one_by_one = []
    for place, each in enumerate(deals, start=1):
        changes, memory = detect(memory, shown(place, each), LATER)
        if place > begin:
            one_by_one += changes
    at_once = shown(len(deals), *deals[begin:])
    start = baseline(at_once, told_stops={}, told_orders={}, started_at=NOW)
    afterwards, _ = detect(start, at_once, LATER)

    def essence(changes: list[Change]) -> list[tuple[object, ...]]:
        return [(each.kind, each.key, each.is_buy, each.lots, each.lots_before) for each in changes]

    assert essence(afterwards) == essence(one_by_one)
    total = sum(
        (each.lots or 0) * (1 if each.is_buy else -1) * (1 if each.kind == EventKind.OPEN else -1)
        for each in afterwards
    )
    assert total == nets[-1] - nets[begin]


def test_each_part_of_a_pending_order_opens_and_the_order_ends_with_the_last() -> None:
    order = WaitingOrder(
        ticket=9, symbol="EURUSD", is_buy=True, order_type=OrderType.LIMIT, lots=Decimal("1.0"),
        price=1.09, placed_at=NOW,
    )  # fmt: skip
    memory = Memory({}, {9: KnownOrder(order=order, is_told=True)})
    first = replace(deal(1, "0.4"), order=9)
    rest = replace(deal(2, "0.6"), order=9)

    partly = replace(
        reading(held("0.4"), deals=(first,)), orders={9: replace(order, lots=Decimal("0.6"))}
    )
    told, memory = detect(memory, partly, LATER)
    assert [(each.kind, each.lots, each.order) for each in told] == [
        (EventKind.OPEN, Decimal("0.4"), 9)
    ]

    told, memory = detect(memory, reading(held("1.0"), deals=(rest,)), LATER)
    assert [(each.kind, each.lots_before) for each in told] == [
        (EventKind.PENDING_FILLED, None),
        (EventKind.OPEN, Decimal("0.4")),
    ]
    assert memory.orders == {}
