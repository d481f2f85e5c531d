"""How the trading day of each account went, for many accounts in a few queries.

A day that has only begun says nothing yet: until it is half over, the one before it is told. A desk
whose day turns at 17:00 in New York would read at 22:00 what the first five hours of the next day
were.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import OuterRef, Subquery

from accounts.core.zones import trading_day_start
from accounts.models import ConnectedAccount, Deal, EquitySnapshot
from risk.portfolio_days import TRANSFERS
from tradeguard.summaries.histories import Worth, by_account, worth_by_deals

# Over a weekend nothing is read; what was worth then is still so when the market opens.
_OLDEST_START = timedelta(days=4)
_MINUTE = timedelta(minutes=1)
_HALF_A_DAY = timedelta(hours=12)
_INSTANT = timedelta(microseconds=1)


def day_results(
    accounts: Sequence[ConnectedAccount],
    equities: Mapping[UUID, float],
    now: datetime,
    *,
    balances: Mapping[UUID, float] | None = None,
) -> dict[UUID, float]:
    """Return what each account has made in its trading day, transfers left out.

    `equities` and `balances` are those of now; an account without an equity, or of which it is not
    known what it was worth when its day began or ended, is left out. Where nobody looked when a day
    began, and the balance is given, the deals may tell.
    """
    known = [account for account in accounts if account.pk in equities]
    days = {account.pk: _day(account, now) for account in known}
    begun = _worth_before(known, {pk: begins for pk, (begins, _) in days.items()})
    unseen = [account for account in known if account.pk not in begun]
    starts = {account.pk: days[account.pk][0] for account in unseen}
    begun |= worth_by_deals(unseen, starts, balances or {})
    over = [account for account in known if days[account.pk][1] is not None]
    ended = _worth_before(over, {pk: ends for pk, (_, ends) in days.items() if ends is not None})
    ended |= {pk: (equities[pk], now) for pk, (_, ends) in days.items() if ends is None}
    both = {pk: (begun[pk], ended[pk]) for pk in begun if pk in ended}
    moved = _transfers(known, {pk: (first[1], last[1]) for pk, (first, last) in both.items()})
    return {pk: last[0] - first[0] - moved[pk] for pk, (first, last) in both.items()}


def _day(account: ConnectedAccount, now: datetime) -> tuple[datetime, datetime | None]:
    """Return when the day that is told began, and when it ended; None while it lasts."""
    start = trading_day_start(now, account.day_reset_time, account.reset_zone)
    if now - start >= _HALF_A_DAY:
        return start, None
    before = trading_day_start(start - _INSTANT, account.day_reset_time, account.reset_zone)
    return before, start


def _worth_before(
    accounts: Sequence[ConnectedAccount], moments: Mapping[UUID, datetime]
) -> dict[UUID, Worth]:
    """Return the last equity of each account before a moment."""
    if not accounts:
        return {}
    last = EquitySnapshot.objects.filter(
        account=OuterRef("pk"),
        server=OuterRef("server"),
        login=OuterRef("login"),
        resolution=EquitySnapshot.Resolution.MINUTE,
        at__lt=OuterRef("begins_at"),
        at__gte=OuterRef("oldest_at"),
    ).order_by("-at")
    rows = (
        ConnectedAccount.objects.filter(pk__in=[account.pk for account in accounts])
        .annotate(begins_at=by_account(moments), oldest_at=by_account(moments, _OLDEST_START))
        .annotate(equity=Subquery(last.values("equity")[:1]), at=Subquery(last.values("at")[:1]))
        .values_list("pk", "equity", "at")
    )
    return {pk: (float(equity), at + _MINUTE) for pk, equity, at in rows if equity is not None}


def _transfers(
    accounts: Sequence[ConnectedAccount], days: Mapping[UUID, tuple[datetime, datetime]]
) -> Mapping[UUID, float]:
    moved: dict[UUID, float] = defaultdict(float)
    if not days:
        return moved
    logins = {account.pk: (account.server, account.login) for account in accounts}
    deals = Deal.objects.filter(
        account__in=list(days),
        type__in=TRANSFERS,
        time__gte=min(begins for begins, _ in days.values()),
        time__lt=max(ends for _, ends in days.values()),
    )
    for account_id, server, login, at, amount in deals.values_list(
        "account_id", "server", "login", "time", "profit"
    ):
        begins, ends = days[account_id]
        if logins[account_id] == (server, login) and begins <= at < ends:
            moved[account_id] += float(amount)
    return moved
