"""The channels that are browsers: a browser subscribes itself, and comes back with new keys."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from accounts.origin import SYSTEM, Origin
from accounts.vault.cipher import VaultError
from notifications.models import Channel
from notifications.services.channels import add_channel, delete_channel, update_channel
from notifications.services.email_channels import free_name
from notifications.services.switching import switch_on

WEB_PUSH = "web_push"


@sensitive_variables()
@transaction.atomic
def subscribe_browser(
    *,
    user: User,
    subscription: Mapping[str, str],
    previous: str,
    browser: str,
    now: datetime,
    origin: Origin = SYSTEM,
) -> Channel:
    """Give a user the channel of a browser, or renew the one that it has.

    `subscription` holds what the transport's fields name; `previous` is the address that the
    browser had before, if any. The user is told of a new channel, not of one that a browser renews
    by itself. What has this address under another user stays theirs: its push
    service says that it has ended. Raises ValidationError and Refusal as `add_channel` does.
    """
    # Without its key: a tick that tells this user something does not wait.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    known = dict(_browsers_of(user))
    channel = known.get(subscription.get("endpoint", "")) or known.get(previous)
    if channel is None:
        names = Channel.objects.owned_by(user).values_list("name", flat=True)
        return add_channel(
            user=user,
            transport=WEB_PUSH,
            name=free_name(browser, names),
            credentials=subscription,
            now=now,
            origin=origin,
        )
    channel = update_channel(channel=channel, credentials=subscription, now=now)
    switch_on(channel, now)  # also when its address is the one that it was switched off with
    return channel


@sensitive_variables()
def browser_channel(*, user: User, endpoint: str) -> Channel | None:
    """Return the user's channel of the browser with this address."""
    return dict(_browsers_of(user)).get(endpoint)


@sensitive_variables()
def unsubscribe_browser(
    *, user: User, endpoint: str, now: datetime, origin: Origin = SYSTEM
) -> bool:
    """Delete the user's channel of this browser; returns whether there was one."""
    channel = browser_channel(user=user, endpoint=endpoint)
    if channel is None:
        return False
    delete_channel(channel=channel, now=now, origin=origin)
    return True


@sensitive_variables()
def _browsers_of(user: User) -> Iterator[tuple[str, Channel]]:
    """Give each of the user's browsers with its address, which nothing else can look up."""
    for channel in Channel.objects.owned_by(user).filter(transport=WEB_PUSH):
        try:
            yield json.loads(channel.credentials or "{}").get("endpoint", ""), channel
        except VaultError:  # sealed with a key that is gone: as good as no browser
            continue
