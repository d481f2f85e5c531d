"""Telling users what happened to their sign-in, their keys and their channels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from accounts.models import User
from accounts.services.security_events import SecurityEvent, SecurityKind
from accounts.sign_ins import browser_name, program_name
from notifications.delivering.chat_text import zone_of
from notifications.models import NotificationType, Priority
from notifications.services import Message, notify

Kind = SecurityKind

_SESSIONS: Final = "/settings/sessions"
_TWO_FACTOR: Final = "/settings/two-factor"
_SETTINGS: Final = "/settings"
_CHANNELS: Final = "/notifications/channels"
_NOT_YOU: Final = "If it was not you, change your password and end what is signed in."
_NOT_YOUR_CHANNEL: Final = (
    "If it was not you, put your channels right, change your password and end what is signed in."
)
_GUESSING: Final = frozenset({Kind.PASSWORD_GUESSED_AT, Kind.CODE_GUESSED_AT})


@dataclass(frozen=True, slots=True)
class Words:
    """How one kind is told; `{what}` stands for what the event says of itself."""

    title: str
    sentence: str
    link: str
    advice: str = _NOT_YOU
    priority: Priority = Priority.HIGH


_WORDS: Final[Mapping[SecurityKind, Words]] = {
    Kind.SIGNED_IN: Words(
        "New sign-in: {what}",
        "Somebody signed in as you in a way that TradeGuard has not seen before: {what}.",
        _SESSIONS,
    ),
    Kind.PROGRAM_SIGNED_IN: Words(
        "New program signed in: {what}",
        "A program signed in as you that TradeGuard has not seen before: {what}.",
        _SESSIONS,
    ),
    Kind.PASSWORD_CHANGED: Words(
        "Your password was changed",
        "Your password was changed. What else was signed in is signed out.",
        _SESSIONS,
        "If it was not you, reset your password at once.",
    ),
    Kind.PASSWORD_RESET: Words(
        "Your password was reset",
        "Your password was reset by a link that was mailed to you.",
        _SESSIONS,
        "If it was not you, somebody reads your mail: change that password, too.",
    ),
    Kind.EMAIL_CHANGED: Words(
        "Your e-mail address was changed", "Your e-mail address is {what} now.", _SETTINGS
    ),
    Kind.TWO_FACTOR_ON: Words(
        "Two-factor sign-in is on",
        "Two-factor sign-in was switched on: from now on a code of your app is asked for.",
        _TWO_FACTOR,
    ),
    Kind.TWO_FACTOR_OFF: Words(
        "Two-factor sign-in is off",
        "Two-factor sign-in was switched off: your password alone lets in now.",
        _TWO_FACTOR,
    ),
    Kind.TWO_FACTOR_TAKEN_AWAY: Words(
        "Your second factor was taken away",
        "Your second factor was taken away, as for a lost phone: your password alone lets in now.",
        _TWO_FACTOR,
        "If you did not ask for it, set it up again and tell whoever runs this TradeGuard.",
        Priority.URGENT,
    ),
    Kind.RECOVERY_CODES_MADE: Words(
        "New recovery codes were made",
        "New recovery codes were made; the old ones are good for nothing.",
        _TWO_FACTOR,
    ),
    Kind.RECOVERY_CODE_USED: Words(
        "A recovery code was used",
        "Somebody signed in as you, or confirmed who they are, with a recovery code; {what}.",
        _TWO_FACTOR,
        "If it was not you, make new codes and change your password.",
        Priority.URGENT,
    ),
    Kind.PASSWORD_GUESSED_AT: Words(
        "Somebody guesses at your password",
        "There were many wrong passwords for your name, so sign-ins are held up for a while.",
        _TWO_FACTOR,
        "Two-factor sign-in protects you even from a right guess.",
    ),
    Kind.CODE_GUESSED_AT: Words(
        "Somebody has your password and guesses at your codes",
        "There were many wrong codes for your second factor, which is asked for only after the"
        " right password. Further codes are refused for a while.",
        _SETTINGS,
        "If it was not you, change your password now.",
        Priority.URGENT,
    ),
    Kind.SESSIONS_ENDED: Words(
        "Signed out elsewhere", "{what} was ended on the page of your sign-ins.", _SESSIONS
    ),
    Kind.TOKEN_REUSED: Words(
        "A program was signed out: its token was used twice",
        "A refresh token of {what} came a second time, so two have it. Its session is ended.",
        _SESSIONS,
        "A program that lost an answer looks the same: then let it sign in anew. Otherwise change"
        " your password.",
        Priority.URGENT,
    ),
    Kind.KEY_ADDED: Words("API key added: {what}", "The API key “{what}” was added.", "/keys"),
    Kind.KEY_VIEWED: Words(
        "API key looked at: {what}",
        "The page of your API key “{what}” was opened; it does not show the password.",
        "/keys",
        "If you do not know why, ask whoever runs this TradeGuard.",
    ),
    Kind.KEY_CHANGED: Words(
        "API key changed: {what}",
        "Your API key “{what}” was changed; its trail tells what.",
        "/keys",
        "If you do not know why, ask whoever runs this TradeGuard.",
    ),
    Kind.KEY_ROTATED: Words(
        "API key rotated: {what}",
        "The API key “{what}” got another password; its accounts log in with that one.",
        "/keys",
    ),
    Kind.KEY_EXPIRED: Words(
        "API key expired: {what}",
        "The time of the API key “{what}” is over: its accounts are not watched any more.",
        "/keys",
        "A later expiry, or another password, brings them back.",
    ),
    Kind.KEY_REVOKED: Words(
        "API key revoked: {what}",
        "The API key “{what}” was revoked and its password destroyed; its accounts are not"
        " watched any more.",
        "/keys",
    ),
    Kind.CHANNEL_ADDED: Words(
        "Channel added: {what}",
        "{what} was added to your channels: what TradeGuard tells you can go there from now on.",
        _CHANNELS,
        _NOT_YOUR_CHANNEL,
    ),
    Kind.CHANNEL_CHANGED: Words(
        "Channel changed: {what}",
        "Your channel {what} got other credentials: it may reach somebody else now.",
        _CHANNELS,
        _NOT_YOUR_CHANNEL,
    ),
    Kind.CHANNEL_DELETED: Words(
        "Channel deleted: {what}",
        "Your channel {what} was deleted: TradeGuard tells you nothing there any more.",
        _CHANNELS,
        _NOT_YOUR_CHANNEL,
    ),
}


def tell_security(event: SecurityEvent) -> None:
    """Tell a user what happened to what protects them, in the transaction around."""
    user = User.objects.filter(pk=event.user_id, is_active=True).first()
    if user is not None:
        notify([_message(event, user)], now=event.at)


def _message(event: SecurityEvent, user: User) -> Message:
    words = _WORDS[event.kind]
    sentence = words.sentence.replace("{what}", event.what)
    parts = [sentence, _circumstances(event, user), words.advice]
    object_type = _object_type(event)
    is_key = object_type == "api_key"
    # The same by the same person from the same place is one thing, whatever it was done to; from
    # elsewhere it is another thing.
    origin = event.origin
    same = f"{event.kind}:{origin.user_id}:{origin.ip_address}"
    if not is_key:
        same = f"{same}:{event.what}:{event.object_id}"
    return Message(
        user_id=user.pk,
        type=NotificationType.SECURITY,
        priority=words.priority,
        title=words.title.replace("{what}", event.what),
        body=" ".join(part for part in parts if part),
        link=f"{words.link}/{event.object_id}" if is_key else words.link,
        object_type=object_type,
        object_id=str(user.pk) if object_type == "user" else event.object_id,
        dedupe_key=_dedupe_key(event),
        repeat_key=same,
        told_by=event.told_by,
    )


def _object_type(event: SecurityEvent) -> str:
    if event.object_id and event.kind.startswith("key_"):
        return "api_key"
    if event.object_id and event.kind.startswith("channel_"):
        return "channel"
    return "user"


def _dedupe_key(event: SecurityEvent) -> str:
    """One for each event; whoever guesses for hours is told of once a day, or with codes an hour.

    Else a stranger could fill somebody's mailbox.
    """
    if event.kind in _GUESSING:
        shape = "%Y-%m-%d" if event.kind == Kind.PASSWORD_GUESSED_AT else "%Y-%m-%dT%H"
        return f"security:{event.kind}:{event.at:{shape}}"
    return f"security:{event.kind}:{event.object_id}:{event.at.isoformat()}:{event.what}"


def _circumstances(event: SecurityEvent, user: User) -> str:
    """Say who it was, from where and when; times in the user's own zone."""
    origin = event.origin
    zone = zone_of(user.time_zone)
    when = f"{event.at.astimezone(zone):%d %b %Y %H:%M} ({zone.key})"
    where = f" from {origin.ip_address}" if origin.ip_address else ""
    name = browser_name(origin.user_agent) or program_name(origin.user_agent)
    agent = f" with {name}" if origin.user_agent else ""
    if event.kind == Kind.KEY_EXPIRED:
        return f"That was at {when}."
    if event.kind in _GUESSING:
        return f"The last one came{where} at {when}."
    if event.kind == Kind.TOKEN_REUSED:
        # Whoever shows a token is not signed in by it, so nobody knows who it was.
        return f"The second time it came{where}{agent} on {when}."
    if origin.user_id is None:
        return f"Staff did it, on {when}."
    if origin.user_id != user.pk:
        return f"{origin.username}, who is staff, did it{where} on {when}."
    return f"It came{where}{agent} on {when}."
