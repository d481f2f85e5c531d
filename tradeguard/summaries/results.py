"""How the trading day of each account goes, for many accounts in two queries."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Case, DateTimeField, OuterRef, Subquery, Value, When

from accounts.core.zones import trading_day_start
from accounts.models import ConnectedAccount, Deal, EquitySnapshot
from risk.portfolio_days import TRANSFERS

# Over a weekend nothing is read; what was worth then is still so when the market opens.
_OLDEST_START = timedelta(days=4)
_MINUTE = timedelta(minutes=1)


def day_results(
    accounts: Sequence[ConnectedAccount], equities: Mapping[UUID, float], now: datetime
) -> dict[UUID, float]:
    """Return what each account has made since its trading day began, transfers left out.

    `equities` are those of now; an account without one, or of which it is not known what it was
    worth when its day began, is left out.
    """
    begun = _begun_with([account for account in accounts if account.pk in equities], now)
    moved = _transfers(accounts, {pk: at for pk, (_, at) in begun.items()}, now)
    return {pk: equities[pk] - equity - moved[pk] for pk, (equity, _) in begun.items()}


def _begun_with(
    accounts: Sequence[ConnectedAccount], now: datetime
) -> dict[UUID, tuple[float, datetime]]:
    """Return the last equity before each account's day began, and when its minute was over."""
    if not accounts:
        return {}
    starts: dict[datetime, list[UUID]] = defaultdict(list)
    for account in accounts:
        start = trading_day_start(now, account.day_reset_time, account.reset_zone)
        starts[start].append(account.pk)
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
        .annotate(begins_at=_by_account(starts), oldest_at=_by_account(starts, _OLDEST_START))
        .annotate(equity=Subquery(last.values("equity")[:1]), at=Subquery(last.values("at")[:1]))
        .values_list("pk", "equity", "at")
    )
    return {pk: (float(equity), at + _MINUTE) for pk, equity, at in rows if equity is not None}


def _by_account(
    starts: Mapping[datetime, Sequence[UUID]], before: timedelta = timedelta(0)
) -> Case:
    return Case(
        *(When(pk__in=ids, then=Value(start - before)) for start, ids in starts.items()),
        output_field=DateTimeField(),
    )


def _transfers(
    accounts: Sequence[ConnectedAccount], since: Mapping[UUID, datetime], now: datetime
) -> Mapping[UUID, float]:
    moved: dict[UUID, float] = defaultdict(float)
    if not since:
        return moved
    logins = {account.pk: (account.server, account.login) for account in accounts}
    deals = Deal.objects.filter(
        account__in=list(since), type__in=TRANSFERS, time__gte=min(since.values()), time__lte=now
    )
    for account_id, server, login, at, amount in deals.values_list(
        "account_id", "server", "login", "time", "profit"
    ):
        if logins[account_id] == (server, login) and at >= since[account_id]:
            moved[account_id] += float(amount)
    return moved
