from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.core.closes import CloseLots, closable, partial_close
from copytrade.core.facts import HeldCopy, NetHolding
from copytrade.core.kinds import EventKind, HeldState, OrderKind, RelationshipState, SkipReason
from copytrade.tests.core_cases import contract, event, follower, held, planned, skipped, terms

D = Decimal


@pytest.mark.parametrize(
    ("available", "closed", "before", "expected"),
    [
        ("0.23", "0.50", "1.00", "0.11"),  # 0.115
        ("0.23", "1.00", "1.00", "0.23"),
        ("0.23", "0.99", "1.00", "0.22"),  # 0.2277, and 0.01 stays
        ("0.29", "0.10", "0.10", "0.29"),
        ("1.00", "0.30", "0.90", "0.33"),
        ("3.00", "1.00", "3.00", "1.00"),  # a third, whole
        ("0.02", "0.50", "1.00", "0.01"),
        ("0.01", "0.50", "1.00", "0"),  # less than a step
        ("0.01", "0.99", "1.00", "0"),
        ("0.57", "1.00", "1.00", "0.57"),
        ("0.50", "2.00", "1.00", "0.50"),
        ("0", "0.50", "1.00", "0"),
        ("0.50", "0", "1.00", "0"),
    ],
)
def test_a_part_closes_in_proportion(
    available: str, closed: str, before: str, expected: str
) -> None:
    assert partial_close(D(available), D(closed), D(before), contract()) == D(expected)


@pytest.mark.parametrize(
    ("available", "closed", "expected"),
    [
        ("0.50", "0.50", "0.25"),
        ("0.20", "0.50", "0.10"),
        ("0.15", "0.50", "0.15"),  # 0.08 would stay
        ("0.19", "0.50", "0"),  # 0.10 can stay, 0.09 cannot be closed
        ("0.30", "0.70", "0.30"),
        ("0.50", "0.10", "0"),  # 0.05 cannot be closed, 0.45 can stay
    ],
)
def test_a_remainder_below_the_smallest_lot_closes_as_well(
    available: str, closed: str, expected: str
) -> None:
    coarse = contract(volume_min=D("0.10"), volume_step=D("0.01"))

    assert partial_close(D(available), D(closed), D(1), coarse) == D(expected)


_volumes = st.decimals("0.01", "50", places=2)


@given(
    start=_volumes,
    provider=_volumes,
    parts=st.lists(st.decimals("0.01", "0.99", places=2), max_size=12),
    step=st.sampled_from(["0.01", "0.1"]).map(D),
)
def test_parts_never_add_up_to_more_than_is_held(
    start: Decimal, provider: Decimal, parts: list[Decimal], step: Decimal
) -> None:
    terms_of_symbol = contract(volume_min=step, volume_step=step)
    available = start // step * step
    first, closed_in_all = available, D(0)
    for part in parts:
        closed = (provider * part).quantize(D("0.01"))
        lots = partial_close(available, closed, provider, terms_of_symbol)
        assert lots % step == 0
        assert 0 <= lots <= available
        available, provider = available - lots, provider - closed
        closed_in_all += lots
        assert available == 0 or available >= terms_of_symbol.volume_min
    assert closed_in_all + available == first
    assert partial_close(available, D(1), D(1), terms_of_symbol) == available


@pytest.mark.parametrize(
    ("ours", "there", "closing", "expected"),
    [
        ("0.23", "0.23", "0", "0.23"),
        ("0.23", "0.10", "0", "0.10"),  # reduced by hand
        ("0.23", "0.50", "0", "0.23"),
        ("0.23", "0", "0", "0"),
        ("0.23", None, "0", "0.23"),  # no reading: the ledger counts
        ("0.23", "0.23", "0.11", "0.12"),  # a close under way, not read yet
        ("0.23", "0.12", "0.11", "0.12"),  # and read
        ("0.23", None, "0.23", "0"),
    ],
)
def test_a_ticket_closes_what_it_holds(
    ours: str, there: str | None, closing: str, expected: str
) -> None:
    copy = held(ours, position_lots=None if there is None else D(there), closing_lots=D(closing))

    assert closable(copy) == CloseLots(D(expected))


@pytest.mark.parametrize(
    ("is_buy", "ours", "position", "copied", "expected", "netted"),
    [
        (True, "1", "1", "1", "1", "0"),
        (True, "1", "3", "3", "1", "0"),  # two more copies add up with it
        (False, "1", "-3", "-3", "1", "0"),
        (True, "1", "0.4", "1", "0.4", "0"),  # reduced by hand
        (True, "1", "0", "1", "0", "0"),  # closed by hand
        (True, "1", "-2", "1", "0", "0"),  # turned by hand: not ours to add to
        (True, "1", "5", "1", "1", "0"),  # added to by hand
        (True, "1", "0", "0", "1", "1"),  # an opposite copy nets it: it opens that one's rest
        (True, "1", "-1", "-1", "1", "1"),
        (True, "1", "0.25", "0.25", "1", "0.75"),
        (False, "1", "0", "0", "1", "1"),
        (True, "1", None, "1", "1", "0"),
    ],
)
def test_copies_in_a_netted_position_add_up(
    is_buy: bool, ours: str, position: str | None, copied: str, expected: str, netted: str
) -> None:
    net = NetHolding(None if position is None else D(position), D(copied), 2)

    assert closable(held(ours, is_buy=is_buy), net) == CloseLots(D(expected), D(netted))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=6), st.data())
def test_closing_every_copy_of_a_netted_position_leaves_it_flat(
    copies: list[tuple[bool, int]], data: st.DataObject
) -> None:
    lots = [D(steps) / 100 * (1 if is_buy else -1) for is_buy, steps in copies]
    position = sum(lots, D(0))
    for each in data.draw(st.permutations(lots)):
        copy = held(str(abs(each)), is_buy=each > 0)
        close = closable(copy, NetHolding(position, sum(lots, D(0)), len(lots)))
        assert close.lots == abs(each)
        lots.remove(each)
        position -= close.lots if each > 0 else -close.lots
        assert position == sum(lots, D(0))
    assert position == 0


def test_a_close_takes_all_of_the_ticket_and_never_expires() -> None:
    order = planned(
        event(EventKind.CLOSE, lots=D(1), lots_before=D(1)), follower(held=held("0.23"))
    )

    assert (order.kind, order.symbol, order.is_buy) == (OrderKind.CLOSE, "EURUSD", False)
    assert (order.lots, order.closes_all, order.position_ticket) == (D("0.23"), True, 77)
    assert order.send_by_at is None


def test_a_reversed_copy_closes_in_its_own_direction() -> None:
    order = planned(
        event(EventKind.CLOSE), follower(terms(is_reverse=True), held=held(is_buy=False))
    )

    assert order.is_buy is True


@pytest.mark.parametrize(
    "state", [RelationshipState.ACTIVE, RelationshipState.PAUSED, RelationshipState.CLOSE_ONLY]
)
def test_closes_go_on_in_every_copying_state(state: RelationshipState) -> None:
    late = event(
        EventKind.PARTIAL_CLOSE, lots=D("0.5"), lots_before=D(1),
        happened_at=event().happened_at.replace(year=2025), is_own_copy=True,
    )  # fmt: skip
    barred = follower(terms(state=state), held=held("0.23"), lock_reason="Daily loss.")

    assert planned(late, barred).lots == D("0.11")


def test_a_close_needs_no_terms_but_a_part_does() -> None:
    bare = follower(held=held(), contracts={}, symbol_names=frozenset(), figures=None)

    assert planned(event(EventKind.CLOSE), bare).lots == D("0.23")
    part = event(EventKind.PARTIAL_CLOSE, lots=D("0.5"), lots_before=D(1))
    assert skipped(part, bare).reason is SkipReason.NO_READING


def test_a_part_below_a_step_says_its_numbers() -> None:
    part = event(EventKind.PARTIAL_CLOSE, lots=D("0.5"), lots_before=D(1))

    refused = skipped(part, follower(held=held("0.01")))

    assert refused.reason is SkipReason.BELOW_MINIMUM
    assert refused.sentence == (
        "The part to close would be 0.005 lots of 0.01; the smallest that can be closed is 0.01."
    )


@pytest.mark.parametrize(
    ("copy", "reason"),
    [
        (None, SkipReason.NOT_HELD),
        (held(state=HeldState.CLOSED), SkipReason.NOT_HELD),
        (held(state=HeldState.LEFT), SkipReason.LEFT),
        (held(position_lots=D(0)), SkipReason.LEFT),
        (held(state=HeldState.CLOSING, closing_lots=D("0.23")), SkipReason.UNCHANGED),
    ],
)
def test_what_is_not_there_is_not_closed(copy: object, reason: SkipReason) -> None:
    assert skipped(event(EventKind.CLOSE), follower(held=copy)).reason is reason


@pytest.mark.parametrize(
    "copy",
    [
        held(closing_lots=D("0.23")),
        held(closing_lots=D("0.30"), position_lots=D("0.10")),
        held(closing_lots=D("0.22"), position_lots=D(0)),
    ],
)
def test_a_close_waits_for_parts_that_should_take_all(copy: HeldCopy) -> None:
    order = planned(event(EventKind.CLOSE), follower(held=copy))

    assert order.waits_for_fill
    assert order.lots == D("0.23")
    # A part of nothing is nothing, and one more step of 0.01 lots is there to be closed at once.
    part = event(EventKind.PARTIAL_CLOSE, lots=D("0.5"), lots_before=D(1))
    assert skipped(part, follower(held=copy)).reason in (SkipReason.UNCHANGED, SkipReason.LEFT)
    left = planned(event(EventKind.CLOSE), follower(held=held(closing_lots=D("0.22"))))
    assert (left.lots, left.waits_for_fill) == (D("0.01"), False)


def test_a_close_of_netted_copies_waits_for_parts_as_well() -> None:
    nets = {"EURUSD": NetHolding(D("0.05"), D("0.10"), 1)}
    copy = held("0.10", closing_lots=D("0.05"))

    assert planned(event(EventKind.CLOSE), follower(held=copy, nets=nets)).waits_for_fill


def test_a_close_before_the_fill_waits_for_it() -> None:
    opening = held(state=HeldState.OPENING, ticket=None, position_lots=None)

    order = planned(event(EventKind.CLOSE), follower(held=opening))

    assert (order.waits_for_fill, order.position_ticket, order.closes_all) == (True, None, True)


def test_a_netting_follower_closes_its_part_alone() -> None:
    nets = {"EURUSD": NetHolding(D("0.50"), D("0.50"), 2)}

    order = planned(event(EventKind.CLOSE), follower(held=held("0.23"), nets=nets))

    assert (order.lots, order.closes_all, order.netted_lots) == (D("0.23"), False, D(0))


def test_a_netted_part_says_what_is_not_held_that_way() -> None:
    nets = {"EURUSD": NetHolding(D("0.10"), D("0.10"), 2)}
    part = event(EventKind.PARTIAL_CLOSE, lots=D("0.5"), lots_before=D(1))

    order = planned(part, follower(held=held("0.40"), nets=nets))

    assert (order.lots, order.netted_lots) == (D("0.20"), D("0.10"))


@pytest.mark.parametrize("there", ["0.23", "0.50", None])
def test_the_only_copy_of_a_netted_position_closes_its_lots_and_no_more(there: str | None) -> None:
    nets = {"EURUSD": NetHolding(None if there is None else D(there), D("0.23"), 1)}

    order = planned(event(EventKind.CLOSE), follower(held=held(), nets=nets))

    assert (order.lots, order.closes_all) == (D("0.23"), False)


def test_a_position_that_is_not_filled_yet_is_not_taken_for_closed() -> None:
    opening = held(state=HeldState.OPENING, ticket=None, position_lots=D(0))

    assert planned(event(EventKind.CLOSE), follower(held=opening)).lots == D("0.23")


@given(
    lots=st.decimals("-20", "20", places=2),
    copied=st.decimals("-20", "20", places=2),
    ours=_volumes,
    is_buy=st.booleans(),
    done=st.decimals("-20", "20", places=2),
)
def test_closes_of_others_change_the_way_to_close_and_not_how_much(
    lots: Decimal, copied: Decimal, ours: Decimal, is_buy: bool, done: Decimal
) -> None:
    copy = held(lots=str(ours), is_buy=is_buy)
    before = closable(copy, NetHolding(lots, copied, 2))
    after = closable(copy, NetHolding(lots + done, copied + done, 2))
    assert after.lots == before.lots
    assert 0 <= after.netted_lots <= after.lots
