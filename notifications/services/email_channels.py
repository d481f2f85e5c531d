"""The channel by e-mail: everybody has one, made when it is first needed."""

from collections.abc import Iterable

from notifications.models import Channel
from notifications.transports import transports

EMAIL = "email"


def ensure_email_channels(user_ids: Iterable[int]) -> None:
    """Give each of these users the channel by e-mail that everybody has."""
    wanted = set(user_ids)
    wanted -= set(
        Channel.objects.filter(user__in=wanted, transport=EMAIL).values_list("user_id", flat=True)
    )
    if not wanted:
        return
    taken: dict[int, set[str]] = {user_id: set() for user_id in wanted}
    for user_id, name in Channel.objects.filter(user__in=wanted).values_list("user_id", "name"):
        taken[user_id].add(name)
    label = transports()[EMAIL].label
    Channel.objects.bulk_create(
        [
            Channel(user_id=user_id, transport=EMAIL, name=free_name(label, names))
            for user_id, names in sorted(taken.items())
        ],
        # Somebody else may be giving it to them at this moment.
        ignore_conflicts=True,
    )


def free_name(label: str, taken: Iterable[str]) -> str:
    """Return the label, with a number when a channel of the user has this name."""
    names, number, name = set(taken), 1, label
    while name in names:
        number += 1
        name = f"{label} {number}"
    return name
