"""Resets that nobody saw: deals and bars are fetched beside the tick, and applied by it."""

import logging
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import tzinfo
from uuid import UUID

import numpy as np

from accounts.core.zones import to_broker_epoch
from accounts.market_history import (
    Calls,
    HistoryUnavailableError,
    deals_between,
    minute_bars,
    symbol_row,
)
from accounts.terminals.readings import Rows
from risk.core.reconstruction import (
    EquityBounds,
    MinutePrices,
    OpenLegs,
    equity_bounds,
    legs_at,
    minute_prices,
)

logger = logging.getLogger(__name__)

# Positions are rarely older; one that is makes the reset impossible to work out, and it says so.
HISTORY_DAYS = 45
RETRY_SECONDS = 5.0
RETRY_AFTER_FAULT_SECONDS = 60.0
MOST_UNDER_WAY = 64
_POINT, _LOSS_TICK_VALUE, _TICK_SIZE = 44, 47, 48  # fields of SymbolInfo
_DAY_SECONDS = 86_400

ResetKey = tuple[UUID, float]  # account, UTC epoch seconds of the reset


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """What the tick knew of an account when it asked about a reset (UTC epoch seconds)."""

    account_id: UUID
    login: int
    reset: float
    broker_zone: tzinfo
    last_deal: int
    positions: Rows
    symbols: tuple[str, ...]

    @property
    def key(self) -> ResetKey:
        return self.account_id, self.reset


@dataclass(frozen=True, slots=True)
class ResetAnswer:
    """The deals from before the reset up to `request.last_deal`, and what floated at the reset.

    `floating` bounds equity less balance at the reset; None when it can't be worked out. Of an
    account that was flat it is no estimate, but exactly nothing.
    """

    request: ResetRequest
    deals: Rows
    floating: EquityBounds | None
    was_flat: bool


class MissedResets:
    """Asks for the past of accounts on an executor; one request per account and reset at a time."""

    def __init__(self, source: Calls, executor: Executor) -> None:
        self._source = source
        self._executor = executor
        self._under_way: dict[ResetKey, Future[ResetAnswer]] = {}
        self._not_before: dict[ResetKey, float] = {}

    @property
    def has_room(self) -> bool:
        """Whether another request would be worked on soon.

        One that waits for long is asked in vain: its account may have traded meanwhile.
        """
        return len(self._under_way) < MOST_UNDER_WAY

    def may_ask(self, key: ResetKey, monotonic: float) -> bool:
        """Tell whether a reset is neither under way nor failed a moment ago."""
        return key not in self._under_way and monotonic >= self._not_before.get(key, -np.inf)

    def ask(self, request: ResetRequest) -> None:
        """Start working a reset out."""
        self._under_way[request.key] = self._executor.submit(work_out_reset, self._source, request)

    def take_answers(self, monotonic: float) -> list[ResetAnswer]:
        """Return what has been worked out since the last call."""
        self._not_before = {key: at for key, at in self._not_before.items() if at > monotonic}
        done = [(key, future) for key, future in self._under_way.items() if future.done()]
        answers = []
        for key, future in done:
            del self._under_way[key]
            try:
                answers.append(future.result())
            except HistoryUnavailableError as error:
                self._not_before[key] = monotonic + RETRY_SECONDS
                logger.warning("A missed reset of account %s has to wait: %s", key[0], error)
            except Exception:
                # What one terminal answers must not end the watch over all accounts of the host.
                self._not_before[key] = monotonic + RETRY_AFTER_FAULT_SECONDS
                logger.exception("A missed reset of account %s can't be worked out.", key[0])
        return answers


def work_out_reset(source: Calls, request: ResetRequest) -> ResetAnswer:
    """Fetch the deals and prices around a reset; HistoryUnavailableError means: ask again."""
    reset_epoch = to_broker_epoch(request.reset, request.broker_zone)
    numbers = {symbol: number for number, symbol in enumerate(request.symbols)}
    deals = deals_between(
        source,
        request.login,
        reset_epoch - HISTORY_DAYS * _DAY_SECONDS,
        reset_epoch + HISTORY_DAYS * _DAY_SECONDS,
        numbers,
    )
    deals = deals[deals["ticket"] <= request.last_deal]
    legs = legs_at(round(reset_epoch * 1000), deals, request.positions)
    floating = None if legs is None else _floating(source, request, legs, reset_epoch)
    was_flat = legs is not None and not len(legs.symbol)
    return ResetAnswer(request, deals, floating, was_flat)


def _floating(
    source: Calls, request: ResetRequest, legs: OpenLegs, reset_epoch: float
) -> EquityBounds | None:
    prices: dict[int, MinutePrices] = {}
    values: dict[int, float] = {}
    for number in np.unique(legs.symbol).tolist():
        if not 0 <= number < len(request.symbols):
            return None
        symbol = request.symbols[number]
        row = symbol_row(source, request.login, symbol)
        if not row[_TICK_SIZE]:
            return None
        minute = _minute(source, request.login, symbol, reset_epoch, float(row[_POINT]))
        if minute is not None:
            prices[number] = minute
        values[number] = float(row[_LOSS_TICK_VALUE]) / float(row[_TICK_SIZE])
    return equity_bounds(0.0, legs, prices, values)


def _minute(
    source: Calls, login: int, symbol: str, reset_epoch: float, point: float
) -> MinutePrices | None:
    # Nearly always there is a bar within the day; over a holiday weekend the last is older.
    for days_back in (1, 4):
        bars = minute_bars(source, login, symbol, reset_epoch, days_back)
        minute = minute_prices(bars, int(reset_epoch), point)
        if minute is not None:
            return minute
    return None
