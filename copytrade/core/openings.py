"""Planning what opens: a market order, or a pending one."""

import math

from copytrade.core import sentences
from copytrade.core.facts import FollowerSnapshot, HeldCopy, RelationshipTerms, SymbolContract
from copytrade.core.filters import count_refused, opening_refused, symbol_refused
from copytrade.core.kinds import HeldState, OrderKind, OrderType, Sizing, SkipReason
from copytrade.core.levels import Entry, Levels, opening_levels, scaled, stop_distance
from copytrade.core.occasion import Occasion
from copytrade.core.plans import Plan, Planned, Refusal, Skipped, skipped
from copytrade.core.reverse import reversed_type
from copytrade.core.sizing import CopySize, FollowerSide, size_copy

_HELD = (HeldState.OPENING, HeldState.OPEN, HeldState.CLOSING)


def plan_open(occasion: Occasion, follower: FollowerSnapshot) -> Plan:
    """Plan the copy of a position that was opened or added to."""
    entry = entry_of(occasion, follower)
    if isinstance(entry, Skipped):
        return entry
    size = size_copy(follower.terms, occasion.provider, side_of(occasion, follower, entry))
    return opened(occasion, follower, entry, size)


def entry_of(occasion: Occasion, follower: FollowerSnapshot) -> Entry | Skipped:
    """Say where an open would be filled, or why it is not copied, by everything but its size."""
    refusal = _standing(occasion, follower) or opening_refused(occasion, follower)
    if refusal is not None:
        return skipped(follower, refusal)
    contract = _tradable(occasion, follower)
    if isinstance(contract, Refusal):
        return skipped(follower, contract)
    entry = market_entry(occasion, follower, contract)
    drift, most = entry.adverse_points, follower.terms.maximum_slippage_points
    if most is not None and drift > most and entry.price is not None:
        text = sentences.too_far(drift, most, entry.price, entry.provider_price or 0.0)
        return skipped(follower, Refusal(SkipReason.SLIPPAGE, text), contract.name)
    return entry


def opened(
    occasion: Occasion, follower: FollowerSnapshot, entry: Entry, size: CopySize | Refusal
) -> Plan:
    """Plan an open of that size."""
    if isinstance(size, Refusal):
        return skipped(follower, size, entry.contract.name)
    most = follower.terms.maximum_slippage_points
    drift = max(entry.adverse_points, 0.0)
    return Planned(
        relationship_id=follower.terms.id,
        account_id=follower.account_id,
        kind=OrderKind.OPEN,
        symbol=entry.contract.name,
        is_buy=entry.is_buy,
        lots=size.lots,
        stop_loss=entry.levels[0],
        take_profit=entry.levels[1],
        deviation_points=None if most is None else math.floor(most - drift),
        send_by_at=occasion.deadline(follower.terms.open_deadline_seconds),
        sentence=size.sentence,
    )


def plan_pending(occasion: Occasion, follower: FollowerSnapshot) -> Plan:
    """Plan the copy of a pending order."""
    refusal = opening_refused(occasion, follower) or pendings_refused(occasion, follower)
    if refusal is not None:
        return skipped(follower, refusal)
    contract = _tradable(occasion, follower)
    if isinstance(contract, Refusal):
        return skipped(follower, contract)
    is_buy = occasion.event.is_buy is not follower.terms.is_reverse
    entry = pending_entry(occasion, follower.terms, contract, is_buy=is_buy)
    size = size_copy(follower.terms, occasion.provider, side_of(occasion, follower, entry))
    if isinstance(size, Refusal):
        return skipped(follower, size, contract.name)
    return Planned(
        relationship_id=follower.terms.id,
        account_id=follower.account_id,
        kind=OrderKind.PLACE,
        symbol=contract.name,
        is_buy=entry.is_buy,
        lots=size.lots,
        order_type=pending_type(occasion, follower) or OrderType.MARKET,
        price=entry.order_price,
        stop_limit_price=entry.stop_limit_price,
        stop_loss=entry.levels[0],
        take_profit=entry.levels[1],
        send_by_at=occasion.deadline(follower.terms.open_deadline_seconds),
        sentence=size.sentence,
    )


def market_entry(occasion: Occasion, follower: FollowerSnapshot, contract: SymbolContract) -> Entry:
    """Return where the copy of a market order would be filled; followers alike share the answer."""
    terms = follower.terms
    added_to = _added_to(occasion, follower)
    is_buy = occasion.event.is_buy is not terms.is_reverse if added_to is None else added_to.is_buy
    shares_net = follower.nets is not None and _shares_net(follower, contract.name)
    key = (
        id(contract),
        is_buy,
        terms.copies_stops,
        terms.stop_loss_points,
        terms.take_profit_points,
        shares_net,
    )
    entry = occasion.entries.get(key)
    if entry is None:
        entry = _market_entry(occasion, terms, contract, is_buy=is_buy, shares_net=shares_net)
        occasion.entries[key] = entry
    return entry


def _market_entry(
    occasion: Occasion,
    terms: RelationshipTerms,
    contract: SymbolContract,
    *,
    is_buy: bool,
    shares_net: bool,
) -> Entry:
    event = occasion.event
    scale = occasion.scale_of(contract)
    theirs = scaled(event.price, contract, scale)
    price = contract.price_for(is_buy) or theirs
    levels: Levels = (None, None)
    if not shares_net:
        levels = opening_levels(
            terms, event, contract, is_buy=is_buy, entry=price, price_scale=scale
        )
    return Entry(
        contract=contract,
        is_buy=is_buy,
        price=price,
        levels=levels,
        provider_price=theirs if scale == 1.0 else None,
    )


def pending_entry(
    occasion: Occasion, terms: RelationshipTerms, contract: SymbolContract, *, is_buy: bool
) -> Entry:
    event = occasion.event
    scale = occasion.scale_of(contract)
    order_price = scaled(event.price, contract, scale)
    limit = scaled(event.stop_limit_price, contract, scale)
    price = limit or order_price
    levels = opening_levels(terms, event, contract, is_buy=is_buy, entry=price, price_scale=scale)
    return Entry(
        contract=contract,
        is_buy=is_buy,
        price=price,
        levels=levels,
        order_price=order_price,
        stop_limit_price=limit,
    )


def pending_type(occasion: Occasion, follower: FollowerSnapshot) -> OrderType | None:
    """Return the type of a pending order's copy; None where the opposite of it does not exist."""
    ordered = occasion.event.order_type
    return reversed_type(ordered) if follower.terms.is_reverse else ordered


def pendings_refused(occasion: Occasion, follower: FollowerSnapshot) -> Refusal | None:
    if not follower.terms.copies_pendings:
        return Refusal(SkipReason.PENDINGS_OFF, sentences.pendings_off(occasion.trade))
    if pending_type(occasion, follower) is None:
        return Refusal(SkipReason.PENDINGS_OFF, sentences.no_reverse(occasion.trade))
    return None


def size_example(occasion: Occasion, follower: FollowerSnapshot) -> CopySize | Refusal:
    """Size the copy of an open alone, whatever the relationship's state and filters say."""
    contract = _contract(occasion, follower)
    if isinstance(contract, Refusal):
        return contract
    entry = market_entry(occasion, follower, contract)
    return size_copy(follower.terms, occasion.provider, side_of(occasion, follower, entry))


def side_of(occasion: Occasion, follower: FollowerSnapshot, entry: Entry) -> FollowerSide:
    """Return the follower's part of the size of what is filled there."""
    distance = None
    if follower.terms.sizing is Sizing.RISK_PERCENT:
        distance = stop_distance(entry.price, entry.levels[0], is_buy=entry.is_buy)
    return FollowerSide(
        contract=entry.contract,
        figures=follower.figures,
        notional=occasion.notional_of(entry.contract),
        stop_distance=distance,
    )


def _tradable(occasion: Occasion, follower: FollowerSnapshot) -> SymbolContract | Refusal:
    """Return the follower's contract, unless its symbol or the count of positions is refused."""
    refusal = symbol_refused(occasion, follower.terms, occasion.symbol_of(follower))
    if refusal is None and _added_to(occasion, follower) is None:
        refusal = count_refused(follower)
    return refusal or _contract(occasion, follower)


def _added_to(occasion: Occasion, follower: FollowerSnapshot) -> HeldCopy | None:
    """Return the copy that an addition goes to, in its symbol and direction, whatever is edited."""
    held = follower.held
    if held is None or not occasion.event.lots_before or held.state not in _HELD:
        return None
    return held


def _contract(occasion: Occasion, follower: FollowerSnapshot) -> SymbolContract | Refusal:
    added_to = _added_to(occasion, follower)
    symbol = occasion.symbol_of(follower) if added_to is None else added_to.symbol
    if symbol is None:
        theirs = occasion.event.symbol
        if not follower.symbol_names:
            return Refusal(SkipReason.NO_READING, sentences.no_symbols())
        mapped = follower.terms.symbol_map.get(theirs)
        text = sentences.symbol_unknown(theirs, mapped, len(follower.symbol_names))
        return Refusal(SkipReason.SYMBOL_UNKNOWN, text)
    contract = follower.contracts.get(symbol)
    if contract is None:
        return Refusal(SkipReason.NO_READING, sentences.no_terms(symbol))
    return contract


def _standing(occasion: Occasion, follower: FollowerSnapshot) -> Refusal | None:
    """Say what the follower has already that stands for the open, or why it has it no more."""
    pending, held = follower.pending, follower.held
    if pending is not None:
        state = "filled" if pending.is_filled else "waiting"
        return Refusal(SkipReason.UNCHANGED, sentences.unchanged(f"copy of the order is {state}"))
    if held is not None and held.state is HeldState.LEFT and occasion.event.lots_before:
        return Refusal(SkipReason.LEFT, sentences.left(held.symbol, held.lots))
    return None


def _shares_net(follower: FollowerSnapshot, symbol: str) -> bool:
    """Tell whether another copy is in the netted position, which has but one pair of stops."""
    net = follower.nets.get(symbol) if follower.nets is not None else None
    if net is None:
        return False
    held = follower.held
    return net.copies > int(held is not None and held.state in _HELD)
