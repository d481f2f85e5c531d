"""What a portfolio holds: per symbol, per currency, and how much its symbols move alike."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from accounts.hot_state import AccountState
from accounts.market_terms import SymbolDays, days_of
from accounts.models import ConnectedAccount
from risk.core.instruments import instrument_of
from risk.core.returns import correlations_of

_SELL = 1


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is held of one symbol or currency, in the currency of the accounts.

    `net` is positive when bought; `of_value` is |net| over the value of the accounts, None when
    they are worth nothing.
    """

    name: str
    net: float
    gross: float
    of_value: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """The positions of one account; `days` are those of its symbols, as far as known."""

    count: int = 0
    notional: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # bought, sold
    days: Mapping[str, SymbolDays] = field(default_factory=dict)

    @property
    def gross(self) -> float:
        return sum(bought + sold for bought, sold in self.notional.values())

    @property
    def net(self) -> float:
        return sum(abs(bought - sold) for bought, sold in self.notional.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolCorrelations:
    """Coefficients of the daily returns of the held symbols; None, with a reason, if not known."""

    symbols: tuple[str, ...]
    matrix: tuple[tuple[float | None, ...], ...] | None
    reason: str = ""


def held_positions(
    account: ConnectedAccount, state: AccountState | None, wait_seconds: float
) -> Held:
    """Add up the positions of an account by symbol, and learn what its symbols are.

    The first time that somebody asks for a symbol its host is waited for, but no longer than that.
    """
    if state is None or not len(state.positions):
        return Held()
    sides: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in state.positions:
        name = state.tables.symbols[int(row["symbol"])]
        sides[name][int(row["type"]) == _SELL] += float(row["notional"])
    return Held(
        count=len(state.positions),
        notional={name: (bought, sold) for name, (bought, sold) in sides.items()},
        days=days_of(
            account.server,
            sides.keys(),
            host=account.terminal_host_id,
            login=account.login,
            zone=account.broker_time_zone,
            wait_seconds=wait_seconds,
        ),
    )


def symbol_exposures(held: Sequence[Held], value: float | None) -> list[Exposure]:
    """Return what is held of each instrument, the largest first.

    One instrument behind the names of several brokers is one, where its currencies are known.
    """
    sides: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for each in held:
        for symbol, (bought, sold) in each.notional.items():
            name = _name(each, symbol)
            sides[name][0] += bought
            sides[name][1] += sold
    return _sorted(
        Exposure(name, bought - sold, bought + sold, _of(bought - sold, value))
        for name, (bought, sold) in sides.items()
    )


def currency_exposures(held: Sequence[Held], value: float | None) -> tuple[Exposure, ...] | None:
    """Return what is held of each currency; None when those of a held symbol are not known.

    A pair counts in its base currency as it was traded and in its profit currency against that. An
    instrument priced in its own currency counts in none.
    """
    net: dict[str, float] = defaultdict(float)
    gross: dict[str, float] = defaultdict(float)
    for each in held:
        for symbol, (bought, sold) in each.notional.items():
            known = each.days.get(symbol)
            if known is None:
                return None
            base, profit = known.currencies
            if base == profit:
                continue
            net[base] += bought - sold
            net[profit] -= bought - sold
            gross[base] += bought + sold
            gross[profit] += bought + sold
    return tuple(
        _sorted(Exposure(name, net[name], gross[name], _of(net[name], value)) for name in net)
    )


def symbol_correlations(held: Sequence[Held]) -> SymbolCorrelations:
    """Return the coefficients of what is held, from 60 daily returns; fewer than 30 are none."""
    closes: dict[str, dict[int, float]] = {}
    unknown = set()
    for each in held:
        for symbol in each.notional:
            known = each.days.get(symbol)
            if known is None:
                unknown.add(symbol)
            else:
                closes.setdefault(_name(each, symbol), dict(known.closes))
    names = tuple(sorted({*closes, *unknown}))
    if not closes:
        reason = "Nothing is held." if not names else "The daily prices are not known now."
        return SymbolCorrelations(symbols=names, matrix=None, reason=reason)
    found = correlations_of(closes)
    places = {name: place for place, name in enumerate(found.names)}

    def coefficient(one: str, other: str) -> float | None:
        if one == other:
            return 1.0
        if one not in places or other not in places:
            return None
        value = float(found.matrix[places[one], places[other]])
        return value if math.isfinite(value) else None

    return SymbolCorrelations(
        symbols=names,
        matrix=tuple(tuple(coefficient(one, other) for other in names) for one in names),
        reason=f"The daily prices of {', '.join(sorted(unknown))} are not known."
        if unknown
        else "",
    )


def _name(held: Held, symbol: str) -> str:
    known = held.days.get(symbol)
    return instrument_of(symbol, known.currencies if known is not None else None)


def _of(net: float, value: float | None) -> float | None:
    return abs(net) / value if value is not None and value > 0 else None


def _sorted(exposures: Iterable[Exposure]) -> list[Exposure]:
    return sorted(exposures, key=lambda each: (-abs(each.net), -each.gross, each.name))
