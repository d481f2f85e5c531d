"""Trading robots: owners' expert advisors that trade accounts inside the broker.

They send the same requests over the same order desk as any terminal. Everything they draw comes
from a generator seeded by the server's seed, the login and the account's last deal, so that equal
books go on equally. What they remember otherwise (prices, pace, rests) dies with the broker: after
a restart they begin afresh, as experts in a terminal that is started anew do.
"""

import heapq
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from .. import constants as mt5
from ..engine import Engine
from ..prices.feeds import to_tick
from ..symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from ..symbols.contracts import CURRENCY_INDEX, FILLING_FOK_FLAG
from ..symbols.conversion import pair_index
from ..symbols.hours import MINUTE
from ..trading.requests import floor_to_step
from .specs import RobotSpec
from .strategies import STRATEGIES, Hands, Held, Strategy, Trend
from .window import PriceWindow

FIRST_MAGIC = 7_001
_SMALLEST_SHARE = 0.1
_RUIN_FRACTION = 0.25
_REST_AFTER_REFUSAL_BARS = 20.0


class Robot(Hands):
    """One account's robot: its strategy with eyes and hands."""

    def __init__(
        self,
        engine: Engine,
        window: PriceWindow,
        account: int,
        spec: RobotSpec,
        seed: int,
        bar_seconds: float,
    ) -> None:
        self._engine = engine
        self._window = window
        self._account = account
        self._bar_seconds = bar_seconds
        self._strategy: Strategy = STRATEGIES[spec.strategy]()
        self._magic = FIRST_MAGIC + list(STRATEGIES).index(spec.strategy)
        self._comment = spec.strategy
        self._pace_bars = spec.pace_bars or self._strategy.pace_bars
        self._exposure = spec.exposure or self._strategy.exposure
        self._max_positions = spec.max_positions or self._strategy.max_positions
        self._loss_limit = spec.loss_limit_fraction or self._strategy.loss_limit_fraction
        accounts = engine.books.accounts
        login, last_deal = int(accounts["login"][account]), int(accounts["last_deal"][account])
        self.random = random.Random(f"{seed}:{login}:{last_deal}")
        self.symbols = [CONTRACT_INDEX[name] for name in spec.symbols]
        self.held: Sequence[Held] = ()
        self.equity = 0.0
        self._now = 0.0
        self._share = 1.0  # of its exposure
        self._resting_until = 0.0
        self._deals_seen = 0
        self._paid_in_so_far = 0.0

    def act(self, now: float) -> float:
        """Decide once; return when to be asked again (the clock's seconds)."""
        paid_in = self._paid_in()
        self.equity = self._engine.books.equity(self._account)
        if now >= self._resting_until and self.equity > paid_in * _RUIN_FRACTION:
            self.held = self._own_positions()
            self._share = self._share_of_exposure(paid_in)
            self._now = now
            self._strategy.decide(self, self._max_positions - len(self.held))
        return now + self._pace_bars * self._bar_seconds * self.random.uniform(0.6, 1.4)

    def trend(self, symbol: int) -> Trend:
        return self._window.trend(symbol)

    def open(self, symbol: int, side: int, weight: float, stop: float, take: float) -> None:
        lots = self._lots(symbol, weight)
        if lots <= 0:
            return
        contract = CONTRACTS[symbol]
        closing = float(self._engine.valuation.closing[symbol * 2 + side])
        sign = 1.0 if side == mt5.ORDER_TYPE_BUY else -1.0
        # Closer than this no stop is accepted.
        least = (contract.stops_level + 1) * contract.point
        self._deal(symbol, side, {
            "volume": lots,
            "sl": to_tick(contract, closing - sign * max(stop, least)) if stop else 0.0,
            "tp": to_tick(contract, closing + sign * max(take, least)) if take else 0.0,
        })  # fmt: skip

    def close(self, held: Held) -> None:
        self._deal(held.symbol, 1 - held.side, {"volume": held.volume, "position": held.ticket})

    def move_stop(self, held: Held, sl: float) -> None:
        row = self._engine.books.position_row(held.ticket)
        if row is not None and self._engine.opening.is_open(held.symbol):
            self._send({
                "action": mt5.TRADE_ACTION_SLTP, "symbol": self._listed(held.symbol),
                "position": held.ticket, "sl": to_tick(CONTRACTS[held.symbol], sl),
                "tp": float(self._engine.books.positions["tp"][row]),
            })  # fmt: skip

    def _deal(self, symbol: int, side: int, terms: Mapping[str, Any]) -> None:
        if not self._engine.opening.is_open(symbol):
            return
        valuation, fills_all = self._engine.valuation, mt5.ORDER_FILLING_FOK
        if not CONTRACTS[symbol].filling_flags & FILLING_FOK_FLAG:
            fills_all = mt5.ORDER_FILLING_IOC
        price = (valuation.ask if side == mt5.ORDER_TYPE_BUY else valuation.bid)[symbol]
        self._send({
            "action": mt5.TRADE_ACTION_DEAL, "symbol": self._listed(symbol), "type": side,
            "price": float(price), "type_filling": fills_all, **terms,
        })  # fmt: skip

    def _send(self, request: Mapping[str, Any]) -> None:
        signed = {**request, "magic": self._magic, "comment": self._comment}
        result = self._engine.desk.send(self._account, signed, mt5.ORDER_REASON_EXPERT)
        if result[0] in (mt5.TRADE_RETCODE_NO_MONEY, mt5.TRADE_RETCODE_TRADE_DISABLED):
            self._resting_until = self._now + _REST_AFTER_REFUSAL_BARS * self._bar_seconds

    def _listed(self, symbol: int) -> str:
        return self._engine.books.naming_of(self._account).listed(symbol)

    def _own_positions(self) -> list[Held]:
        books = self._engine.books
        rows = books.rows_of(self._account)
        mine = rows[books.positions["magic"][rows] == self._magic]
        now_msc = self._engine.now_msc()
        return [self._held(books.positions.row(row), now_msc) for row in mine.tolist()]

    def _held(self, position: Mapping[str, Any], now_msc: int) -> Held:
        age_seconds = (now_msc - position["time_msc"]) / 1000
        return Held(position["ticket"], position["symbol"], position["type"], position["volume"],
                    position["price_open"], position["sl"], position["profit"] + position["swap"],
                    age_seconds / self._bar_seconds)  # fmt: skip

    def _share_of_exposure(self, paid_in: float) -> float:
        """Return how much of its exposure the robot dares after its losses so far."""
        lost = max(0.0, paid_in - self.equity) / paid_in if paid_in > 0 else 1.0
        return max(_SMALLEST_SHARE, 1.0 - lost / self._loss_limit)

    def _lots(self, symbol: int, weight: float) -> float:
        contract = CONTRACTS[symbol]
        currency = int(self._engine.books.accounts["currency"][self._account])
        valuation = self._engine.valuation
        rate = float(valuation.conversion.mid[pair_index(CURRENCY_INDEX[contract.quote], currency)])
        lot_value = contract.unit_value * float(valuation.bid[symbol]) * rate
        wanted = self.equity * self._exposure * self._share * weight / lot_value
        lots = floor_to_step(min(wanted, contract.volume_max), contract.volume_step)
        return lots if lots >= contract.volume_min else 0.0

    def _paid_in(self) -> float:
        deals, seen = self._engine.books.deals, self._deals_seen
        mine = deals["account"][seen:] == self._account
        mine &= deals["type"][seen:] == mt5.DEAL_TYPE_BALANCE
        self._paid_in_so_far += float(deals["profit"][seen:][mine].sum())
        self._deals_seen = len(deals)
        return self._paid_in_so_far


class Robots:
    """All robots of a server, each asked when its time has come."""

    def __init__(self, engine: Engine, seed: int, speed: float) -> None:
        self._engine = engine
        self._seed = seed
        self._bar_seconds = MINUTE / speed
        self._window = PriceWindow(engine, self._bar_seconds)
        self._robots: dict[int, tuple[str, Robot]] = {}
        self._due: list[tuple[float, int]] = []
        self._version = -1

    def run(self, version: int) -> None:
        """Let every robot whose time has come act; ``version`` moves when a spec changes."""
        now = self._engine.clock()
        self._window.sample(now)
        if version != self._version:
            self._version = version
            self._refresh(now)
        while self._due and self._due[0][0] <= now:
            _, account = heapq.heappop(self._due)
            if account in self._robots:
                heapq.heappush(self._due, (self._robots[account][1].act(now), account))

    def _refresh(self, now: float) -> None:
        """Bring the robots in line with the specs in the books."""
        specs = {
            account: text
            for account, text in enumerate(self._engine.books.accounts["robot"].tolist())
            if text
        }
        kept = {account: pair for account, pair in self._robots.items()
                if specs.get(account) == pair[0]}  # fmt: skip
        self._due = [item for item in self._due if item[1] in kept]
        self._robots = kept
        for account in sorted(specs.keys() - kept.keys()):
            spec = RobotSpec.of(json.loads(specs[account]))
            robot = Robot(self._engine, self._window, account, spec, self._seed, self._bar_seconds)
            self._robots[account] = (specs[account], robot)
            self._due.append((now + robot.random.uniform(0.0, 5.0) * self._bar_seconds, account))
        heapq.heapify(self._due)
