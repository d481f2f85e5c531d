"""The days of accounts: what they were worth at the end of each, and how today goes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Case, F, Q, Sum, When

from accounts.core.kinds import DealType
from accounts.core.zones import trading_day_start
from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount, Deal, EquitySnapshot
from accounts.selectors import equity_of
from risk.core.portfolio_risk import DayEnd

LONGEST = timedelta(days=730)
TRANSFERS = (DealType.BALANCE, DealType.CREDIT, DealType.CORRECTION, DealType.BONUS)
# Over a weekend nothing is read; what was worth then is still so when the market opens.
_OLDEST_START = timedelta(days=4)
_MONEY = F("profit") + F("commission") + F("swap") + F("fee")
_SIGNED_LOTS = Case(When(type=DealType.BUY, then=F("volume_lots")), default=-F("volume_lots"))
_ROUNDING = 0.005  # money
_NO_LOTS = Decimal("1e-6")


@dataclass(frozen=True, slots=True)
class AccountDays:
    """The full days of an account (UTC), oldest first; today is not over and so not among them."""

    days: tuple[DayEnd, ...]


@dataclass(frozen=True, slots=True)
class DayResult:
    """What an account has made since its trading day began, transfers left out.

    None, with the reason, when it is not known.
    """

    result: float | None
    began_with: float | None
    reason: str = ""


def load_days(accounts: Sequence[ConnectedAccount], now: datetime) -> dict[UUID, AccountDays]:
    """Load the days of these accounts under their present logins, in two queries."""
    since, today = now - LONGEST, datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    ends: dict[UUID, list[tuple[date, float]]] = defaultdict(list)
    logins = {account.pk: (account.server, account.login) for account in accounts}
    snapshots = EquitySnapshot.objects.filter(
        account__in=accounts,
        resolution=EquitySnapshot.Resolution.DAY,
        at__gte=since,
        at__lt=today,
    ).order_by("at")
    for row in snapshots.values_list("account_id", "server", "login", "at", "equity"):
        account_id, server, login, at, equity = row
        if logins[account_id] == (server, login):
            ends[account_id].append((at.astimezone(UTC).date(), float(equity)))
    moved = _transfers(accounts, since, today)
    return {
        account.pk: AccountDays(tuple(_day_ends(ends[account.pk], moved[account.pk])))
        for account in accounts
    }


def _transfers(
    accounts: Sequence[ConnectedAccount], since: datetime, until: datetime
) -> Mapping[UUID, Mapping[date, float]]:
    moved: dict[UUID, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    logins = {account.pk: (account.server, account.login) for account in accounts}
    deals = Deal.objects.filter(
        account__in=accounts, type__in=TRANSFERS, time__gte=since, time__lt=until
    )
    for row in deals.values_list("account_id", "server", "login", "time", "profit"):
        account_id, server, login, at, amount = row
        if logins[account_id] == (server, login):
            moved[account_id][at.astimezone(UTC).date()] += float(amount)
    return moved


def _day_ends(ends: Sequence[tuple[date, float]], moved: Mapping[date, float]) -> list[DayEnd]:
    """Put what was moved on days without a snapshot to the next that has one."""
    days, waiting = [], sorted(moved.items())
    for day, equity in ends:
        amount = 0.0
        while waiting and waiting[0][0] <= day:
            amount += waiting.pop(0)[1]
        days.append(DayEnd(day, equity, amount))
    return days


def load_day_results(
    accounts: Sequence[ConnectedAccount], states: Mapping[UUID, AccountState], now: datetime
) -> dict[UUID, DayResult]:
    """Work out how the trading day of each account goes, each with a day of its own."""
    return {account.pk: _day_result(account, states.get(account.pk), now) for account in accounts}


def _day_result(account: ConnectedAccount, state: AccountState | None, now: datetime) -> DayResult:
    if state is None:
        return DayResult(None, None, f"There is no fresh reading of {account.name}.")
    start = trading_day_start(now, account.day_reset_time, account.reset_zone)
    minute = (
        equity_of(account)
        .filter(
            resolution=EquitySnapshot.Resolution.MINUTE,
            at__lt=start,
            at__gte=start - _OLDEST_START,
        )
        .last()
    )
    if minute is None:
        text = f"What {account.name} was worth when its day began is not known."
        return _since_start(account, state, start) or DayResult(None, None, text)
    began_with = float(minute.equity)
    # Since the reading that was taken: what moved between it and the reset counts as moved today.
    since = minute.at + timedelta(minutes=1)
    deals = Deal.objects.filter(
        account=account, server=account.server, login=account.login, type__in=TRANSFERS
    ).filter(time__gte=since, time__lte=now)
    moved = float(sum(amount for amount in deals.values_list("profit", flat=True)))
    return DayResult(float(state.account["equity"]) - began_with - moved, began_with + moved)


def _since_start(
    account: ConnectedAccount, state: AccountState, start: datetime
) -> DayResult | None:
    """Work the day out from the deals alone; None where they do not tell it.

    That takes the whole history, which is there when it comes to the balance, and nothing that was
    open when the day began: then what floats now has come about today.
    """
    deals = Deal.objects.filter(account=account, server=account.server, login=account.login)
    of_today = Q(time__gte=start)
    sums = deals.aggregate(
        balance=Sum(_MONEY, filter=~Q(type=DealType.CREDIT)),
        made=Sum(_MONEY, filter=of_today & ~Q(type__in=TRANSFERS)),
    )
    balance = float(state.account["balance"])
    if sums["balance"] is None or abs(float(sums["balance"]) - balance) > _ROUNDING:
        return None
    before = deals.filter(time__lt=start, type__in=(DealType.BUY, DealType.SELL))
    nets = before.order_by().values("position").annotate(net=Sum(_SIGNED_LOTS))
    if any(abs(net) > _NO_LOTS for net in nets.values_list("net", flat=True)):
        return None
    equity = float(state.account["equity"])
    floating = equity - balance - float(state.account["credit"])
    result = floating + float(sums["made"] or 0)
    return DayResult(result, equity - result)
