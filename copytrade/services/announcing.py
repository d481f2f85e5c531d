"""Telling the other side of a relationship what became of it."""

from datetime import datetime

from copytrade.models import CopyRelationship
from notifications.models import NotificationType, Priority
from notifications.services import Message, notify

# Pages of copy trading; the middle is the relationship's id.
_PAGE = "/copying/{}"


def tell_offered(row: CopyRelationship, *, now: datetime) -> None:
    """Tell the follower's owner that somebody offers to be copied."""
    title = f"{row.provider.user.username} offers {row.follower.name} to copy {row.provider.name}"
    body = "Nothing is copied until you accept. Read the terms first: they decide how much."
    _tell(row, row.follower.user_id, "offered", title, body, now)


def tell_answered(row: CopyRelationship, *, now: datetime) -> None:
    """Tell the provider's owner, by the alias alone, whether an offer was accepted."""
    if row.provider.user_id == row.follower.user_id:
        return
    is_accepted = row.state in CopyRelationship.COPYING
    answer = "copies" if is_accepted else "declined to copy"
    title = f"{row.alias} {answer} {row.provider.name}"
    _tell(row, row.provider.user_id, "answered", title, row.state_reason, now)


def tell_changed(row: CopyRelationship, *, actor_id: int | None, now: datetime) -> None:
    """Tell whoever did not do it that copying is held back, goes on or has ended.

    The provider's owner reads the alias and no reason that TradeGuard found: it tells money.
    """
    if row.accepted_at is None:
        return
    change = _change_text(row)
    is_stop = row.state_cause == CopyRelationship.Cause.EQUITY_STOP
    owners = {row.provider.user_id: row.alias, row.follower.user_id: row.follower.name}
    for user_id, name in owners.items():
        if user_id == actor_id:
            continue
        may_read = actor_id is not None or user_id == row.follower.user_id
        _tell(
            row,
            user_id,
            f"changed:{now.isoformat()}",
            change.format(follower=name, provider=row.provider.name),
            row.state_reason if may_read else "",
            now,
            priority=Priority.HIGH if is_stop and may_read else Priority.MEDIUM,
        )


def _change_text(row: CopyRelationship) -> str:
    state, ending = CopyRelationship.State, CopyRelationship.Ending
    if row.state == state.TERMINATED:
        return "{follower} has stopped copying {provider}"
    if row.ending == ending.CLOSE_NOW:
        return "{follower} stops copying {provider}: what it copied is being closed"
    if row.ending:
        return "{follower} stops copying {provider}, and closes with it what it copied"
    if row.closing_since_at is not None:
        return "{follower} copies {provider} no more: what it copied is being closed"
    return {
        state.PAUSED: "{follower} copies {provider} no more: paused",
        state.CLOSE_ONLY: "{follower} copies no new trades of {provider}, only its closes",
    }.get(state(row.state), "{follower} copies {provider} again")


def _tell(
    row: CopyRelationship,
    user_id: int,
    what: str,
    title: str,
    body: str,
    now: datetime,
    priority: Priority = Priority.MEDIUM,
) -> None:
    message = Message(
        user_id=user_id,
        type=NotificationType.COPY_RELATIONSHIP,
        priority=priority,
        title=title,
        body=body,
        link=_PAGE.format(row.pk),
        object_type="copy_relationship",
        object_id=str(row.pk),
        dedupe_key=f"copy_{what}:{row.pk}:{row.terms_changed_at.isoformat()}",
    )
    notify([message], now=now)
