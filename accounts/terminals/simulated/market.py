"""The market: all symbols' quotes from their feeds, and the crosses that follow from them."""

from collections.abc import Mapping, Sequence
from typing import Any

from .catalogue import CONTRACT_INDEX, CONTRACTS
from .exports import BarExport
from .feeds import Quotes, RandomWalk, Replay, Round
from .history import KEPT_BARS, PriceHistory

# A cross that walked by itself would drift away from the pairs that it is made of.
_RATIOS = {"EURGBP": ("EURUSD", "GBPUSD"), "AUDNZD": ("AUDUSD", "NZDUSD")}
_PRODUCTS = {
    "EURJPY": ("EURUSD", "USDJPY"),
    "GBPJPY": ("GBPUSD", "USDJPY"),
    "EURCHF": ("EURUSD", "USDCHF"),
}


class Market:
    """Replayed symbols, walking symbols and derived crosses, moving together.

    ``speed`` is market seconds per second. Symbols without an export walk.
    """

    def __init__(
        self, seed: int, speed: float = 1.0, exports: Mapping[str, BarExport] | None = None
    ) -> None:
        exports = {name: export for name, export in (exports or {}).items()
                   if name in CONTRACT_INDEX}  # fmt: skip
        self._crosses = {
            CONTRACT_INDEX[cross]: tuple(CONTRACT_INDEX[leg] for leg in legs)
            for cross, legs in (_RATIOS | _PRODUCTS).items()
            if cross not in exports
        }
        self._replay = Replay(exports, speed) if exports else None
        replayed = self._replay.symbols if self._replay else []
        self._walking = [
            symbol
            for symbol in range(len(CONTRACTS))
            if symbol not in replayed and symbol not in self._crosses
        ]
        self._walk = RandomWalk(self._walking, seed, speed)

    def first_quotes(self) -> Round:
        """Return where the prices of a new market begin, as far as the contracts don't say."""
        quotes = self._replay.first_quotes() if self._replay else []
        latest = {symbol: [bid, ask] for symbol, bid, ask in quotes}
        known = [latest.get(symbol, [contract.start_bid, contract.start_bid])
                 for symbol, contract in enumerate(CONTRACTS)]  # fmt: skip
        return quotes + self._derived(known, set(self._crosses))

    def advance(self, seconds: float, quotes: Quotes) -> list[Round]:
        """Let time pass from the given quotes; return the rounds of new quotes, oldest first."""
        replayed = self._replay.advance(seconds) if self._replay else []
        walked = self._walk.advance(seconds) if self._walking else []
        rounds = replayed or [[]]
        if walked:
            rounds = [*rounds[:-1], rounds[-1] + walked[0]]
        latest: list[Sequence[float]] = list(quotes)
        return [self._completed(ticks, latest) for ticks in rounds if ticks]

    def seed_history(self, history: PriceHistory, quotes: Quotes, end: int) -> None:
        """Give every symbol the bars of the time before ``end`` (the broker's clock)."""
        for symbol, symbol_history in enumerate(history.symbols):
            if self._replay and symbol in self._replay.symbols:
                bars = self._replay.history(symbol, end, KEPT_BARS)
            else:
                bars = self._walk.history(symbol, quotes[symbol][0], end, KEPT_BARS)
            symbol_history.seed(bars)

    def state(self) -> Any:
        return [self._walk.state(), self._replay.state() if self._replay else None]

    def resume(self, state: Any, quotes: Quotes) -> None:
        """Go on from saved quotes after a restart, with the same or with other exports."""
        walk, replay = state or (None, None)
        self._walk.resume(walk, quotes)
        if self._replay:
            self._replay.resume(replay, quotes)

    def _completed(self, ticks: Round, latest: list[Sequence[float]]) -> Round:
        for symbol, bid, ask in ticks:
            latest[symbol] = (bid, ask)
        moved = {symbol for symbol, _, _ in ticks}
        touched = {cross for cross, legs in self._crosses.items() if moved.intersection(legs)}
        return ticks + self._derived(latest, touched)

    def _derived(self, latest: Quotes, crosses: set[int]) -> Round:
        derived: Round = []
        for cross in sorted(crosses):
            first, second = (sum(latest[leg]) / 2 for leg in self._crosses[cross])
            contract = CONTRACTS[cross]
            middle = first / second if contract.name in _RATIOS else first * second
            half = contract.spread_points * contract.point / 2
            bid = round(middle - half, contract.digits)
            ask = round(bid + contract.spread_points * contract.point, contract.digits)
            derived.append((cross, bid, ask))
        return derived
