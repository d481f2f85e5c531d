"""Orders and runs that their host cannot bring to an end by itself any more.

An account may be deleted, get another login, be moved to another host or be disconnected while
something is under way there. Nothing of that may stay open for ever: each row ends, and says why.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.urls import reverse

from accounts.models import AccountConnection, ConnectedAccount, TerminalHost
from notifications.services import Message, notify
from risk.enforcement.notices import finished, held_up
from risk.models import Enforcement, Order
from risk.notices.orders import order_messages

# What was sent a moment ago, its lane still brings to an end.
_UNDER_WAY: Final = timedelta(seconds=30)
# A worker renews its lease each second, and its successor needs a moment.
_SILENT: Final = timedelta(seconds=10)
_ALOFT: Final = (Order.State.SENT, Order.State.UNKNOWN)


@transaction.atomic
def settle_strays(*, now: datetime) -> int:
    """End, or hand to the right host, what no host can finish; return how many rows changed."""
    orders = list(
        Order.objects.filter(state__in=_ALOFT).filter(
            Q(sent_at=None) | Q(sent_at__lte=now - _UNDER_WAY)
        )
    )
    runs = list(Enforcement.objects.running().select_for_update(of=["self"]))
    if not orders and not runs:
        return 0
    ids = {order.account_id for order in orders} | {run.account_id for run in runs}
    accounts = _living(ids)
    return (
        sum(_settle_order(order, accounts.get(order.account_id), now) for order in orders)
        + _hand_over(runs, accounts)
        + _give_up(runs, accounts, now)
        + _tell_of_silence(runs, now)
    )


def _living(ids: Collection[UUID]) -> dict[UUID, ConnectedAccount]:
    """Return those of the accounts that nobody has deleted."""
    return {account.pk: account for account in ConnectedAccount.objects.filter(pk__in=ids)}


def _settle_order(order: Order, account: ConnectedAccount | None, now: datetime) -> int:
    mine = Order.objects.filter(pk=order.pk, state__in=_ALOFT)
    if account is None:
        why = "The account was deleted"
    elif (account.server, account.login) != (order.server, order.login):
        why = "The account got another login"
    elif account.terminal_host_id != order.host:
        # The terminal over there shows the same account, and so what became of the order.
        return mine.update(host=account.terminal_host_id, next_attempt_at=now)
    else:
        return 0
    values = {
        "state": Order.State.LOST,
        "message": f"{why} before it was known whether this was carried out. Look at the broker.",
        "reconciled_at": now,
        "next_attempt_at": None,
    }
    changed = mine.update(**values)
    if changed:
        for name, value in values.items():
            setattr(order, name, value)
        told = order_messages([order])
        notify(told if account else [_without_page(each) for each in told], now=now)
    return changed


def _hand_over(runs: Iterable[Enforcement], accounts: dict[UUID, ConnectedAccount]) -> int:
    moved = [
        run
        for run in runs
        if run.account_id in accounts and accounts[run.account_id].terminal_host_id != run.host
    ]
    for run in moved:
        run.host = accounts[run.account_id].terminal_host_id
    return Enforcement.objects.bulk_update(moved, ["host"])


def _give_up(
    runs: Iterable[Enforcement], accounts: dict[UUID, ConnectedAccount], now: datetime
) -> int:
    wanted = set(
        AccountConnection.objects.filter(account__in=accounts)
        .filter(Q(is_wanted=True) | Q(since__gt=now - _SILENT))
        .values_list("account_id", flat=True)
    )
    ended = [run for run in runs if run.account_id not in wanted]
    for run in ended:
        is_gone = run.account_id not in accounts
        why = "was deleted" if is_gone else "is not connected"
        run.stage = Enforcement.Stage.GIVEN_UP
        run.message = (
            f"{run.account_name} {why}, so TradeGuard cannot close anything there."
            " Look at the account in a terminal of your own."
        )
        run.finished_at, run.next_attempt_at = now, None
    count = Enforcement.objects.bulk_update(
        ended, ["stage", "message", "finished_at", "next_attempt_at"]
    )
    told = [
        finished(run) if run.account_id in accounts else _without_page(finished(run))
        for run in ended
    ]
    notify(told, now=now)
    return count


def _without_page(message: Message) -> Message:
    """Link to the list of accounts: a deleted one has no pages any more."""
    return replace(message, link=reverse("account-list"))


def _tell_of_silence(runs: Iterable[Enforcement], now: datetime) -> int:
    """Say of runs whose host has no worker that they wait for one."""
    awake = set(
        TerminalHost.objects.filter(lease_expires_at__gt=now - _SILENT).values_list(
            "name", flat=True
        )
    )
    silent = [
        run
        for run in runs
        if run.finished_at is None and run.host not in awake and now - run.created_at > _SILENT
    ]
    for run in silent:
        run.stage = Enforcement.Stage.WAITING
        run.message = (
            f"The terminal host “{run.host}” does not run: everything is closed as soon as it is"
            " back. Close it in a terminal of your own if that is urgent."
        )[:255]
    count = Enforcement.objects.bulk_update(silent, ["stage", "message"])
    notify([held_up(run) for run in silent], now=now)
    return count
