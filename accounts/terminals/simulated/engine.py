"""The engine: time, prices and books moving forward together."""

from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from typing import Any

import numpy as np

from accounts.core.zones import to_broker_epoch

from .books import PRICES, Books, Record
from .catalogue import CONTRACTS
from .due import DueOrders
from .feeds import Round
from .history import PriceHistory
from .journal import Journal
from .ledger import Ledger
from .liquidation import Liquidation
from .market import Market
from .matching import OrderDesk
from .opening import Opening
from .swaps import Rollover
from .triggers import Triggers
from .upgrades import packed, unpacked, upgraded
from .valuation import Valuation

CLOSED_BAR = "B"
_SECONDS_BETWEEN_PRICE_RECORDS = 1.0
ROTATE_AT_BYTES = 32 * 1024 * 1024


class Engine:
    """Marks, matches and journals. Not thread-safe: the trade server holds the lock.

    ``clock`` gives UTC epoch seconds; ``zone`` is the broker's. Without a market, prices move only
    through `quote`; without a journal, the books die with the object.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        zone: tzinfo,
        market: Market | None = None,
        journal: Journal | None = None,
        *,
        always_open: bool = False,
    ) -> None:
        self.clock = clock
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
        self._due_orders = DueOrders(self.books, self.ledger, self.desk.fulfilment)
        self._liquidation = Liquidation(self.books, self.ledger, self.opening)
        self.tick_msc = np.zeros(len(CONTRACTS), dtype=np.int64)
        self.pinned: set[int] = set()  # symbols whose price was set by hand
        self._moment = self._stepped_at = self._prices_recorded_at = clock()
        self._market_state: Any = None
        self._recovered = self._recover()
        self._start_prices()
        self._rollover.begin(self.now_msc())
        if journal is not None:
            journal.rotate(self._snapshot())

    def now_msc(self) -> int:
        """Return the moment being worked on, in the broker's milliseconds."""
        return self._broker_msc(self._moment)

    def _broker_msc(self, moment: float) -> int:
        return round(to_broker_epoch(moment, self._zone) * 1000)

    def touch(self) -> None:
        """Take the present moment for what is done next; time never runs backwards."""
        self._moment = max(self._moment, self.clock())

    def step(self, after_prices: Callable[[], None] | None = None) -> int:
        """Let the market catch up with the clock; return the journal's number to wait for."""
        now = max(self._stepped_at, self.clock())
        seconds = now - self._stepped_at
        if self._rollover.is_due(self._broker_msc(now)):
            self.touch()
            self._rollover.run(self.now_msc())
        if self._due_orders.are_due(self._broker_msc(now)):
            self.touch()
            self._due_orders.run_due(self.now_msc())
        if seconds > 0 and self._market is not None:
            rounds = self._market.advance(seconds, self.books.quotes)
            for number, quotes in enumerate(rounds, start=1):
                at = self._stepped_at + seconds * number / len(rounds)
                self._moment = max(self._moment, at)
                self._take(quotes)
        self._stepped_at = now
        self.touch()
        if after_prices is not None:
            after_prices()
        if now - self._prices_recorded_at >= _SECONDS_BETWEEN_PRICE_RECORDS:
            self.record_prices()
        return self.commit()

    def quote(self, symbol: int, bid: float, ask: float) -> None:
        """Set a price by hand and keep the feed off this symbol until `release`."""
        self.touch()
        self.pinned.add(symbol)
        self._take([(symbol, bid, ask)], by_hand=True)
        self.record_prices()

    def release(self, symbol: int) -> None:
        self.pinned.discard(symbol)
        if self._market is not None:
            self._market.resume(self._market.state(), self.books.quotes)

    def record_prices(self) -> None:
        state = self._market.state() if self._market else None
        self.books.write(PRICES, self.books.quotes, state)
        self._prices_recorded_at = self.clock()

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

    def _take(self, quotes: Round, *, by_hand: bool = False) -> None:
        time_msc = self.now_msc()
        for symbol, bid, ask in quotes:
            if symbol in self.pinned and not by_hand:
                continue
            self.books.quotes[symbol] = [bid, ask]
            self.valuation.quote(symbol, bid, ask)
            self.tick_msc[symbol] = time_msc
            closed = self.history.symbols[symbol].tick(time_msc, bid, ask)
            if closed is not None:
                self.books.written.append((CLOSED_BAR, symbol, closed))
        self.valuation.convert()
        self.valuation.mark()
        self._triggers.run()
        self._liquidation.run()

    def _start_prices(self) -> None:
        if self._market is not None:
            if self._recovered:
                self._market.resume(self._market_state, self.books.quotes)
            else:
                for symbol, bid, ask in self._market.first_quotes():
                    self.books.quotes[symbol] = [bid, ask]
            if self.history.is_empty():
                self._market.seed_history(self.history, self.books.quotes, self.now_msc() // 1000)
        for symbol, (bid, ask) in enumerate(self.books.quotes):
            self.valuation.quote(symbol, bid, ask)
            self.tick_msc[symbol] = self.now_msc()
        self.valuation.convert()
        self.valuation.settle_all()
        self._triggers.mark_orders()

    def _recover(self) -> bool:
        """Read the journal back; return whether there was anything in it."""
        if self._journal is None:
            return False
        recovery = self._journal.recover()
        if recovery.snapshot is not None:
            image, version = unpacked(recovery.snapshot)
            self._load(image)
            for records in recovery.batches:
                self._replay(upgraded(records, version, self.books))
        if recovery.after_crash:
            self.books.skip_tickets()
        return recovery.snapshot is not None or bool(recovery.batches)

    def _replay(self, records: Iterable[Record]) -> None:
        for record in records:
            if record[0] == CLOSED_BAR:
                self.history.symbols[record[1]].restore(record[2])
                continue
            self.books.apply(record)
            if record[0] == PRICES:
                self._market_state = record[2]

    def _snapshot(self) -> bytes:
        state = self._market.state() if self._market else self._market_state
        return packed(self.books.dump(), self.history.dump(), state)

    def _load(self, image: Mapping[str, Any]) -> None:
        self.books.load(image["books"])
        self.history.load(image["history"])
        self._market_state = image["market"]
