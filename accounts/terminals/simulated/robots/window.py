"""The last hour of prices, as the robots see it."""

import math
from collections import deque

import numpy as np

from ..engine import Engine
from ..symbols.catalogue import CONTRACTS
from .strategies import Trend

WINDOW_BARS = 60


class PriceWindow:
    """The last hour of every symbol in bars of a market minute, shared by all robots."""

    def __init__(self, engine: Engine, bar_seconds: float) -> None:
        self._valuation = engine.valuation
        self._bar_seconds = bar_seconds
        self._sampled_at = engine.clock()
        self._mids: list[deque[float]] = []
        self._trends: dict[int, Trend] = {}
        for symbol, history in enumerate(engine.history.symbols):
            closes = history.closed["close"][-WINDOW_BARS:].tolist()
            self._mids.append(deque([*closes, self._mid(symbol)], maxlen=WINDOW_BARS + 1))

    def sample(self, now: float) -> None:
        if now - self._sampled_at < self._bar_seconds:
            return
        self._sampled_at = now
        self._trends.clear()
        for symbol, mids in enumerate(self._mids):
            mids.append(self._mid(symbol))

    def trend(self, symbol: int) -> Trend:
        known = self._trends.get(symbol)
        if known is None:
            known = self._trends[symbol] = self._measured(symbol)
        return known

    def _measured(self, symbol: int) -> Trend:
        mids = np.array(self._mids[symbol])
        spread = float(self._valuation.ask[symbol] - self._valuation.bid[symbol])
        if len(mids) < 3:
            return Trend(0.0, 0.0, spread, spread)
        sigma = max(float(np.std(np.diff(mids))), CONTRACTS[symbol].point)
        drift = float(mids[-1] - mids.mean()) / (sigma * math.sqrt(len(mids)) / 2)
        return Trend(drift, float(mids[-1] - mids[-3]), sigma, spread)

    def _mid(self, symbol: int) -> float:
        return float(self._valuation.bid[symbol] + self._valuation.ask[symbol]) / 2
