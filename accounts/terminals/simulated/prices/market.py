"""The market: all symbols' quotes from their feeds, and those that follow from other quotes."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from .exports import Export
from .feeds import MomentAt, Quote, Quotes, Round, quote
from .history import PriceHistory
from .past import Past, derived_past, seeded_past
from .replay import Replay
from .walk import DEFAULTS, RandomWalk, WalkParameters

# A cross that walked by itself would drift away from the pairs that it is made of.
_RATIOS = {"EURGBP": ("EURUSD", "GBPUSD"), "AUDNZD": ("AUDUSD", "NZDUSD")}
_PRODUCTS = {
    "EURJPY": ("EURUSD", "USDJPY"),
    "GBPJPY": ("GBPUSD", "USDJPY"),
    "EURCHF": ("EURUSD", "USDCHF"),
}
_WIDEST_CROSS = 20.0


def sharing(symbol: int) -> list[int]:
    """Return the symbols that have one price with a symbol, itself among them."""
    contract = CONTRACTS[symbol]
    source = contract.price_of or contract.name
    return [index for index, other in enumerate(CONTRACTS)
            if source in (other.name, other.price_of)]  # fmt: skip


class Market:
    """Replayed symbols, walking symbols, derived crosses and shared prices, moving together.

    ``speed`` is market seconds per second. Symbols without an export walk. Only symbols in session
    get quotes.
    """

    def __init__(
        self,
        seed: int,
        speed: float = 1.0,
        exports: Mapping[str, Export] | None = None,
        parameters: WalkParameters = DEFAULTS,
    ) -> None:
        self._seed = seed
        exports = {name: export for name, export in (exports or {}).items()
                   if name in CONTRACT_INDEX}  # fmt: skip
        self._replay = Replay(exports, speed) if exports else None
        replayed = set(self._replay.symbols if self._replay else ())
        self._shared = {
            symbol: CONTRACT_INDEX[contract.price_of]
            for symbol, contract in enumerate(CONTRACTS)
            if contract.price_of and symbol not in replayed
        }
        self._crosses = {
            CONTRACT_INDEX[cross]: (CONTRACT_INDEX[legs[0]], CONTRACT_INDEX[legs[1]])
            for cross, legs in (_RATIOS | _PRODUCTS).items()
            if cross not in exports
        }
        given = replayed | self._shared.keys() | self._crosses.keys()
        walking = [symbol for symbol in range(len(CONTRACTS)) if symbol not in given]
        self._walk = RandomWalk(walking, seed, speed, parameters)

    def first_quotes(self) -> list[Quote]:
        """Return where the prices of a new market begin, as far as the contracts don't say."""
        quotes = self._replay.first_quotes() if self._replay else []
        known: list[Sequence[float]] = [
            [contract.start_bid, contract.start_bid + contract.spread_points * contract.point]
            for contract in CONTRACTS
        ]
        return self._completed(quotes, known, [True] * len(CONTRACTS), is_start=True)

    def advance(self, seconds: float, quotes: Quotes, moment_at: MomentAt) -> list[Round]:
        """Let time pass from the given quotes; return the rounds of new quotes, oldest first.

        ``moment_at`` tells the broker's clock and the open symbols for a share of that time.
        """
        rounds = self._walk.advance(seconds, moment_at)
        if self._replay:
            rounds = _merged(self._replay.advance(seconds, moment_at), rounds)
        latest: list[Sequence[float]] = list(quotes)
        return [
            Round(at, self._completed(fresh, latest, moment_at(at).quoted)) for at, fresh in rounds
        ]

    def seed_history(self, history: PriceHistory, quotes: Quotes, end: int) -> None:
        """Give every symbol the bars of the time before ``end`` (the broker's clock)."""
        pasts: dict[int, Past] = {}
        for symbol in (*self._walk.symbols, *(self._replay.symbols if self._replay else ())):
            played = None
            if self._replay and symbol in self._replay.symbols:
                played = self._replay.played(symbol)
            pasts[symbol] = seeded_past(
                CONTRACTS[symbol], self._seed, quotes[symbol][0], end, played
            )
        for symbol, source in self._shared.items():
            pasts[symbol] = pasts[source]
        for symbol, legs in self._crosses.items():
            contract = CONTRACTS[symbol]
            both = [pasts[leg] for leg in legs]
            is_ratio = contract.name in _RATIOS
            pasts[symbol] = derived_past(contract, self._seed, both, is_ratio=is_ratio)
        for symbol, past in pasts.items():
            if not len(history.symbols[symbol].closed):
                history.symbols[symbol].seed(past)

    def state(self) -> Any:
        return [self._walk.state(), self._replay.state() if self._replay else None]

    def resume(self, state: Any, quotes: Quotes) -> None:
        """Go on from saved quotes after a restart, with the same or with other exports."""
        walk, replay = state or (None, None)
        self._walk.resume(walk, quotes)
        if self._replay:
            self._replay.resume(replay, quotes)

    def rest(self, seconds: float) -> None:
        """Let time pass without quotes: prices go on with a gap, as after a closed market."""
        self._walk.rest(seconds)

    def _completed(
        self,
        fresh: list[Quote],
        latest: list[Sequence[float]],
        quoted: Sequence[bool],
        *,
        is_start: bool = False,
    ) -> list[Quote]:
        """Return quotes with those that follow from them, and remember them all in ``latest``."""
        moved = set()
        for each in fresh:
            moved.add(each.symbol)
            latest[each.symbol] = (each.bid, each.ask)
        derived = [
            self._cross(cross, latest)
            for cross, legs in self._crosses.items()
            if quoted[cross] and (is_start or not moved.isdisjoint(legs))
        ]
        derived += [
            Quote(symbol, latest[source][0], latest[source][1])
            for symbol, source in self._shared.items()
            if quoted[symbol] and (is_start or source in moved)
        ]
        for each in derived:
            latest[each.symbol] = (each.bid, each.ask)
        return fresh + derived

    def _cross(self, cross: int, latest: Quotes) -> Quote:
        contract = CONTRACTS[cross]
        one, other = self._crosses[cross]
        first, second = sum(latest[one]) / 2, sum(latest[other]) / 2
        middle = first / second if contract.name in _RATIOS else first * second
        # As wide as the wider of its legs is compared with what is usual.
        wider = min(_WIDEST_CROSS, max(1.0, _widening(one, latest), _widening(other, latest)))
        spread = contract.spread_points * contract.point * wider
        return quote(cross, middle - spread / 2, spread)


def _widening(symbol: int, latest: Quotes) -> float:
    contract = CONTRACTS[symbol]
    bid, ask = latest[symbol]
    return (ask - bid) / (contract.spread_points * contract.point)


def _merged(rounds: list[Round], others: list[Round]) -> list[Round]:
    """Return rounds of different symbols in order of time; what comes at once is one round."""
    merged: list[Round] = []
    for each in sorted((*rounds, *others), key=lambda round_: round_.at):
        if merged and merged[-1].at == each.at:
            merged[-1].quotes.extend(each.quotes)
        else:
            merged.append(each)
    return merged
