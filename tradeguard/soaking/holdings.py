"""Whether each follower holds what the ledger says, and what the rules say."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal

from copytrade.models import CopyPosition
from risk.orders.drafts import is_our_tag
from tradeguard.soaking.cast import Pair
from tradeguard.soaking.expected import Expected, expected_copies
from tradeguard.soaking.records import BY_PROGRAM, IN, Records, text_of

_NONE = Decimal(0)


def held_wrongly(records: Records) -> Iterator[str]:
    for pair in records.cast.pairs:
        rows = records.rows_of.get(pair.relationship.pk, [])
        if pair.is_netting:
            yield from _netted(records, pair, rows)
        else:
            yield from _ticketed(records, pair, rows)
            yield from _by_rules(records, pair, rows)
        yield from _waiting(records, pair)


def _ticketed(records: Records, pair: Pair, rows: list[CopyPosition]) -> Iterator[str]:
    """Every position has its row and every row its position."""
    name = pair.follower.name
    there = {held.ticket: held for held in records.of(pair.follower).positions}
    told: dict[int, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.state == CopyPosition.State.OPEN:
            told[row.follower_position or 0] += row.volume
    for ticket in sorted(there.keys() | told.keys()):
        held = there.get(ticket)
        volume = _NONE if held is None else held.volume
        if volume != told.get(ticket, _NONE):
            yield (
                f"{name}: position {ticket} is {text_of(volume)} lots,"
                f" the ledger says {text_of(told.get(ticket, _NONE))}."
            )


def _by_rules(records: Records, pair: Pair, rows: list[CopyPosition]) -> Iterator[str]:
    """Each copy is what the provider's deals make of what was opened for it."""
    touched = _touched(records, pair)
    there = {held.ticket: held for held in records.of(pair.follower).positions}
    for one in expected_copies(records, pair):
        mine = [row for row in rows if row.provider_position == one.provider_position]
        tickets = {row.follower_position for row in mine} - {None}
        held = [there[ticket] for ticket in tickets if ticket in there]
        volume = sum((each.volume for each in held), _NONE)
        by_others = sum((touched.get(ticket or 0, _NONE) for ticket in tickets), _NONE)
        least, step = records.steps(pair, one.symbol)
        lowest = max(one.most - by_others - step * one.closes - least, _NONE)
        is_right = lowest <= volume <= one.most if by_others else volume == one.most
        if not one.is_certain:
            is_right = one.most > 0 or volume == 0
        if not is_right:
            yield _complaint(pair, one, volume, by_others)
        if any(each.is_buy is not one.is_buy for each in held):
            yield f"{pair.follower.name}: {one.symbol} of {one.provider_position} is turned round."


def _netted(records: Records, pair: Pair, rows: list[CopyPosition]) -> Iterator[str]:
    """The position of a symbol is the sum of its copies; nobody trades these by hand."""
    there: dict[str, Decimal] = defaultdict(Decimal)
    for held in records.of(pair.follower).positions:
        there[held.symbol] += held.volume if held.is_buy else -held.volume
    told: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.state == CopyPosition.State.OPEN:
            told[row.symbol] += row.volume if row.direction == "buy" else -row.volume
    wanted, unsure = _sums(expected_copies(records, pair))
    for symbol in sorted(there.keys() | told.keys() | wanted.keys()):
        if there[symbol] != told[symbol]:
            yield (
                f"{pair.follower.name}: {symbol} nets {text_of(there[symbol])} lots,"
                f" the ledger says {text_of(told[symbol])}."
            )
        if there[symbol] != wanted.get(symbol, _NONE) and symbol not in unsure:
            yield (
                f"{pair.follower.name}: {symbol} nets {text_of(there[symbol])} lots,"
                f" the rules say {text_of(wanted.get(symbol, _NONE))}."
            )


def _sums(copies: list[Expected]) -> tuple[Mapping[str, Decimal], set[str]]:
    wanted: dict[str, Decimal] = defaultdict(Decimal)
    for one in copies:
        wanted[one.symbol] += one.most if one.is_buy else -one.most
    return wanted, {one.symbol for one in copies if not one.is_certain and one.most}


def _waiting(records: Records, pair: Pair) -> Iterator[str]:
    """The providers have deleted their orders: no copy of one waits any more."""
    for order in records.of(pair.follower).waiting:
        if is_our_tag(order.magic):
            yield f"{pair.follower.name}: order {order.ticket} ({order.symbol}) still waits."


def _touched(records: Records, pair: Pair) -> Mapping[int, Decimal]:
    """Return what was closed of each position by hand, or at its stop."""
    found: dict[int, Decimal] = defaultdict(Decimal)
    for deal in records.of(pair.follower).deals:
        if deal.entry != IN and deal.reason != BY_PROGRAM:
            found[deal.position] += deal.volume
    return found


def _complaint(pair: Pair, one: Expected, volume: Decimal, by_others: Decimal) -> str:
    more = f", {text_of(by_others)} closed by others" if by_others else ""
    return (
        f"{pair.follower.name}: of {one.symbol} (provider's position {one.provider_position}) it"
        f" holds {text_of(volume)} lots, the rules say {text_of(one.most)}{more}."
    )
