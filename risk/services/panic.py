"""Close all: what a person asks for with one button, and a terminal host carries out."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.task_messages import TaskMessage, enqueue
from risk.models import AccountLock, Enforcement
from risk.services.breaches import checked_reason


@transaction.atomic
def close_all(
    *,
    accounts: Iterable[ConnectedAccount],
    actor: User,
    reason: str,
    lock: bool = True,
    now: datetime,
) -> list[Enforcement]:
    """Have everything closed on these accounts, and lock them unless `lock` is False.

    Writes one run for each account, or returns the one that is under way there; the account's
    host begins at once. Raises ValidationError without a reason.
    """
    reason = checked_reason(reason)
    rows = sorted(accounts, key=lambda account: account.pk)
    runs = [_run(account, actor, reason, lock=lock, now=now) for account in rows]
    Enforcement.objects.bulk_create(runs, ignore_conflicts=True)
    under_way = _under_way(rows)
    if lock:
        AccountLock.objects.bulk_create(
            [_lock(account, under_way[account.pk], actor, reason, now=now) for account in rows],
            ignore_conflicts=True,
        )
        _make_locking(under_way.values())
    hosts = sorted({account.terminal_host_id for account in rows})
    transaction.on_commit(lambda: wake_hosts(hosts), robust=True)
    return [under_way[account.pk] for account in rows]


def wake_hosts(hosts: Iterable[str]) -> None:
    """Have these hosts look at once for what is to be done; they look by themselves, too."""
    for host in hosts:
        enqueue(TaskMessage("risk.serve", [host], f"terminals.{host}", expires=5.0))


def _run(
    account: ConnectedAccount, actor: User, reason: str, *, lock: bool, now: datetime
) -> Enforcement:
    return Enforcement(
        user_id=account.user_id,
        account_id=account.pk,
        account_name=account.name,
        host=account.terminal_host_id,
        cause=Enforcement.Cause.PANIC,
        action=Enforcement.Action.CLOSE_ALL,
        requested_by_id=actor.pk,
        options={"lock": lock},
        reason=reason,
        triggered_at=now,
        created_at=now,
    )


def _lock(
    account: ConnectedAccount, run: Enforcement, actor: User, reason: str, *, now: datetime
) -> AccountLock:
    return AccountLock(
        user_id=account.user_id,
        account_id=account.pk,
        account_name=account.name,
        cause=Enforcement.Cause.PANIC,
        enforcement_id=run.pk,
        reason=reason,
        locked_at=now,
        locked_by_id=actor.pk,
    )


def _under_way(accounts: Iterable[ConnectedAccount]) -> dict[object, Enforcement]:
    runs = Enforcement.objects.running().filter(
        account_id__in=[account.pk for account in accounts], cause=Enforcement.Cause.PANIC
    )
    return {run.account_id: run for run in runs}


def _make_locking(runs: Iterable[Enforcement]) -> None:
    """Whoever asks again with a lock gets it, also where the first one asked without."""
    without = [run for run in runs if not run.options.get("lock")]
    for run in without:
        run.options = {**run.options, "lock": True}
    Enforcement.objects.bulk_update(without, ["options"])
