"""What the rules of one host need to know beside its readings, kept up to date beside the tick."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from typing import Final
from uuid import UUID

import numpy as np

from accounts.core.zones import broker_zone
from accounts.market_history import Calls
from accounts.sessions.poll import Poll
from risk.calendars import Calendars
from risk.core.arrays import Flags, Integers
from risk.core.instruments import by_instrument
from risk.core.parameters import MaxExposure, RuleParameters, TradingWindow
from risk.core.rule_types import ExposureOf, RuleType, WindowKind
from risk.core.surroundings import Sides, Surroundings
from risk.desk import Desk
from risk.elsewhere import SidesElsewhere
from risk.market_facts import MarketFacts, Wish

LOOK_SECONDS: Final = 1.0
# An order may bring a symbol that nobody holds; of a server with more, only these are looked up.
_MOST_SHOWN_SYMBOLS: Final = 60


class SurroundingsBook:
    """Gives the surroundings of each tick; whatever takes a while is asked on the executor."""

    def __init__(self, host: str, source: Calls, executor: Executor) -> None:
        self._facts = MarketFacts(source, executor)
        self._elsewhere = SidesElsewhere(host, executor)
        self._calendars = Calendars()
        self._desk: Desk
        self._users: Integers
        self._families: Integers
        self._needs_currencies: Flags
        self._needs_returns: Flags
        self._looked_at = float("-inf")

    def load(self, desk: Desk) -> None:
        """Follow a desk that was loaded again; reads the calendars of its users."""
        news = {rule.user_id for rule in desk.rules if _looks_at_news(rule.parameters)}
        self._calendars.load(news)
        self._elsewhere.load(desk)
        self._desk = desk
        users = [account.user_id if account else -1 for account in desk.accounts]
        self._users = np.array(users, dtype=np.int64)
        self._families = rule_families(desk)
        self._needs_returns = _accounts_with(
            desk, [rule.parameters.rule_type is RuleType.MAX_CORRELATION for rule in desk.rules]
        )
        self._needs_currencies = self._needs_returns | _accounts_with(
            desk, [_looks_at_currencies(rule.parameters) for rule in desk.rules]
        )
        self._looked_at = float("-inf")

    def around(self, poll: Poll) -> Surroundings:
        """Return what is known around this poll."""
        if poll.monotonic - self._looked_at >= LOOK_SECONDS:
            self._looked_at = poll.monotonic
            if self._needs_currencies.any():
                self._facts.look_after(self._wishes(poll), poll.now.timestamp(), poll.monotonic)
            self._elsewhere.look(poll.now.timestamp())
        return Surroundings(
            moment=poll.now.timestamp(),
            currencies=self._facts.currencies,
            correlations=self._facts.correlations,
            users=self._users,
            calendars=self._calendars.by_user,
            rule_families=self._families,
            sides_elsewhere=self._sides_elsewhere(poll),
        )

    def _sides_elsewhere(self, poll: Poll) -> Mapping[int, Sides | None]:
        sides, known = self._elsewhere.sides(poll.now.timestamp()), self._facts.currencies
        return {
            family: None if held is None else by_instrument(held, known)
            for family, held in sides.items()
        }

    def _wishes(self, poll: Poll) -> Iterator[Wish]:
        """List the symbols that are held, ordered or shown where a rule looks at them."""
        for wanted, with_returns in (
            (self._needs_returns, True),
            (self._needs_currencies & ~self._needs_returns, False),
        ):
            for (server, number), row in self._symbols(poll, wanted).items():
                facts = self._desk.accounts[row]
                if facts is None:
                    continue
                yield Wish(
                    server=poll.batch.servers[server],
                    symbol=poll.batch.symbols[number],
                    login=facts.login,
                    zone=broker_zone(facts.terms.broker_zone),
                    with_returns=with_returns,
                )

    def _symbols(self, poll: Poll, wanted: Flags) -> dict[tuple[int, int], int]:
        """Return (server, symbol) with an account that can be asked, those held first."""
        servers = poll.batch.accounts["server"]
        able = wanted & poll.accepted_now & (servers >= 0)
        found: dict[tuple[int, int], int] = {}
        for rows in (poll.batch.positions, poll.batch.orders):
            account = np.ascontiguousarray(rows["account"])
            mine = np.flatnonzero(able[account])
            keys = zip(servers[account[mine]].tolist(), rows["symbol"][mine].tolist(), strict=True)
            for key, row in zip(keys, account[mine].tolist(), strict=True):
                found.setdefault(key, row)
        self._add_shown(poll, able, found)
        return found

    def _add_shown(self, poll: Poll, able: Flags, found: dict[tuple[int, int], int]) -> None:
        servers = poll.batch.accounts["server"]
        prices = poll.batch.prices
        for server in np.unique(servers[able]).tolist():
            row = int(np.flatnonzero(able & (servers == server))[0])
            shown = np.unique(prices["symbol"][prices["server"] == server])
            for symbol in shown[:_MOST_SHOWN_SYMBOLS].tolist():
                found.setdefault((server, symbol), row)


def rule_families(desk: Desk) -> Integers:
    """Number the rules of a desk so that a rule and its variants have one number."""
    numbers: dict[UUID, int] = {}
    found = [numbers.setdefault(rule.id, len(numbers)) for rule in desk.rules]
    return np.array(found, dtype=np.int64)


def _accounts_with(desk: Desk, rules: list[bool]) -> Flags:
    """Tell which accounts have one of the marked rules."""
    flags = np.zeros(len(desk.accounts), dtype=np.bool_)
    marked = np.array(rules, dtype=np.bool_)
    if marked.any():
        flags[desk.pairs.account_index[marked[desk.pairs.rule_index]]] = True
    return flags


def _looks_at_news(parameters: RuleParameters) -> bool:
    return isinstance(parameters, TradingWindow) and parameters.kind is WindowKind.NEWS


def _looks_at_currencies(parameters: RuleParameters) -> bool:
    if isinstance(parameters, MaxExposure):
        return parameters.exposure_of is ExposureOf.CURRENCY
    is_crossing = parameters.rule_type is RuleType.NO_CROSS_HEDGING
    return is_crossing or _looks_at_news(parameters)
