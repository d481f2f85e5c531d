"""A user's channels, as their cards tell of them."""

from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings

from accounts.models import User
from notifications.delivering.transport import Transport
from notifications.models import Channel
from notifications.selectors.channels import channels_of
from notifications.transports import transports

EMAIL = "email"
# They take every message and bring none to anybody.
_UNSENT_BACKENDS = frozenset(
    f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy", "filebased")
)


class Condition(StrEnum):
    """How a channel does: nothing was sent yet, it works, the last letter failed, or it is off."""

    UNTRIED = "untried"
    WORKING = "working"
    FAILING = "failing"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ChannelCard:
    """A channel with what is said of it.

    One that is not `is_stored` can only be looked at; what goes by one that `is_unsent` ends in a
    log.
    """

    channel: Channel
    transport: Transport
    condition: Condition
    address: str
    is_email: bool
    is_stored: bool
    is_unsent: bool


def channel_cards(user: User) -> list[ChannelCard]:
    """Return a card for each channel whose transport is installed, e-mail first.

    Everybody is reached by e-mail, also before the first one gives that channel its row.
    """
    known = transports()
    found = [
        channel_card(channel, known[channel.transport], user)
        for channel in channels_of(user)
        if channel.transport in known
    ]
    if all(not card.is_email for card in found):
        mail = known[EMAIL]
        found.append(channel_card(Channel(user=user, transport=EMAIL, name=mail.label), mail, user))
    return sorted(found, key=lambda card: card.transport.order)


def addable_transports() -> list[Transport]:
    """Return the transports that a form can add; a browser adds itself, by a script."""
    return [each for each in transports().values() if any(field.is_asked for field in each.fields)]


def steps_templates(transport: Transport) -> list[str]:
    """Name the templates that tell how to get what a transport asks for, the best first."""
    return [f"notifications/steps/{transport.name}.html", "notifications/steps/other.html"]


def is_mail_unsent() -> bool:
    """Whether no mail server is set up, so that e-mails are only written down."""
    return settings.EMAIL_BACKEND in _UNSENT_BACKENDS


def channel_card(channel: Channel, transport: Transport, user: User) -> ChannelCard:
    """Say how a channel does."""
    if channel.switched_off_at is not None:
        condition = Condition.OFF
    elif channel.failures_in_a_row or channel.last_error:
        condition = Condition.FAILING
    else:
        condition = Condition.UNTRIED if channel.last_sent_at is None else Condition.WORKING
    is_email = channel.transport == EMAIL
    return ChannelCard(
        channel=channel,
        transport=transport,
        condition=condition,
        address=user.email if is_email else channel.hint,
        is_email=is_email,
        is_stored=not channel._state.adding,
        is_unsent=is_email and is_mail_unsent(),
    )
