"""The stage of a scenario: accounts of its own at the simulated broker, and one price by hand.

Nothing but the script moves the price of its symbol, so that the same script always ends the same.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.utils import timezone

from accounts.models import AccountConnection, ConnectedAccount, User
from accounts.models.connection import ConnectionState
from accounts.services.accounts import create_account
from accounts.services.watching import connect_account
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.calls import BrokerCalls
from groups.models import AccountGroup
from groups.services import create_group
from risk.models import AccountLock, Enforcement, Order, RiskRule, RuleBreach
from risk.services.arming import arm_rule
from risk.services.rules import create_rule
from tradeguard.scenarios.timeline import Timeline

SERVER = "ScenarioMarkets-Demo"
# No robot trades it, it is quoted in dollars, and a share is a share.
SYMBOL = "AAPL"
FIRST_BID = 268.40
SPREAD = 0.09
_FIRST_LOGIN = 4_400_001
# The place of the volume in a row of positions_get.
_POSITION_VOLUME = 9
_STEP_SECONDS = 0.25
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0


class ScenarioFailedError(Exception):
    """The story took another course than the one that was written."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One account of a scenario; levels are percent of the margin."""

    name: str
    deposit: float = 100_000.0
    leverage: int = 100
    stop_out_level: float = 5.0
    is_netting: bool = False


@dataclass(frozen=True, kw_only=True)
class HouseRule:
    """A rule of the scenario's group; one that closes is armed before the story begins."""

    name: str
    rule_type: RiskRule.Type
    limit: str
    action: RiskRule.Action
    parameters: Mapping[str, object] = field(default_factory=dict)
    act_at_fraction: str = "1"


class Stage:
    """What a script can do, and what it can wait for; every step is told on the timeline."""

    def __init__(self, user: User, broker: BrokerCalls, timeline: Timeline) -> None:
        self.user = user
        self.timeline = timeline
        self._broker = broker
        self.accounts: dict[str, ConnectedAccount] = {}
        self.group: AccountGroup | None = None

    def set_up(self, title: str, parts: Sequence[Part], rules: Sequence[HouseRule]) -> None:
        """Open the accounts, connect them, and arm the rules on them."""
        self._broker.set_market_open(SYMBOL, True)
        self._quote(FIRST_BID)
        number = self._next_number(title)
        for part in parts:
            self.accounts[part.name] = self._open(part, f"{part.name} #{number}")
        self.group = create_group(
            user=self.user,
            name=f"{title} #{number}",
            description="A scenario on the simulated broker.",
            accounts=list(self.accounts.values()),
        )
        for account in self.accounts.values():
            connect_account(account=account, now=timezone.now())
        self.await_(
            "all accounts are connected",
            lambda: self._connected() == len(self.accounts),
        )
        # What was read before the connection came says that there is none.
        for account in self.accounts.values():
            account.refresh_from_db()
        for rule in rules:
            self._lay_down(rule, self.group)
        self.timeline.follow(account.pk for account in self.accounts.values())
        # The worker looks for edited rules once a second.
        self.pause(1.5)

    def tear_down(self) -> None:
        """Give the price back to the market."""
        self._broker.release_prices(SYMBOL)
        self._broker.set_market_open(SYMBOL, None)

    def buy_by_hand(self, name: str, lots: float, *, stop_loss: float = 0.0) -> int:
        """Open a position as a person at the terminal would; return its ticket."""
        ticket = self._deal_by_hand(name, lots, type=mt5.ORDER_TYPE_BUY, sl=stop_loss)
        stop = f", stop loss {stop_loss:.2f}" if stop_loss else ", no stop loss"
        self.timeline.say(f"{self._named(name)}: {lots:g} {SYMBOL} bought in the terminal{stop}")
        return ticket

    def close_by_hand(self, name: str, ticket: int, lots: float) -> None:
        """Close a position or a part of it, as a person at the terminal would."""
        self._deal_by_hand(name, lots, type=mt5.ORDER_TYPE_SELL, position=ticket)
        self.timeline.say(f"{self._named(name)}: {lots:g} {SYMBOL} closed in the terminal")

    def _deal_by_hand(self, name: str, lots: float, **fields: float) -> int:
        request = {
            "action": mt5.TRADE_ACTION_DEAL,
            "symbol": SYMBOL,
            "volume": float(lots),
            "type_filling": mt5.ORDER_FILLING_FOK,
            **fields,
        }
        retcode, _, ticket, *_ = self._broker.trade_by_hand(self.accounts[name].login, request)
        if retcode != mt5.TRADE_RETCODE_DONE:
            raise ScenarioFailedError(f"The broker answered {retcode} to an order by hand.")
        return int(ticket)

    def move_price(self, *, to: float, step: float = 0.5) -> None:
        """Let the bid go to a price in equal steps, a few in a second."""
        self.timeline.say(f"{SYMBOL} goes from {self._bid:.2f} to {to:.2f}")
        direction = 1 if to > self._bid else -1
        while abs(self._bid - to) > 1e-9:
            rest = abs(to - self._bid)
            self._quote(round(self._bid + direction * min(step, rest), 2))
            self.pause(_STEP_SECONDS)

    def open_market(self, is_open: bool) -> None:
        self._broker.set_market_open(SYMBOL, is_open)
        self.timeline.say(f"{SYMBOL} is {'open' if is_open else 'closed'} for trading")

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.timeline.look()
            time.sleep(min(left, _LOOK_SECONDS))

    def await_(
        self, what: str, is_so: Callable[[], bool], *, seconds: float = _PATIENCE_SECONDS
    ) -> None:
        """Wait until something is so; raise ScenarioFailedError when it does not come true."""
        until = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > until:
                raise ScenarioFailedError(f"After {seconds:.0f} s it is still not so: {what}.")
            self.pause(_LOOK_SECONDS)
        self.timeline.look()
        self.timeline.say(f"✓ {what}")

    def await_breach(self, name: str) -> None:
        self.await_(f"{self._named(name)} is violated", lambda: self._breaches(name) > 0)

    def await_done(self, name: str, action: Enforcement.Action) -> None:
        """Wait until a run of this action on the account has been confirmed."""
        runs = Enforcement.objects.filter(account_id=self.accounts[name].pk, action=action)
        self.await_(
            f"{self._named(name)}: {action.label.lower()}, confirmed",
            lambda: runs.exclude(confirmed_at=None).exists() and not runs.running().exists(),
        )

    def await_flat(self, name: str) -> None:
        self.await_done(name, Enforcement.Action.CLOSE_ALL)
        if self.lots(name):
            raise ScenarioFailedError(f"{self._named(name)} is said to be flat and is not.")

    def expect(self, what: str, is_so: bool) -> None:
        if not is_so:
            raise ScenarioFailedError(f"It is not so: {what}.")
        self.timeline.say(f"✓ {what}")

    def expect_locked(self, name: str) -> None:
        self.expect(f"{self._named(name)} is locked", self.is_locked(name))

    def lots(self, name: str) -> float:
        """Return what the broker holds of the account, in lots."""
        rows = self._broker.call("positions", self.accounts[name].login, None, None, None)
        return float(sum(row[_POSITION_VOLUME] for row in rows))

    def is_locked(self, name: str) -> bool:
        return AccountLock.objects.standing().filter(account_id=self.accounts[name].pk).exists()

    def orders(self, name: str) -> list[Order]:
        return list(Order.objects.filter(account_id=self.accounts[name].pk))

    def _named(self, name: str) -> str:
        return self.accounts[name].name

    def _breaches(self, name: str) -> int:
        return RuleBreach.objects.filter(account_id=self.accounts[name].pk).count()

    def _quote(self, bid: float) -> None:
        self._bid = bid
        self._broker.set_prices(SYMBOL, bid, round(bid + SPREAD, 2))

    def _connected(self) -> int:
        return AccountConnection.objects.filter(
            account__in=self.accounts.values(), state=ConnectionState.CONNECTED
        ).count()

    def _next_number(self, title: str) -> int:
        return (
            AccountGroup.objects.filter(user=self.user, name__startswith=f"{title} #").count() + 1
        )

    def _open(self, part: Part, name: str) -> ConnectedAccount:
        known = {account["login"] for account in self._broker.accounts()}
        login = next(each for each in range(_FIRST_LOGIN, 2**31) if each not in known)
        password = secrets.token_urlsafe(12)
        mode = (
            mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING
            if part.is_netting
            else mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
        )
        self._broker.create_account(
            login,
            password,
            SERVER,
            name,
            deposit=part.deposit,
            leverage=part.leverage,
            margin_mode=mode,
            stop_out_level=part.stop_out_level,
        )
        self._broker.authorise_many([(login, password, SERVER)])
        return create_account(
            user=self.user,
            name=name,
            broker="Scenario Markets",
            server=SERVER,
            login=login,
            password=password,
            currency="USD",
            initial_balance=Decimal(str(part.deposit)),
            tags=("scenario",),
            now=timezone.now(),
        )

    def _lay_down(self, house: HouseRule, group: AccountGroup) -> None:
        rule = create_rule(
            user=self.user,
            name=f"{house.name} ({group.name})"[:64],
            rule_type=house.rule_type,
            limit=Decimal(house.limit),
            action=house.action,
            parameters=dict(house.parameters),
            act_at_fraction=Decimal(house.act_at_fraction),
            groups=[group],
        )
        if house.action not in (RiskRule.Action.ALERT, RiskRule.Action.BLOCK):
            arm_rule(
                rule=rule,
                accounts=list(self.accounts.values()),
                actor=self.user,
                now=timezone.now(),
            )

    def arm_cutoff(self) -> None:
        """Confirm the margin cut-off on all accounts of the scenario."""
        rule = RiskRule.objects.get(user=self.user, is_cutoff=True)
        accounts = list(self.accounts.values())
        arm_rule(rule=rule, accounts=accounts, actor=self.user, now=timezone.now())
        self.pause(1.5)
