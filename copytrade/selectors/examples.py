"""What a relationship's terms would mean right now: "1.00 lot there = 0.23 lot here"."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Unpack
from uuid import uuid4

from accounts.market_terms import symbols_of, terms_of
from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.selectors import last_states
from accounts.symbol_terms import SymbolTerms
from copytrade.core.facts import (
    AccountFigures,
    FollowerSnapshot,
    ProviderEvent,
    RelationshipTerms,
    SymbolContract,
)
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.core.plan import size_only
from copytrade.core.plans import Refusal as Skip
from copytrade.core.rates import Quote, rates_of
from copytrade.core.sentences import lots_figure, symbol_unknown
from copytrade.core.symbols import match_symbol
from copytrade.models import CopyRelationship
from copytrade.selectors.figures import figures_of
from copytrade.terms import TermChanges, check_terms, set_terms

# What an example is shown for when nobody says otherwise and the provider holds nothing.
USUAL_SYMBOL: Final = "EURUSD"
_COMMON: Final = "USD"
# A page waits for it while somebody types.
_WAIT_SECONDS: Final = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSize:
    """The follower's lots for some of the provider's; `lots` is None where there would be none.

    `sentence` says it as the page does, or why there is no size.
    """

    provider_symbol: str
    provider_lots: Decimal
    follower_symbol: str
    lots: Decimal | None
    sentence: str
    reason: str = ""

    @property
    def is_known(self) -> bool:
        return self.lots is not None


@dataclass(frozen=True, slots=True)
class _Trade:
    """What the provider is imagined to open."""

    symbol: str
    lots: Decimal
    is_buy: bool
    stop_loss: float | None


@dataclass(frozen=True, slots=True)
class _Side:
    """An account with what its host tells of it now."""

    account: ConnectedAccount
    names: frozenset[str]
    figures: AccountFigures | None

    def terms(self, symbol: str) -> SymbolTerms | None:
        account = self.account
        return terms_of(
            account.server,
            symbol,
            account.terminal_host_id,
            login=account.login,
            wait_seconds=_WAIT_SECONDS,
        )

    def contract(self, symbol: str) -> SymbolContract | None:
        terms = self.terms(symbol)
        if terms is None:
            return None
        currency = self.account.currency if self.figures is None else self.figures.currency
        return SymbolContract.of(terms, currency)


def example_size(
    *,
    actor: User,
    provider: ConnectedAccount,
    follower: ConnectedAccount,
    now: datetime,
    symbol: str = "",
    lots: Decimal = Decimal(1),
    is_buy: bool = True,
    stop_loss: float | None = None,
    **terms: Unpack[TermChanges],
) -> ExampleSize:
    """Size an open of `lots` as these terms would copy it now, whatever their filters say.

    Without a symbol, one that the provider holds. Asks the hosts of both accounts, which may take a
    second or two. Raises ValidationError for terms that make no sense, and Refusal for another's
    follower: the size tells its money.
    """
    if follower.user_id != actor.pk:
        raise Refusal("What it would be is shown to the follower's owner.", code="not_yours")
    row = CopyRelationship(provider=provider, follower=follower, alias=follower.name[:32])
    set_terms(row, terms)
    check_terms(row)
    states = last_states([provider, follower])
    there, here = (
        _Side(each, _names(each), figures_of(states.get(each.pk), now=now))
        for each in (provider, follower)
    )
    if not symbol:
        state = states.get(provider.pk)
        held = [] if state is None else sorted(state.positions["symbol"].tolist())
        symbol = state.tables.symbols[held[0]] if state is not None and held else _usual(there)
    return _example(there, here, row, _Trade(symbol, lots, is_buy, stop_loss), now=now)


def _example(
    there: _Side, here: _Side, row: CopyRelationship, trade: _Trade, *, now: datetime
) -> ExampleSize:
    wanted = _wanted(there, here, row, trade)
    if isinstance(wanted, ExampleSize):
        return wanted
    theirs, ours = there.contract(trade.symbol), here.contract(wanted)
    if theirs is None or ours is None:
        text = f"The contract of {trade.symbol if theirs is None else wanted} is not known now."
        return _none(trade, wanted, SkipReason.NO_READING, text)
    rates = rates_of(_quotes(there, here, (theirs, ours)), _COMMON)
    event = _event(there, theirs, trade, rates, now=now)
    snapshot = FollowerSnapshot(
        account_id=here.account.pk,
        terms=RelationshipTerms.of(row),
        symbol_names=here.names,
        contracts={wanted: ours},
        figures=here.figures,
    )
    size = size_only(event, snapshot, now=now)
    if isinstance(size, Skip):
        return _none(trade, wanted, size.reason, size.sentence)
    text = f"{lots_figure(trade.lots)} lot there = {lots_figure(size.lots)} lot here."
    return ExampleSize(
        provider_symbol=trade.symbol,
        provider_lots=trade.lots,
        follower_symbol=wanted,
        lots=size.lots,
        sentence=f"{text} {size.sentence}".rstrip(),
    )


def _wanted(there: _Side, here: _Side, row: CopyRelationship, trade: _Trade) -> str | ExampleSize:
    """Return what the follower's server calls the symbol, or why that is not known."""
    symbol = trade.symbol
    if not here.names:
        text = "The symbols of the follower's server are not known now: its host does not tell."
        return _none(trade, "", SkipReason.NO_READING, text)
    wanted = match_symbol(symbol, row.symbol_map, there.names or frozenset({symbol}), here.names)
    if wanted is not None:
        return wanted
    text = symbol_unknown(symbol, row.symbol_map.get(symbol), len(here.names))
    return _none(trade, "", SkipReason.SYMBOL_UNKNOWN, text)


def _event(
    side: _Side,
    contract: SymbolContract,
    trade: _Trade,
    rates: dict[str, Decimal],
    *,
    now: datetime,
) -> ProviderEvent:
    return ProviderEvent(
        id=uuid4(),
        kind=EventKind.OPEN,
        symbol=trade.symbol,
        is_buy=trade.is_buy,
        happened_at=now,
        lots=trade.lots,
        price=contract.price_for(trade.is_buy),
        stop_loss=trade.stop_loss,
        contract=contract,
        figures=side.figures,
        symbol_names=side.names,
        rates=rates,
    )


def _quotes(there: _Side, here: _Side, contracts: Iterable[SymbolContract]) -> list[Quote]:
    """Ask for what turns the currencies of a size into each other; none where all are one."""
    needed = {each.value_currency for each in contracts}
    needed |= {side.figures.currency for side in (there, here) if side.figures is not None}
    if len(needed) < 2:
        return []
    asked = (
        _quote(side, currency) for currency in sorted(needed - {_COMMON}) for side in (there, here)
    )
    return [quote for quote in asked if quote is not None]


def _quote(side: _Side, currency: str) -> Quote | None:
    """Return what a currency is worth by the symbols of one server."""
    for pair in (f"{currency}{_COMMON}", f"{_COMMON}{currency}"):
        name = match_symbol(pair, {}, frozenset({pair}), side.names)
        terms = side.terms(name) if name is not None else None
        if terms is not None and terms.bid > 0 and terms.ask > 0:
            middle = (terms.bid + terms.ask) / 2
            return Quote(terms.currency_base, terms.currency_profit, middle)
    return None


def _names(account: ConnectedAccount) -> frozenset[str]:
    names = symbols_of(
        account.server,
        host=account.terminal_host_id,
        login=account.login,
        wait_seconds=_WAIT_SECONDS,
    )
    return frozenset(names or ())


def _usual(side: _Side) -> str:
    pair = frozenset({USUAL_SYMBOL})
    return match_symbol(USUAL_SYMBOL, {}, pair, side.names) or USUAL_SYMBOL


def _none(trade: _Trade, wanted: str, reason: SkipReason, sentence: str) -> ExampleSize:
    return ExampleSize(
        provider_symbol=trade.symbol,
        provider_lots=trade.lots,
        follower_symbol=wanted,
        lots=None,
        sentence=sentence,
        reason=reason.value,
    )
