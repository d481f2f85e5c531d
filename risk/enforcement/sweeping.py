"""What the database knows of a host's enforcement: runs, locks, and what people did to both."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from risk.enforcement.goals import kept_by
from risk.enforcement.locking import MINUTE_SECONDS
from risk.models import AccountLock, Enforcement


@dataclass(frozen=True, slots=True)
class Findings:
    """`over` are runs, known to the caller, that have ended or belong to another host by now.

    `kept` is what the runs behind the locks left open on purpose, by run; `confirmed` are those of
    the caller's locks that are written, and `lifted` the (account, breach) whose lock a person has
    taken away.
    """

    running: Sequence[Enforcement]
    over: Sequence[Enforcement]
    locks: Sequence[AccountLock]
    kept: Mapping[UUID, dict[str, str]]
    confirmed: Collection[UUID]
    lifted: Collection[tuple[UUID, UUID]]


def sweep(
    host: str, *, known: Collection[UUID], unconfirmed: Collection[UUID], due: Collection[UUID]
) -> Findings:
    """Read what there is; `known` are the caller's runs, `due` the breaches that call for one."""
    locks = list(AccountLock.objects.standing())
    return Findings(
        running=list(Enforcement.objects.running().filter(host=host)),
        over=list(
            Enforcement.objects.filter(pk__in=known).exclude(finished_at=None, host=host)
            if known
            else ()
        ),
        locks=locks,
        kept=_kept_by_runs(locks),
        confirmed=set(
            AccountLock.objects.filter(pk__in=unconfirmed).values_list("pk", flat=True)
            if unconfirmed
            else ()
        ),
        lifted=_lifted(due),
    )


def _lifted(breach_ids: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    if not breach_ids:
        return set()
    lifted = AccountLock.objects.filter(~Q(unlocked_at=None), breach_id__in=breach_ids)
    pairs = lifted.values_list("account_id", "breach_id")
    return {(account_id, breach_id) for account_id, breach_id in pairs if breach_id is not None}


def recent_relocks(host: str, now: datetime) -> list[tuple[UUID, float]]:
    """Return the account and the UTC epoch of what was closed again within the last minute."""
    since = now - timedelta(seconds=MINUTE_SECONDS)
    runs = Enforcement.objects.filter(
        host=host, cause=Enforcement.Cause.LOCK, created_at__gt=since, created_at__lte=now
    ).order_by("created_at")
    return [
        (account_id, at.timestamp())
        for account_id, at in runs.values_list("account_id", "created_at")
    ]


def _kept_by_runs(locks: Sequence[AccountLock]) -> dict[UUID, dict[str, str]]:
    ids = [lock.enforcement_id for lock in locks if lock.enforcement_id is not None]
    return {run.pk: kept_by(run) for run in Enforcement.objects.filter(pk__in=ids)} if ids else {}
