"""Symbols as copying needs them: asked once per server and kind of account, not per follower.

The terminals of another host are asked through that host.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Protocol
from uuid import UUID

from accounts.market_terms import symbols_of, terms_of
from accounts.symbol_terms import SymbolTerms
from accounts.terminals.link import LinkError
from copytrade.core.facts import SymbolContract, exact
from copytrade.core.symbols import match_symbol
from risk.gate.commissions import LEARNED

logger = logging.getLogger(__name__)

# A price for orders is not older than this; what a symbol is changes far more seldom.
QUOTE_SECONDS: Final = 0.5
NAMES_SECONDS: Final = 3600.0
MARGIN_SECONDS: Final = 30.0
# A terminal that did not answer is not asked again sooner; others of its kind may know.
SILENT_SECONDS: Final = 0.5
# Another host looks once a second at what it is asked; one that is away is not waited for again.
ELSEWHERE_SECONDS: Final = 3.0
ELSEWHERE_WAIT_SECONDS: Final = 1.5
ELSEWHERE_SILENT_SECONDS: Final = 30.0
# What was of use within this time is kept known.
USED_SECONDS: Final = 3600.0
COMMISSION_SECONDS: Final = 300.0
_COMMON: Final = "USD"
_NAME_PLACE: Final = 93  # in a SymbolInfo row
_BUY, _SELL = 0, 1


class Calls(Protocol):
    def call(self, method: str, *arguments: Any) -> Any: ...

    def submit(self, method: str, *arguments: Any) -> "Future[Any]": ...


@dataclass(frozen=True, slots=True)
class Kind:
    """Accounts that see a symbol alike: of one server, currency and leverage.

    `host` is that of accounts which the own terminals know nothing of, else empty.
    """

    server: str
    currency: str
    leverage: int
    host: str = ""


@lru_cache(maxsize=4096)
def kind_of(server: str, currency: str, leverage: int, host: str = "") -> Kind:
    """Return the one object for accounts that see a symbol alike: it is found by that at once."""
    return Kind(server, currency, leverage, host)


@dataclass(slots=True)
class _Known:
    terms: SymbolTerms | None
    contract: SymbolContract | None
    until: float


class Contracts(Mapping[str, SymbolContract]):
    """The symbols of one kind of account, each asked for when somebody looks."""

    def __init__(self, markets: "Markets", kind: Kind, login: int) -> None:
        self._markets = markets
        self._kind = kind
        self._login = login

    def __getitem__(self, symbol: str) -> SymbolContract:
        contract = self._markets.known(self._kind, self._login, symbol).contract
        if contract is None:
            raise KeyError(symbol)
        return contract

    def __iter__(self) -> Iterator[str]:
        return iter(self._markets.names(self._kind.server, self._login, self._kind.host))

    def __len__(self) -> int:
        return len(self._markets.names(self._kind.server, self._login, self._kind.host))


class Rates(Mapping[str, Decimal]):
    """What one unit of each currency is in dollars, by the quotes of one account's server."""

    def __init__(self, markets: "Markets", kind: Kind, login: int) -> None:
        self._contracts = Contracts(markets, kind, login)
        self._names = markets.names(kind.server, login, kind.host)

    def __getitem__(self, currency: str) -> Decimal:
        if currency == _COMMON:
            return Decimal(1)
        for base, profit in ((currency, _COMMON), (_COMMON, currency)):
            name = match_symbol(base + profit, {}, frozenset(), self._names)
            contract = None if name is None else self._contracts.get(name)
            middle = None if contract is None else contract.middle
            if middle:
                return exact(middle) if base == currency else 1 / exact(middle)
        raise KeyError(currency)

    def __iter__(self) -> Iterator[str]:
        return iter((_COMMON,))

    def __len__(self) -> int:
        return 1


@dataclass
class Markets:
    """Asks a host's terminals about symbols; for one thread.

    What it knows is replaced as a whole, so that others may put in what is newer: see `Warmth`.
    Real brokers may give single accounts terms of their own: what the broker of such a follower
    refuses is told like any refusal.
    """

    source: Calls
    monotonic: Callable[[], float] = time.monotonic
    _known: dict[tuple[Kind, str], _Known] = field(default_factory=dict)
    _names: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    _margins: dict[tuple[Kind, str], tuple[float, float | None, float | None]] = field(
        default_factory=dict
    )
    _commissions: dict[tuple[Kind, str], tuple[float, float | None]] = field(default_factory=dict)
    _silent: dict[str, float] = field(default_factory=dict)  # until when a host is not waited for
    _mute: dict[int, float] = field(default_factory=dict)  # until when a login is not asked
    # When each was of use, to which login; and for the commission, to which account.
    _used: dict[tuple[Kind, str], tuple[float, int]] = field(default_factory=dict)
    _charged: dict[tuple[Kind, str], UUID] = field(default_factory=dict)

    def names(self, server: str, login: int, host: str = "") -> frozenset[str]:
        """Return the symbols of a server as one of its accounts sees them; empty: not known."""
        known = self._names.get(server)
        now = self.monotonic()
        if known is not None and now - known[0] < NAMES_SECONDS:
            return known[1]
        if host:
            wait_seconds = self._wait_seconds(host, now)
            told = symbols_of(server, host=host, login=login, wait_seconds=wait_seconds)
            if told is None:
                self._silent[host] = now + ELSEWHERE_SILENT_SECONDS
                return frozenset() if known is None else known[1]
            self._names[server] = now, frozenset(told)
            return self._names[server][1]
        rows = None
        if not self._is_mute(login, now):
            try:
                rows = self.source.call("symbols", login, None)
            except LinkError as error:
                logger.info("The symbols of %s are not known: %s", server, error)
                self._mute[login] = self.monotonic() + SILENT_SECONDS
        if rows is None:
            return frozenset() if known is None else known[1]
        return self.learn_names(server, rows, now)

    def contracts(self, kind: Kind, login: int) -> Contracts:
        return Contracts(self, kind, login)

    def terms(self, kind: Kind, login: int, symbol: str) -> SymbolTerms | None:
        """Return a symbol's terms with a fresh quote, and what a lot takes of the margin."""
        return self.known(kind, login, symbol).terms

    def known(self, kind: Kind, login: int, symbol: str) -> _Known:
        """Return what one login says for all of its kind; what it does not say, another may."""
        found = self._known.get((kind, symbol))
        now = self.monotonic()
        if not kind.host:
            self._used[kind, symbol] = now, login
        if found is not None and now < found.until:
            return found
        if kind.host:
            return self._known_elsewhere(kind, login, symbol, found, now)
        if self._is_mute(login, now):
            return _Known(None, None, now)
        try:
            terms = self._asked(kind, login, symbol, now)
        except LinkError as error:
            logger.info("The terms of %s are not known for %s: %s", symbol, kind.server, error)
            self._mute[login] = self.monotonic() + SILENT_SECONDS
            return _Known(None, None, now)
        contract = None if terms is None else SymbolContract.of(terms, kind.currency)
        found = self._known[kind, symbol] = _Known(terms, contract, now + QUOTE_SECONDS)
        return found

    def _is_mute(self, login: int, now: float) -> bool:
        return now < self._mute.get(login, 0.0)

    def keep_warm(self) -> None:
        """Have other hosts go on telling the terms that were of use within the last hour."""
        for kind, symbol, login in self.in_use():
            if kind.host:
                terms_of(kind.server, symbol, kind.host, login=login, wait_seconds=0.0)

    def in_use(self) -> list[tuple[Kind, str, int]]:
        """Return what was of use within the last hour and to whom, the newest first."""
        now = self.monotonic()
        used = sorted(self._used.copy().items(), key=lambda one: one[1][0], reverse=True)
        for key, (used_at, _) in used:
            if now - used_at >= USED_SECONDS:
                self._used.pop(key, None)
                self._charged.pop(key, None)
        return [
            (kind, symbol, login)
            for (kind, symbol), (used_at, login) in used
            if now - used_at < USED_SECONDS
        ]

    def learn(self, kind: Kind, symbol: str, row: Sequence[Any] | None, asked_at: float) -> None:
        """Take in what a terminal told of a symbol when it was asked at `asked_at`."""
        if row is None:
            self._used.pop((kind, symbol), None)  # there is none of that name
            return
        terms = SymbolTerms.from_row(row, read_at=time.time())
        _, buy, sell = self._margins.get((kind, symbol), (0.0, None, None))
        terms = replace(terms, margin_buy=buy, margin_sell=sell)
        key, until = (kind, symbol), asked_at + QUOTE_SECONDS
        known = self._known.get(key)
        if known is None or known.until < until:
            self._known[key] = _Known(terms, SymbolContract.of(terms, kind.currency), until)

    def learn_margins(
        self, kind: Kind, symbol: str, buy: float | None, sell: float | None, asked_at: float
    ) -> None:
        """Take in what a lot takes of the margin, as it was asked for at `asked_at`."""
        self._margins[kind, symbol] = asked_at, buy, sell

    def learn_names(
        self, server: str, rows: Sequence[Sequence[Any]], asked_at: float
    ) -> frozenset[str]:
        """Take in the symbols of a server; none at all is no answer."""
        names = frozenset(str(row[_NAME_PLACE]) for row in rows)
        if names:
            self._names[server] = asked_at, names
        return names

    def terms_known(self, kind: Kind, symbol: str) -> SymbolTerms | None:
        """Return the newest terms, however old they are."""
        known = self._known.get((kind, symbol))
        return None if known is None else known.terms

    def ages(self, kind: Kind, symbol: str) -> tuple[float, float, float]:
        """Return how many seconds ago the names, the margins and the commission became known."""
        now = self.monotonic()
        names = self._names.get(kind.server)
        margins = self._margins.get((kind, symbol))
        commission = self._commissions.get((kind, symbol))
        return (
            math.inf if names is None else now - names[0],
            math.inf if margins is None else now - margins[0],
            math.inf if commission is None else now - commission[0],
        )

    def learn_commission(self, kind: Kind, symbol: str, now: datetime) -> None:
        """Learn anew what an account that was asked for pays for a lot, if any was."""
        account_id = self._charged.get((kind, symbol))
        if account_id is not None:
            learned = LEARNED.per_lot(account_id, symbol, now)
            self._commissions[kind, symbol] = self.monotonic(), learned

    def _known_elsewhere(
        self, kind: Kind, login: int, symbol: str, earlier: _Known | None, now: float
    ) -> _Known:
        """Return what another host says of a symbol, or what is known of the same server here.

        While it says nothing, what was said last stands, without its price.
        """
        same = self._known.get((replace(kind, host=""), symbol))
        if same is not None and now < same.until:
            return same
        self._used[kind, symbol] = now, login
        wait_seconds = self._wait_seconds(kind.host, now)
        terms = terms_of(kind.server, symbol, kind.host, login=login, wait_seconds=wait_seconds)
        if terms is not None:
            contract = SymbolContract.of(terms, kind.currency)
            found = _Known(terms, contract, now + ELSEWHERE_SECONDS)
        else:
            self._silent[kind.host] = now + ELSEWHERE_SILENT_SECONDS
            said = [one.contract for one in (earlier, same) if one is not None and one.contract]
            last = said[0] if said else None
            unpriced = None if last is None else replace(last, bid=None, ask=None)
            found = _Known(None, unpriced, now + QUOTE_SECONDS)
        self._known[kind, symbol] = found
        return found

    def _wait_seconds(self, host: str, now: float) -> float:
        return 0.0 if now < self._silent.get(host, 0.0) else ELSEWHERE_WAIT_SECONDS

    def commission(self, kind: Kind, account_id: UUID, symbol: str, now: Any) -> float | None:
        """Return what one of these accounts has learned a lot to cost; asked for one of them."""
        self._charged[kind, symbol] = account_id
        known = self._commissions.get((kind, symbol))
        moment = self.monotonic()
        if known is not None and moment - known[0] < COMMISSION_SECONDS:
            return known[1]
        learned = LEARNED.per_lot(account_id, symbol, now)
        self._commissions[kind, symbol] = moment, learned
        return learned

    def _asked(self, kind: Kind, login: int, symbol: str, now: float) -> SymbolTerms | None:
        row = self.source.call("symbol_info", login, symbol)
        if row is None:
            return None
        terms = SymbolTerms.from_row(row, read_at=time.time())
        buy, sell = self._margin(kind, login, terms, now)
        return SymbolTerms.from_row(row, read_at=terms.read_at, margin_buy=buy, margin_sell=sell)

    def _margin(
        self, kind: Kind, login: int, terms: SymbolTerms, now: float
    ) -> tuple[float | None, float | None]:
        known = self._margins.get((kind, terms.name))
        if known is not None and now - known[0] < MARGIN_SECONDS:
            return known[1], known[2]
        buy = self._asked_margin(login, _BUY, terms.name, terms.ask)
        sell = self._asked_margin(login, _SELL, terms.name, terms.bid)
        self._margins[kind, terms.name] = now, buy, sell
        return buy, sell

    def _asked_margin(self, login: int, side: int, symbol: str, price: float) -> float | None:
        if price <= 0:
            return None
        try:
            margin = self.source.call("order_calc_margin", login, side, symbol, 1.0, price)
        except LinkError as error:  # the formula stands in
            logger.info("The margin of %s is not known for %s: %s", symbol, login, error)
            return None
        return None if margin is None else float(margin)
