"""Telling users that an account was lost, and that it is back.

Only what a batch of changes comes to is told: an account that left and came back within one tick
was not away. A failed login counts as a loss when the account was connected before it, as after a
restart; a first login that fails is seen on the page where it was asked for.

A terminal that answers for another account is told as that, urgently, also in the middle of a loss
and at a first login: somebody else's numbers are no lost connection. It is told once until the
account is back.

An account that is lost again within five minutes of a loss that was told is flapping: the
notification of that loss becomes unread again and says how often, its "restored", no longer true,
goes, and no second e-mail is sent. So the newest notification always tells the truth, and the last
e-mail about an account that is away always says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, OuterRef, Subquery
from django.utils.timesince import timesince

from accounts.models import ConnectedAccount, ConnectionLog
from accounts.models.connection import ConnectionState
from accounts.sessions.states import ConnectionChange, Reason
from notifications.models import Notification, NotificationType, Priority
from notifications.services.announcing import push
from notifications.services.discarding import discard
from notifications.services.messages import Message, notify

FLAPPING = timedelta(minutes=5)
ACCOUNT = "account"
# So long after a mismatch was told it is told again, though nobody noticed a return.
MISMATCH_REPEATS = timedelta(hours=24)
# A login anew, of which only the failure is a loss.
ASKED_FOR = frozenset({Reason.REQUESTED, Reason.RESTORED})


@dataclass(frozen=True, slots=True)
class Step:
    """What an account's changes come to: from its state before them to the last of them."""

    from_state: str
    last: ConnectionChange

    @property
    def is_return(self) -> bool:
        return (
            self.from_state != ConnectionState.CONNECTED
            and self.last.to_state == ConnectionState.CONNECTED
        )

    @property
    def is_loss(self) -> bool:
        """Left `connected`, not for a login that somebody or a restart asked for."""
        to_state = self.last.to_state
        if self.from_state != ConnectionState.CONNECTED or to_state == ConnectionState.CONNECTED:
            return False
        return to_state == ConnectionState.ERROR or self.last.reason not in ASKED_FOR

    @property
    def is_failed_login(self) -> bool:
        return (self.from_state, self.last.to_state) == (
            ConnectionState.CONNECTING,
            ConnectionState.ERROR,
        )

    @property
    def is_mismatch(self) -> bool:
        return (self.last.to_state, self.last.reason) == (
            ConnectionState.ERROR,
            Reason.WRONG_ACCOUNT,
        )

    @property
    def may_be_told(self) -> bool:
        return self.is_return or self.is_loss or self.is_failed_login or self.is_mismatch


@dataclass(frozen=True, slots=True)
class Told:
    """When a user was last told that an account was lost or another, and that it was back."""

    lost_at: datetime | None = None
    mismatched_at: datetime | None = None
    restored_at: datetime | None = None

    @property
    def away_since(self) -> datetime | None:
        """When the user was told of what has kept the account away since; None when it is back."""
        told = [at for at in (self.lost_at, self.mismatched_at) if at is not None]
        return min((at for at in told if self._is_open(at)), default=None)

    @property
    def is_lost(self) -> bool:
        return self.away_since is not None

    def is_mismatch_known(self, at: datetime) -> bool:
        """Whether the user was told of another account, and it is still as it was then."""
        told_at = self.mismatched_at
        if told_at is None or at - told_at >= MISMATCH_REPEATS:
            return False
        return told_at >= at or self._is_open(told_at)

    def _is_open(self, told_at: datetime) -> bool:
        return self.restored_at is None or self.restored_at < told_at


def notify_connection_changes(changes: Sequence[ConnectionChange]) -> list[Notification]:
    """Tell the users whose accounts were lost unasked, or came back after a loss that was told.

    Takes the changes in the order in which they happened, and returns what was newly told.
    """
    steps = {key: step for key, step in _sum_up(changes).items() if step.may_be_told}
    if not steps:
        return []
    with transaction.atomic():
        return _tell(steps, now=max(change.at for change in changes))


def _tell(steps: Mapping[UUID, Step], *, now: datetime) -> list[Notification]:
    accounts = ConnectedAccount.objects.select_related("connection").in_bulk(list(steps))
    told = _find_told(list(accounts))
    first_logins = _find_first_logins([key for key in accounts if steps[key].is_failed_login])
    messages: list[Message] = []
    flapping: dict[UUID, ConnectionChange] = {}
    for key, account in accounts.items():
        step, last_told = steps[key], told[key]
        if step.is_return:
            if last_told.away_since is not None:
                messages.append(_say_restored(account, step.last, lost_at=last_told.away_since))
        elif step.is_mismatch:
            if _is_watched(account) and not last_told.is_mismatch_known(step.last.at):
                messages.append(_say_mismatch(account, step.last))
        elif _is_news(step, last_told, account, was_connected=key not in first_logins):
            if last_told.lost_at and step.last.at - last_told.lost_at < FLAPPING:
                flapping[key] = step.last
            else:
                messages.append(_say_lost(account, step.last))
    _tell_again(flapping, accounts)
    return notify(messages, now=now)


def _is_news(step: Step, told: Told, account: ConnectedAccount, *, was_connected: bool) -> bool:
    """Whether this loss was not asked for and not told before."""
    if not _is_watched(account) or not was_connected:
        return False
    if step.is_failed_login and told.is_lost:
        return False
    return told.lost_at is None or told.lost_at < step.last.at


def _is_watched(account: ConnectedAccount) -> bool:
    return account.is_active and account.connection.is_wanted


def _sum_up(changes: Sequence[ConnectionChange]) -> dict[UUID, Step]:
    steps: dict[UUID, Step] = {}
    for change in changes:
        known = steps.get(change.account_id)
        from_state = change.from_state if known is None else known.from_state
        steps[change.account_id] = Step(from_state=from_state, last=change)
    return steps


def _find_first_logins(account_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the accounts whose failed login did not begin while they were connected."""
    if not account_ids:
        return set()
    last_login = ConnectionLog.objects.filter(
        account_id=OuterRef("pk"), to_state=ConnectionState.CONNECTING
    ).order_by("-created_at", "-id")
    were_connected = (
        ConnectedAccount.objects.filter(pk__in=account_ids)
        .annotate(state_before_login=Subquery(last_login.values("from_state")[:1]))
        .filter(state_before_login=ConnectionState.CONNECTED)
        .values_list("pk", flat=True)
    )
    return set(account_ids) - set(were_connected)


def _find_told(account_ids: Sequence[UUID]) -> dict[UUID, Told]:
    rows = (
        Notification.objects.filter(
            object_type=ACCOUNT,
            object_id__in=[str(key) for key in account_ids],
            type__in=[
                NotificationType.CONNECTION_LOST,
                NotificationType.IDENTITY_MISMATCH,
                NotificationType.CONNECTION_RESTORED,
            ],
        )
        .order_by()
        .values_list("object_id", "type")
        .annotate(Max("created_at"))
    )
    times = {(object_id, kind): at for object_id, kind, at in rows}
    return {
        key: Told(
            lost_at=times.get((str(key), NotificationType.CONNECTION_LOST)),
            mismatched_at=times.get((str(key), NotificationType.IDENTITY_MISMATCH)),
            restored_at=times.get((str(key), NotificationType.CONNECTION_RESTORED)),
        )
        for key in account_ids
    }


def _tell_again(
    flapping: Mapping[UUID, ConnectionChange], accounts: Mapping[UUID, ConnectedAccount]
) -> None:
    if not flapping:
        return
    since = max(change.at for change in flapping.values()) - FLAPPING
    about_them = Notification.objects.filter(
        object_type=ACCOUNT, object_id__in=[str(key) for key in flapping], created_at__gt=since
    )
    discard(about_them.filter(type=NotificationType.CONNECTION_RESTORED))
    losses = list(about_them.filter(type=NotificationType.CONNECTION_LOST))
    counts = _count_losses(list(flapping), since=since)
    for loss in losses:
        key = UUID(loss.object_id)
        loss.body = (
            f"{_describe_loss(accounts[key], flapping[key])} "
            f"It was lost {max(2, counts.get(key, 0))} times within 5 minutes."
        )
        loss.read_at = None
    Notification.objects.bulk_update(losses, ["body", "read_at"])
    transaction.on_commit(lambda: push(losses), robust=True)


def _count_losses(account_ids: Sequence[UUID], *, since: datetime) -> dict[UUID, int]:
    rows = (
        ConnectionLog.objects.filter(
            account_id__in=account_ids,
            from_state=ConnectionState.CONNECTED,
            created_at__gt=since,
        )
        .order_by()
        .values_list("account_id")
        .annotate(Count("pk"))
    )
    return dict(rows)


def _say_lost(account: ConnectedAccount, change: ConnectionChange) -> Message:
    key = f"connection_lost:{account.pk}:{change.at.isoformat()}"
    return Message(
        user_id=account.user_id,
        type=NotificationType.CONNECTION_LOST,
        priority=Priority.HIGH,
        title=f"Connection lost: {account.name}",
        body=_describe_loss(account, change),
        link=account_path(account.pk),
        object_type=ACCOUNT,
        object_id=str(account.pk),
        dedupe_key=key,
        # What repeats is told again above; a loss counted with an earlier one, after a return that
        # was told, would leave the user with that return.
        repeat_key=key,
    )


def _say_mismatch(account: ConnectedAccount, change: ConnectionChange) -> Message:
    key = f"identity_mismatch:{account.pk}:{change.at.isoformat()}"
    return Message(
        user_id=account.user_id,
        type=NotificationType.IDENTITY_MISMATCH,
        priority=Priority.URGENT,
        title=f"Another account answered: {account.name}",
        body=(
            f"The terminal of {account.name} answers for another account than {account.login} at"
            f" {account.server}. Its readings are not used and nothing is sent to it, so"
            f" {account.name} is not watched. Log the terminal in to the right account."
        ),
        link=account_path(account.pk),
        object_type=ACCOUNT,
        object_id=str(account.pk),
        dedupe_key=key,
        repeat_key=key,
    )


def _say_restored(
    account: ConnectedAccount, change: ConnectionChange, *, lost_at: datetime
) -> Message:
    was_long = change.at - lost_at >= timedelta(minutes=1)
    duration = f" after {timesince(lost_at, change.at)}" if was_long else ""
    # One per loss that was told, whichever of its returns it is.
    key = f"connection_restored:{account.pk}:{lost_at.isoformat()}"
    return Message(
        user_id=account.user_id,
        type=NotificationType.CONNECTION_RESTORED,
        priority=Priority.MEDIUM,
        title=f"Connection restored: {account.name}",
        body=f"{account.name} ({account.server}) is connected again{duration}.",
        link=account_path(account.pk),
        object_type=ACCOUNT,
        object_id=str(account.pk),
        dedupe_key=key,
        repeat_key=key,
    )


def _describe_loss(account: ConnectedAccount, change: ConnectionChange) -> str:
    return (
        f"{account.name} ({account.server}): {change.message} "
        "Until it is back, its numbers are not known and its rules cannot be checked."
    )


def account_path(account_id: UUID) -> str:
    """The page of an account; written out, since `reverse` would load every view into a worker."""
    return f"/accounts/{account_id}"
