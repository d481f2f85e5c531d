"""The engine: time, prices and books moving forward together."""

from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from typing import Any

import numpy as np

from accounts.core.zones import from_broker_epoch, to_broker_epoch

from . import constants as mt5
from .books.books import PRICES, Books, Record
from .books.journal import Journal
from .books.upgrades import packed, unpacked, upgraded
from .clock import SteadyClock
from .prices.feeds import Moment, Quote
from .prices.history import PriceHistory
from .prices.market import Market, sharing
from .prices.recovery import PriceRecovery
from .symbols.catalogue import CONTRACTS
from .symbols.opening import Opening
from .trading.due_orders import DueOrders
from .trading.ledger import Ledger
from .trading.liquidation import Liquidation
from .trading.order_desk import OrderDesk
from .trading.rollover import Rollover
from .trading.triggers import Triggers
from .trading.valuation import Valuation

CLOSED_BAR, OPENING = "B", "M"
_SECONDS_BETWEEN_PRICE_RECORDS = 1.0
ROTATE_AT_BYTES = 32 * 1024 * 1024


class Engine:
    """Marks, matches and journals. Not thread-safe: the trade server holds the lock.

    ``machine_clock`` gives UTC epoch seconds, which `clock` follows; ``zone`` is the broker's.
    Without a market, prices move only through `quote`; without a journal, the books die with the
    object.
    """

    def __init__(
        self,
        machine_clock: Callable[[], float],
        zone: tzinfo,
        market: Market | None = None,
        journal: Journal | None = None,
        *,
        always_open: bool = False,
    ) -> None:
        self.machine_clock = machine_clock
        self._zone = zone
        self._market = market
        self._journal = journal
        self.books = Books()
        self.history = PriceHistory()
        self.valuation = Valuation(self.books)
        self.ledger = Ledger(self.books, self.valuation, self.now_msc)
        self.opening = Opening(lambda: self.now_msc() // 1000, always_open=always_open)
        self.desk = OrderDesk(self.books, self.valuation, self.ledger, self.opening)
        self._triggers = Triggers(
            self.books, self.valuation, self.ledger, self.opening, self.desk.fulfilment
        )
        self._rollover = Rollover(self.books, self.valuation, self.ledger)
        self._due_orders = DueOrders(self.books, self.ledger, self.desk)
        self._liquidation = Liquidation(self.books, self.ledger, self.opening)
        self.tick_msc = np.zeros(len(CONTRACTS), dtype=np.int64)
        self.pinned: set[int] = set()  # symbols whose price was set by hand
        self._market_state: Any = None
        self._recovered = self._recover()
        self.clock = SteadyClock(machine_clock, not_before=self._newest_moment())
        self._stepped_at = self._prices_recorded_at = self.clock()
        self._move_to(self._stepped_at)
        self._start_prices()
        self._rollover.begin(self.now_msc())
        if journal is not None:
            journal.rotate(self._snapshot())

    def now_msc(self) -> int:
        """Return the moment being worked on, in the broker's milliseconds."""
        return self._now_msc

    def _broker_msc(self, moment: float) -> int:
        return round(to_broker_epoch(moment, self._zone) * 1000)

    def touch(self) -> None:
        """Take the present moment for what is done next."""
        self._move_to(max(self._moment, self.clock()))

    def _move_to(self, moment: float) -> None:
        self._moment, self._now_msc = moment, self._broker_msc(moment)

    def step(self, after_prices: Callable[[], None] | None = None) -> int:
        """Let the market catch up with the clock; return the journal's number to wait for."""
        now = self.clock()
        began, seconds = self._stepped_at, now - self._stepped_at

        def moment_at(share: float) -> Moment:
            wall_seconds = self._broker_msc(began + seconds * share) // 1000
            return Moment(wall_seconds, self.opening.quoted(wall_seconds))

        if seconds > 0 and self._market is not None:
            for share, quotes in self._market.advance(seconds, self.books.quotes, moment_at):
                self._move_to(max(self._moment, began + seconds * share))
                self._do_what_is_due()
                self._take(quotes)
        self._stepped_at = now
        self.touch()
        self._do_what_is_due()
        if after_prices is not None:
            after_prices()
        if now - self._prices_recorded_at >= _SECONDS_BETWEEN_PRICE_RECORDS:
            self.record_prices()
        return self.commit()

    def quote(self, symbol: int, bid: float, ask: float) -> None:
        """Set a price by hand and keep the feed off this symbol until `release`.

        Symbols that share one price get it together. On an exchange it is a trade at the bid.
        """
        self.touch()
        symbols = sharing(symbol)
        if not self.pinned.issuperset(symbols):
            self.pinned.update(symbols)
            self.record_opening()
        self._take([_by_hand(each, bid, ask) for each in symbols], by_hand=True)
        self.record_prices()

    def release(self, symbol: int) -> None:
        self.pinned.difference_update(sharing(symbol))
        self.record_opening()
        if self._market is not None:
            self._market.resume(self._market.state(), self.books.quotes)

    def record_prices(self) -> None:
        state = self._feed_state() if self._market else None
        self.books.write(PRICES, self.books.quotes, state)
        self._prices_recorded_at = self.clock()

    def record_opening(self) -> None:
        """Let the journal know what was opened, closed or priced by hand."""
        self.books.written.append((OPENING, self._by_hand_state()))

    def commit(self) -> int:
        """Hand what was written to the journal; return the number to wait for with `durable`.

        Raises JournalError, for reads too, once the disk has refused something: what the books in
        memory hold since then would be gone after a restart.
        """
        if self._journal is not None:
            self._journal.check()
        records = self.books.written
        if not records:
            return 0
        self.books.written = []
        if self._journal is None:
            return 0
        number = self._journal.append(records)
        if self._journal.size_bytes > ROTATE_AT_BYTES:
            self._journal.rotate(self._snapshot())
        return number

    def durable(self, number: int) -> None:
        """Return when a commit is on the disk. To be called without the server's lock."""
        if self._journal is not None and number:
            self._journal.flush(number)

    def close(self) -> None:
        if self._journal is not None and self._journal.has_failed:
            self._journal.close()
            return
        self.record_prices()
        self.commit()
        if self._journal is not None:
            self._journal.rotate(self._snapshot())
            self._journal.close()

    def _do_what_is_due(self) -> None:
        """Charge the night, then expire and execute orders, before prices are taken."""
        now_msc = self.now_msc()
        if self._rollover.is_due(now_msc):
            self._rollover.run(now_msc)
        self._due_orders.run(now_msc)

    def _take(self, quotes: Iterable[Quote], *, by_hand: bool = False) -> None:
        now_msc = self.now_msc()
        for symbol, bid, ask, last, volume, side in quotes:
            if symbol in self.pinned and not by_hand:
                continue
            known = self.books.quotes[symbol]
            if not (by_hand or volume) and known[0] == bid and known[1] == ask:
                continue  # nothing changed: no tick
            self.books.quotes[symbol] = [bid, ask]
            self.valuation.quote(symbol, bid, ask)
            # In autumn's repeated hour the times of ticks stand still: they never run backwards.
            time_msc = max(now_msc, int(self.tick_msc[symbol]))
            self.tick_msc[symbol] = time_msc
            closed = self.history.symbols[symbol].tick(time_msc, bid, ask, last, volume, side)
            if closed is not None:
                self.books.written.append((CLOSED_BAR, symbol, closed))
        self.valuation.convert()
        self.valuation.mark()
        self._triggers.run()
        self._liquidation.run()

    def _start_prices(self) -> None:
        if self._market is not None:
            if self._recovered:
                state, stepped_at = self._market_state or (None, self._stepped_at)
                self._market.resume(state, self.books.quotes)
                self._market.rest(max(0.0, self._stepped_at - stepped_at))
            else:
                for quote in self._market.first_quotes():
                    self.books.quotes[quote.symbol] = [quote.bid, quote.ask]
            self._market.seed_history(self.history, self.books.quotes, self.now_msc() // 1000)
        for symbol, contract in enumerate(CONTRACTS):
            bid, ask = (round(price, contract.digits) for price in self.books.quotes[symbol])
            self.books.quotes[symbol] = [bid, ask]
            self.valuation.quote(symbol, bid, ask)
            self._start_ticks(symbol, bid, ask)
        self.valuation.convert()
        self.valuation.settle_all()
        self._triggers.mark_orders()

    def _start_ticks(self, symbol: int, bid: float, ask: float) -> None:
        """Let a symbol's first tick be of now, or of the last bar when it is not in session."""
        history, now_msc = self.history.symbols[symbol], self.now_msc()
        if self._market is None or not history.known_until:
            self.tick_msc[symbol] = now_msc
        elif self.opening.is_open(symbol):
            self.tick_msc[symbol] = max(now_msc, history.earliest_msc)
            history.resume(int(self.tick_msc[symbol]), bid, ask)
        else:
            self.tick_msc[symbol] = min(now_msc, history.known_until * 1000 - 1)

    def _recover(self) -> bool:
        """Read the journal back; return whether there was anything in it."""
        if self._journal is None:
            return False
        recovery = self._journal.recover()
        if recovery.snapshot is not None:
            image, version = unpacked(recovery.snapshot)
            self._load(image)
            prices = PriceRecovery(self.history, self.books.quotes)
            for records in recovery.batches:
                self._replay(upgraded(records, version, self.books), prices)
            prices.finish()
        if recovery.after_crash:
            self.books.skip_tickets()
        return recovery.snapshot is not None or bool(recovery.batches)

    def _newest_moment(self) -> float:
        """Return the newest moment (UTC epoch seconds) of which there is anything in the books."""
        stepped_at = float(self._market_state[1]) if self._market_state else 0.0
        times = (
            self.books.deals["time_msc"], self.books.order_history["time_done_msc"],
            self.books.orders["time_setup_msc"], self.books.positions["time_update_msc"],
        )  # fmt: skip
        newest_msc = max(
            *(int(column.max(initial=0)) for column in times),
            *(history.earliest_msc for history in self.history.symbols),
        )
        return max(stepped_at, from_broker_epoch(newest_msc / 1000, self._zone))

    def _replay(self, records: Iterable[Record], prices: PriceRecovery) -> None:
        for record in records:
            if record[0] == CLOSED_BAR:
                prices.close_bar(record[1], record[2])
                continue
            if record[0] == OPENING:
                self._resume_by_hand(record[1])
                continue
            self.books.apply(record)
            if record[0] == PRICES:
                self._market_state = record[2]
                if record[2] is not None:
                    prices.take(self._broker_msc(record[2][1]), record[1])

    def _snapshot(self) -> bytes:
        state = self._feed_state() if self._market else self._market_state
        opening = self._by_hand_state()
        return packed(self.books.dump(), self.history.dump(), state, opening)

    def _load(self, image: Mapping[str, Any]) -> None:
        self.books.load(image["books"])
        self.history.load(image["history"])
        self._market_state = image["market"]
        if image.get("opening") is not None:
            self._resume_by_hand(image["opening"])

    def _feed_state(self) -> Any:
        return [self._market.state() if self._market else None, self._stepped_at]

    def _by_hand_state(self) -> Any:
        return [self.opening.state(), sorted(self.pinned)]

    def _resume_by_hand(self, state: Any) -> None:
        self.opening.resume(state[0])
        self.pinned = set(state[1])


def _by_hand(symbol: int, bid: float, ask: float) -> Quote:
    if CONTRACTS[symbol].chart_mode == mt5.SYMBOL_CHART_MODE_LAST:
        return Quote(symbol, bid, ask, bid, 1, mt5.TICK_FLAG_SELL)
    return Quote(symbol, bid, ask)
