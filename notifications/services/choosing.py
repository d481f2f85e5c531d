"""Which of a user's channels a notification goes out by, as their preferences have it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from notifications.defaults import Choice, Mode, always_passes, default_choice
from notifications.models import Channel, Notification, NotificationType, Preference, Priority
from notifications.services.email_channels import EMAIL, ensure_email_channels

UNKNOWN = Choice(mode=Mode.ON, minimum_priority=Priority.LOW, transports=frozenset({EMAIL}))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one notification is told: nowhere, in the centre alone, or by these channels as well.

    `passes`: whatever the preferences and the hour.
    """

    is_hidden: bool = False
    is_silent: bool = False
    passes: bool = False
    channels: tuple[Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the users of a batch want: their preferences by type, and their working channels."""

    choices: Mapping[tuple[int, str], Choice]
    channels: Mapping[int, Sequence[Channel]]

    def choice(self, notification: Notification) -> Choice:
        own = self.choices.get((notification.user_id, notification.type))
        return own or _default(notification.type)


def read_wishes(user_ids: Collection[int]) -> Wishes:
    """Read what these users want; who has no channel by e-mail yet is given it."""
    rows = _read_channels(user_ids)
    mailed = {channel.user_id for channel in rows if channel.transport == EMAIL}
    if unmailed := set(user_ids) - mailed:
        ensure_email_channels(sorted(unmailed))
        rows += [row for row in _read_channels(unmailed) if row.transport == EMAIL]
    channels: dict[int, list[Channel]] = defaultdict(list)
    for channel in rows:
        if channel.switched_off_at is None:
            channels[channel.user_id].append(channel)
    choices = {
        (row.user_id, row.type): Choice(
            mode=row.mode,
            minimum_priority=row.minimum_priority,
            transports=frozenset(row.transports),
        )
        for row in Preference.objects.filter(user__in=user_ids)
    }
    return Wishes(choices=choices, channels=channels)


def judge(notification: Notification, wishes: Wishes) -> Verdict:
    """Decide how a notification is told, apart from when.

    What always passes asks for no mode and no minimum; it goes by e-mail when no transport that was
    chosen has a working channel. What is below the minimum stays on the pages.
    """
    choice = wishes.choice(notification)
    passes = always_passes(notification.type, notification.priority)
    if not passes and choice.mode == Mode.OFF:
        return Verdict(is_hidden=True)
    if not passes and choice.mode == Mode.SILENT:
        return Verdict(is_silent=True)
    if not passes and _is_minor(notification, choice):
        # Open pages show it and the bell counts it, unless it is of no weight at all.
        return Verdict(is_silent=notification.priority == Priority.LOW)
    working = wishes.channels.get(notification.user_id, ())
    chosen = _by(choice.transports, working)
    if passes and not chosen:
        chosen = _by({EMAIL}, working)
    return Verdict(
        passes=passes,
        channels=tuple(row for row in chosen if row.transport != notification.told_by),
    )


@cache
def _default(kind: str) -> Choice:
    # Of a type that another version told, one row that nobody can decide on stops all behind it.
    return default_choice(kind) if kind in NotificationType else UNKNOWN


def _is_minor(notification: Notification, choice: Choice) -> bool:
    return Priority(notification.priority).rank < Priority(choice.minimum_priority).rank


def _by(names: Collection[str], channels: Iterable[Channel]) -> list[Channel]:
    return [channel for channel in channels if channel.transport in names]


def _read_channels(user_ids: Collection[int]) -> list[Channel]:
    # Locked, so that nothing is planned for one that is switched off or deleted at this moment;
    # without the credentials, which only whoever sends has to read.
    rows = (
        Channel.objects.filter(user__in=user_ids)
        .select_related("user")
        .defer("credentials")
        .select_for_update(of=["self"], no_key=True)
        .order_by("pk")
    )
    return sorted(rows, key=lambda channel: (channel.created_at, channel.pk))
