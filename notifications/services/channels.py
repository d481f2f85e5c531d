"""A user's channels: added, tested, switched off and on again."""

from collections.abc import Iterable

from notifications.models import Channel

EMAIL = "email"


def ensure_email_channels(user_ids: Iterable[int]) -> None:
    """Give each of these users the channel by e-mail that everybody has."""
    Channel.objects.bulk_create(
        [Channel(user_id=user_id, transport=EMAIL, name="E-mail") for user_id in user_ids],
        ignore_conflicts=True,
    )
