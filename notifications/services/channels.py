"""A user's channels: added, changed, tested, deleted.

What a transport needs to reach somebody goes into the vault with the row, and comes out only for
the worker that sends. Each transport says itself what it needs and whether it looks right.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from accounts.origin import SYSTEM, Origin
from accounts.refusals import Refusal
from accounts.services.security_events import SecurityEvent, SecurityKind, announce
from notifications.delivering.transport import Transport
from notifications.models import Channel, Delivery
from notifications.services.delivery_settings import hold_routing
from notifications.services.email_channels import EMAIL, ensure_email_channels, free_name
from notifications.services.routing import TEST_KEY, plan_test
from notifications.services.switching import cancel
from notifications.transports import transports

__all__ = [
    "EMAIL",
    "MOST_CHANNELS",
    "add_channel",
    "delete_channel",
    "ensure_email_channels",
    "generated_credentials",
    "test_channel",
    "update_channel",
]

MOST_CHANNELS = 10
MOST_TESTS = 5
TESTS_WITHIN = timedelta(minutes=1)
LONGEST_CREDENTIAL = 2048
LONGEST_HINT = 100


@sensitive_variables()
@transaction.atomic
def add_channel(
    *,
    user: User,
    transport: str,
    name: str,
    credentials: Mapping[str, str],
    now: datetime,
    origin: Origin = SYSTEM,
) -> Channel:
    """Give a user another channel, and tell them; an empty name becomes the transport's.

    Raises ValidationError at `transport`, `name` or what the transport calls its fields, and
    Refusal when the user has all the channels that one may have.
    """
    known = _transport(transport)
    user = _locked_user(user.pk)
    names = dict(Channel.objects.owned_by(user).values_list("name", "transport"))
    if transport == EMAIL and EMAIL in names.values():
        raise ValidationError({"transport": "You have the channel by e-mail already."})
    if len(names) >= MOST_CHANNELS:
        raise Refusal(
            f"You have {len(names)} channels, and {MOST_CHANNELS} are possible: delete one first.",
            code="too_many_channels",
        )
    checked = _checked(known, credentials)
    channel = Channel(
        user=user,
        transport=transport,
        name=name or free_name(known.label, names),
        credentials=json.dumps(checked) if checked else None,
        hint=known.hint(checked)[:LONGEST_HINT],
        created_at=now,
    )
    _check_name(channel)
    channel.save(force_insert=True)
    _announce(SecurityKind.CHANNEL_ADDED, channel, origin, now)
    return channel


@sensitive_variables()
@transaction.atomic
def update_channel(
    *,
    channel: Channel,
    name: str | None = None,
    credentials: Mapping[str, str] | None = None,
    now: datetime,
    origin: Origin = SYSTEM,
) -> Channel:
    """Rename a channel, or give it other credentials, and return it as it is now.

    Credentials that are left out stay, and so does a secret that is left empty. A channel that is
    reached in another way than before is tried again, also after it was switched off, and its user
    is told. Raises ValidationError as `add_channel` does.
    """
    channel = _locked(channel)
    fields = ["updated_at"]
    if name is not None:
        channel.name = name or channel.name
        _check_name(channel)
        fields.append("name")
    if credentials is not None and _replace_credentials(channel, credentials):
        fields += ["credentials", "hint", *_forget_failures(channel)]
        _announce(SecurityKind.CHANNEL_CHANGED, channel, origin, now)
    channel.updated_at = now
    channel.save(update_fields=fields)
    return channel


@transaction.atomic
def delete_channel(*, channel: Channel, now: datetime, origin: Origin = SYSTEM) -> None:
    """Delete a channel and its credentials; what waits for it is cancelled and stays on record.

    What always passes of that goes by e-mail, as it does when a channel is switched off, and its
    user is told. Raises Refusal for the channel by e-mail, which is where urgent things go when all
    else fails.
    """
    if channel.transport == EMAIL:
        raise Refusal(
            "The channel by e-mail stays: what is urgent goes there when nothing else works.",
            code="needed",
        )
    hold_routing(channel.user_id)
    channel = _locked(channel)
    waiting = channel.deliveries.filter(state=Delivery.State.PENDING)
    cancel(waiting, because="The channel was deleted.", now=now)
    _announce(SecurityKind.CHANNEL_DELETED, channel, origin, now)
    channel.delete()


@transaction.atomic
def test_channel(*, channel: Channel, now: datetime) -> Delivery:
    """Send a test by this channel alone and return its delivery, which tells how it went.

    Raises Refusal when the channel is switched off, and at more than MOST_TESTS a minute.
    """
    user = _locked_user(channel.user_id)
    channel = _locked(channel)
    if channel.switched_off_at is not None:
        raise Refusal(f"“{channel.name}” is switched off: switch it on first.", code="switched_off")
    noted = _noted_tests(user, now)
    recent = max(len(noted), _count_tests(user, now))
    if recent >= MOST_TESTS:
        raise Refusal(
            f"You sent {recent} tests within a minute; wait a moment before the next.",
            code="throttled",
            wait_seconds=_wait_seconds(noted, now),
        )
    cache.set(_tests_key(user), [*noted, now.timestamp()], TESTS_WITHIN.total_seconds())
    return plan_test(channel=channel, now=now)


# Its name is a verb to its callers, and no test to pytest.
test_channel.__test__ = False  # type: ignore[attr-defined]


@sensitive_variables()
def generated_credentials(*, channel: Channel, given: Mapping[str, str]) -> dict[str, str]:
    """Return what a new channel's transport made up itself, such as a key for signatures.

    Whoever adds the channel sees it now, and nobody ever again.
    """
    stored = _opened(channel)
    return {name: value for name, value in stored.items() if not given.get(name, "").strip()}


def _noted_tests(user: User, now: datetime) -> list[float]:
    """Return when a user sent tests lately, whatever they have deleted of them since."""
    since = (now - TESTS_WITHIN).timestamp()
    return [at for at in cache.get(_tests_key(user), []) if at > since]


def _wait_seconds(noted: Sequence[float], now: datetime) -> float:
    """Return how long it takes until there is room for another test."""
    within = TESTS_WITHIN.total_seconds()
    if len(noted) < MOST_TESTS:  # the cache has forgotten them
        return within
    return noted[-MOST_TESTS] + within - now.timestamp()


def _count_tests(user: User, now: datetime) -> int:
    """Count the tests that are on record, as the cache forgets them with Redis away."""
    return Delivery.objects.filter(
        notification__user=user,
        notification__dedupe_key__startswith=TEST_KEY,
        created_at__gt=now - TESTS_WITHIN,
    ).count()


def _tests_key(user: User) -> str:
    return f"channel-tests:{user.pk}"


def _announce(kind: SecurityKind, channel: Channel, origin: Origin, now: datetime) -> None:
    """Tell the channel's user: whoever has stolen a session could have everything sent elsewhere.

    What a command does, or a browser by itself, is nobody's doing.
    """
    if origin.user_id is None:
        return
    announce(
        SecurityEvent(
            kind,
            channel.user_id,
            now,
            origin,
            what=f"{channel.get_transport_display()} “{channel.name}”",
            object_id=str(channel.pk),
        )
    )


def _transport(name: str) -> Transport:
    known = transports().get(name)
    if known is None:
        raise ValidationError({"transport": f"Choose one of {', '.join(transports())}."})
    return known


def _locked_user(user_id: int) -> User:
    # Without its key: a tick that tells this user something does not wait.
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


def _locked(channel: Channel) -> Channel:
    return Channel.objects.select_for_update(no_key=True).get(pk=channel.pk)


def _check_name(channel: Channel) -> None:
    channel.full_clean(
        exclude=["credentials", "user", "transport", "hint"], validate_constraints=False
    )
    others = Channel.objects.filter(user=channel.user_id, name=channel.name).exclude(pk=channel.pk)
    if others.exists():
        raise ValidationError({"name": "You have a channel of this name already."})


@sensitive_variables()
def _checked(transport: Transport, credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the credentials as they are stored; what is empty was not given."""
    errors: dict[str, str] = {}
    given: dict[str, str] = {}
    names = {field.name for field in transport.fields}
    for name, value in credentials.items():
        if name not in names:
            errors[str(name)[:64]] = f"{transport.label} has no such field."
        elif wrong := _wrong(value):
            errors[name] = wrong
        elif value.strip():
            given[name] = value.strip()
    for field in transport.fields:
        if field.is_required and field.name not in given and field.name not in errors:
            errors[field.name] = f"{transport.label} needs it."
    if errors:
        raise ValidationError(errors)
    return transport.check(given)


@sensitive_variables()
def _wrong(value: object) -> str:
    if not isinstance(value, str):
        return "Give text."
    if len(value) > LONGEST_CREDENTIAL:
        return f"Give at most {LONGEST_CREDENTIAL:,} characters."
    try:
        value.encode()
    except UnicodeEncodeError:
        return "Give text."
    return "Give text without control characters." if "\x00" in value else ""


@sensitive_variables()
def _replace_credentials(channel: Channel, credentials: Mapping[str, str]) -> bool:
    """Merge what is given into what is there; returns whether it is something else now."""
    transport = _transport(channel.transport)
    secret = {field.name for field in transport.fields if field.is_secret}
    stored = _opened(channel)
    kept = {name for name, value in credentials.items() if name in secret and value == ""}
    merged = {**stored, **{key: value for key, value in credentials.items() if key not in kept}}
    checked = _checked(transport, merged)
    if checked == stored:
        return False
    channel.credentials = json.dumps(checked) if checked else None
    channel.hint = transport.hint(checked)[:LONGEST_HINT]
    return True


def _forget_failures(channel: Channel) -> list[str]:
    channel.failures_in_a_row = 0
    channel.last_error = channel.switched_off_because = ""
    channel.switched_off_at = None
    return ["failures_in_a_row", "last_error", "switched_off_at", "switched_off_because"]


@sensitive_variables()
def _opened(channel: Channel) -> dict[str, str]:
    opened: dict[str, str] = {} if channel.credentials is None else json.loads(channel.credentials)
    return opened
