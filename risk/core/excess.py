"""How far an account is beyond a limit of size, and what each position has to do with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from risk.core.closing import OpenPosition, Part, PendingOrder, left_after
from risk.core.parameters import (
    MarginLevel,
    MaxExposure,
    MaxLeverage,
    MaxPositionSize,
    RiskPerTrade,
)
from risk.core.rule_types import Comparison, ExposureOf

# Amounts are doubles: what exceeds the limit by noise alone does not exceed it.
_NOISE = 1e-9
# A margin level has to end above the limit where reaching it is a violation.
_MARGIN_ROOM = 1e-6
_LOT_DIGITS = 8
_SMALLEST_EQUITY = 0.01


@dataclass(frozen=True, slots=True)
class Excess:
    """`amount` is what exceeds the limit, `shares` what closing each position takes off it.

    With `room`, positions of one symbol take off no more than that together: beyond it they
    would turn its net side round.
    """

    amount: float
    shares: Mapping[int, float]
    room: Mapping[str, float] | None = None


def cut(
    excess: Excess, queue: Sequence[OpenPosition], *, in_whole: bool, fraction: Decimal
) -> dict[int, Decimal]:
    """Return the lots of each position, in the order of the queue, that end an excess.

    In whole positions (the part `fraction` of each), or as little of each as the steps allow.
    """
    parts: dict[int, Decimal] = {}
    missing, room = excess.amount, dict(excess.room or {})
    for position in queue:
        if missing <= _NOISE * max(1.0, excess.amount):
            break
        share = excess.shares.get(position.ticket, 0.0)
        useful = min(share, room.get(position.symbol, share)) if excess.room else share
        if useful <= 0:
            continue
        lots = position.volume * fraction
        if not in_whole:
            needed = float(position.volume) * min(missing, useful) / share
            lots = Decimal(repr(round(needed, _LOT_DIGITS)))
        part = position.volume - left_after(position, lots)
        released = min(share * float(part / position.volume), useful)
        missing -= released
        if excess.room:
            room[position.symbol] -= released
        parts[position.ticket] = part
    return parts


def joined(cuts: Iterable[Mapping[int, Decimal]]) -> tuple[Part, ...]:
    """Take of each position the most that one of several limits demands, in their order."""
    parts: dict[int, Decimal] = {}
    for each in cuts:
        for ticket, lots in each.items():
            parts[ticket] = max(lots, parts.get(ticket, Decimal(0)))
    return tuple(Part(ticket, lots) for ticket, lots in parts.items())


def size_excess(
    rule: MaxPositionSize, positions: Sequence[OpenPosition], orders: Sequence[PendingOrder]
) -> tuple[list[Excess], list[int]]:
    """Find the symbols and directions with too many lots; and which pendings go, newest first."""
    sides: dict[tuple[str, bool], list[OpenPosition]] = {}
    waiting: dict[tuple[str, bool], list[PendingOrder]] = {}
    for position in positions:
        sides.setdefault((position.symbol, position.is_sell), []).append(position)
    for order in orders:
        waiting.setdefault((order.symbol, order.is_sell), []).append(order)
    found: list[Excess] = []
    cancels: list[int] = []
    for key in sorted({*sides, *waiting}):
        if rule.symbols and key[0] not in rule.symbols:
            continue
        held = sum((each.volume for each in sides.get(key, ())), Decimal(0))
        excess = held + sum((each.volume for each in waiting.get(key, ())), Decimal(0)) - rule.limit
        for order in newest_orders(waiting.get(key, ())):
            if excess <= 0:
                break
            cancels.append(order.ticket)
            excess -= order.volume
        if excess > 0:
            shares = {each.ticket: float(each.volume) for each in sides[key]}
            found.append(Excess(float(excess), shares))
    return found, cancels


def newest_orders(orders: Iterable[PendingOrder]) -> list[PendingOrder]:
    return sorted(orders, key=lambda each: (-each.placed_msc, -each.ticket))


def margin_excess(
    rule: MarginLevel, equity: float, margin: float, positions: Sequence[OpenPosition]
) -> list[Excess]:
    """Estimate what has to go for the margin level to recover, by the positions' value.

    A hedged leg may free less than its share; the next reading tells, and the next look takes more.
    """
    if margin <= 0:
        return []
    room = _MARGIN_ROOM if rule.comparison is Comparison.AT_OR_BELOW else 0.0
    allowed = max(equity, 0.0) * 100 / float(rule.limit) * (1 - room)
    shares = {each.ticket: each.notional for each in positions}
    total = sum(shares.values())
    return [Excess(total * (1 - allowed / margin), shares)] if margin > allowed else []


def leverage_excess(
    rule: MaxLeverage, equity: float, positions: Sequence[OpenPosition]
) -> list[Excess]:
    allowed = float(rule.limit) * max(equity, _SMALLEST_EQUITY)
    if rule.gross:
        shares = {each.ticket: each.notional for each in positions}
        over = sum(shares.values()) - allowed
        return [Excess(over, shares)] if over > _NOISE * allowed else []
    net = _net(positions)
    over = sum(abs(value) for value in net.values()) - allowed
    shares = {each.ticket: each.notional for each in positions if _is_net(each, net)}
    room = {symbol: abs(value) for symbol, value in net.items()}
    return [Excess(over, shares, room)] if over > _NOISE * allowed else []


def exposure_excess(
    rule: MaxExposure,
    equity: float,
    currencies: Mapping[str, tuple[str, str]],
    positions: Sequence[OpenPosition],
) -> list[Excess]:
    """Find the symbols or currencies with too much net value."""
    allowed = float(rule.limit) * max(equity, _SMALLEST_EQUITY)
    counted = [each for each in positions if not rule.symbols or each.symbol in rule.symbols]
    shares: dict[str, dict[int, float]] = {}
    for position in counted:
        value = _signed(position)
        if rule.exposure_of is ExposureOf.SYMBOL:
            shares.setdefault(position.symbol, {})[position.ticket] = value
        elif position.symbol in currencies:
            base, quote = currencies[position.symbol]
            shares.setdefault(base, {})[position.ticket] = value
            if quote != base:
                shares.setdefault(quote, {})[position.ticket] = -value
    found = []
    for name in sorted(shares):
        net = sum(shares[name].values())
        if abs(net) > allowed * (1 + _NOISE):
            side = 1 if net > 0 else -1
            mine = {ticket: side * value for ticket, value in shares[name].items()}
            found.append(Excess(abs(net) - allowed, mine))
    return found


def stop_risk_excess(
    rule: RiskPerTrade, balance: float, positions: Sequence[OpenPosition]
) -> list[Excess]:
    """Find the symbols whose positions lose too much at their stops, by their present value."""
    allowed = float(rule.limit) * max(balance, 0.0)
    shares: dict[str, dict[int, float]] = {}
    for position in positions:
        if position.stop_loss > 0 and (not rule.symbols or position.symbol in rule.symbols):
            shares.setdefault(position.symbol, {})[position.ticket] = _loss_at_stop(position)
    return [
        Excess(sum(mine.values()) - allowed, mine)
        for _, mine in sorted(shares.items())
        if sum(mine.values()) > allowed * (1 + _NOISE)
    ]


def _loss_at_stop(position: OpenPosition) -> float:
    if position.price_current <= 0:
        return 0.0
    distance = position.price_open - position.stop_loss
    lost = -distance if position.is_sell else distance
    return max(lost, 0.0) * position.notional / position.price_current


def _signed(position: OpenPosition) -> float:
    return -position.notional if position.is_sell else position.notional


def _net(positions: Iterable[OpenPosition]) -> dict[str, float]:
    net: dict[str, float] = {}
    for position in positions:
        net[position.symbol] = net.get(position.symbol, 0.0) + _signed(position)
    return net


def _is_net(position: OpenPosition, net: Mapping[str, float]) -> bool:
    return _signed(position) * net[position.symbol] > 0
