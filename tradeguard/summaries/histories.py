"""What accounts were worth at a moment without a reading, worked out from their deals."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Case, DateTimeField, F, Q, QuerySet, Sum, Value, When

from accounts.core.kinds import DealType
from accounts.models import ConnectedAccount, Deal

Worth = tuple[float, datetime]  # an equity, and from when on what is moved comes on top

_MONEY = F("profit") + F("commission") + F("swap") + F("fee")
_SIGNED_LOTS = Case(When(type=DealType.BUY, then=F("volume_lots")), default=-F("volume_lots"))
_ROUNDING = 0.005  # money
_NO_LOTS = Decimal("1e-6")


def worth_by_deals(
    accounts: Sequence[ConnectedAccount],
    moments: Mapping[UUID, datetime],
    balances: Mapping[UUID, float],
) -> dict[UUID, Worth]:
    """Return what each account was worth at its moment; one whose deals do not tell is left out.

    They tell when they are all there, which is when they come to the balance, and when nothing was
    open at that moment. Two queries at most.
    """
    complete = _complete(
        [account for account in accounts if account.pk in balances], moments, balances
    )
    if not complete:
        return {}
    before = _deals({pk: moments[pk] for pk in complete}).filter(
        time__lt=F("moment"), type__in=(DealType.BUY, DealType.SELL)
    )
    nets = before.values("account_id", "position").annotate(net=Sum(_SIGNED_LOTS))
    was_open = {
        account_id
        for account_id, net in nets.values_list("account_id", "net")
        if abs(net) > _NO_LOTS
    }
    return {pk: (worth, moments[pk]) for pk, worth in complete.items() if pk not in was_open}


def by_account(moments: Mapping[UUID, datetime], before: timedelta = timedelta(0)) -> Case:
    """Give each row the moment of its account, or so long before it."""
    ids: dict[datetime, list[UUID]] = defaultdict(list)
    for account_id, moment in moments.items():
        ids[moment].append(account_id)
    return _moment_of("pk", ids, before)


def _complete(
    accounts: Sequence[ConnectedAccount],
    moments: Mapping[UUID, datetime],
    balances: Mapping[UUID, float],
) -> dict[UUID, float]:
    """Return the sum of all deals before its moment of each account whose history is all there."""
    if not accounts:
        return {}
    sums = (
        _deals({account.pk: moments[account.pk] for account in accounts})
        .values("account_id")
        .annotate(
            balance=Sum(_MONEY, filter=~Q(type=DealType.CREDIT)),
            worth=Sum(_MONEY, filter=Q(time__lt=F("moment"))),
        )
    )
    return {
        account_id: float(worth or 0)
        for account_id, balance, worth in sums.values_list("account_id", "balance", "worth")
        if balance is not None and abs(float(balance) - balances[account_id]) <= _ROUNDING
    }


def _deals(moments: Mapping[UUID, datetime]) -> QuerySet[Deal]:
    ids: dict[datetime, list[UUID]] = defaultdict(list)
    for account_id, moment in moments.items():
        ids[moment].append(account_id)
    return (
        Deal.objects.filter(
            account__in=list(moments), server=F("account__server"), login=F("account__login")
        )
        .annotate(moment=_moment_of("account_id", ids))
        .order_by()
    )


def _moment_of(
    column: str, ids: Mapping[datetime, Sequence[UUID]], before: timedelta = timedelta(0)
) -> Case:
    return Case(
        *(When(**{f"{column}__in": each}, then=Value(at - before)) for at, each in ids.items()),
        output_field=DateTimeField(),
    )
