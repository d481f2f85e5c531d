"""When and how much a user wants to hear."""

from datetime import datetime, time
from typing import TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from notifications import quiet_hours
from notifications.models import Channel, Delivery, DeliverySettings


class SettingsChanges(TypedDict, total=False):
    quiet_from: time | None
    quiet_until: time | None
    summary_at: time
    repeat_minutes: int
    storm_limit: int


@transaction.atomic
def update_settings(
    *, user: User, now: datetime, **changes: Unpack[SettingsChanges]
) -> DeliverySettings:
    """Change a user's settings and return them as they are now; raises ValidationError.

    What other quiet hours hold is sent when the new ones end, or at once outside of them.
    """
    settings = hold_routing(user.pk)
    before = (settings.quiet_from, settings.quiet_until)
    for name, value in changes.items():
        setattr(settings, name, value)
    _check(settings)
    settings.save(update_fields=[*changes, "updated_at"])
    if (settings.quiet_from, settings.quiet_until) != before:
        _release_held(settings, zone=user.time_zone, now=now)
    return settings


@transaction.atomic
def reset_settings(*, settings: DeliverySettings, now: datetime) -> None:
    """Let the defaults hold again; what quiet hours hold is sent at once."""
    own = hold_routing(settings.user_id)
    own.quiet_from = own.quiet_until = None
    _release_held(own, zone=own.user.time_zone, now=now)
    own.delete()


@transaction.atomic
def move_quiet_hours(user: User, now: datetime) -> None:
    """Let what quiet hours hold wait for their end in the zone that the user has now."""
    theirs = DeliverySettings.objects.filter(user=user)
    if theirs.exclude(quiet_from=None).exists():
        _release_held(hold_routing(user.pk), zone=user.time_zone, now=now)


def hold_routing(user_id: int) -> DeliverySettings:
    """Return a user's settings, made when there are none, locked until the transaction ends.

    Routers take the same lock: meanwhile none decides by which channels this user hears something.
    """
    DeliverySettings.objects.get_or_create(user_id=user_id)
    return DeliverySettings.objects.select_for_update(no_key=True).get(user=user_id)


def quiet_errors(begins: time | None, ends: time | None) -> dict[str, str]:
    """Say at its field which end of the quiet hours is missing."""
    if (begins is None) == (ends is None):
        return {}
    missing = "quiet_from" if begins is None else "quiet_until"
    return {missing: "Give both ends of the quiet hours, or none."}


def _check(settings: DeliverySettings) -> None:
    settings.full_clean(exclude=["user"], validate_constraints=False)
    if errors := quiet_errors(settings.quiet_from, settings.quiet_until):
        raise ValidationError(errors)


def _release_held(settings: DeliverySettings, *, zone: str, now: datetime) -> None:
    """Let what is held for quiet hours wait for the new ones.

    One that was tried already belongs to a letter that is on its way and keeps its time.
    """
    end = quiet_hours.quiet_until(
        now, zone=zone, begins=settings.quiet_from, ends=settings.quiet_until
    )
    # As everybody who changes several deliveries of a channel does, and in the order of routers.
    channels = Channel.objects.filter(user=settings.user_id).order_by("pk")
    list(channels.select_for_update(no_key=True).values_list("pk"))
    Delivery.objects.filter(
        channel__user=settings.user_id,
        state=Delivery.State.PENDING,
        hold=Delivery.Hold.QUIET,
        attempts=0,
    ).update(next_attempt_at=end or now, updated_at=now)
