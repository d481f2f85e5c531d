"""Notifications to a program of the user's: signed JSON by POST (Standard Webhooks 1.0)."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from notifications.delivering.addresses import AddressError, check_url
from notifications.delivering.letters import Item, Letter
from notifications.delivering.transport import (
    CredentialField,
    Credentials,
    Send,
    Transport,
    TransportError,
)

VERSION: Final = 1
PREFIX: Final = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes
_MADE_KEY = 32


class WebhookTransport(Transport):
    name = "webhook"
    label = "Webhook"
    icon = "program"
    about = "To a program of yours: a signed POST with what happened as JSON."
    after_a_crash = (
        "It may arrive twice, with the same webhook-id: a program that remembers the ids it has "
        "seen takes each once."
    )
    order = 70
    fields = (
        CredentialField(
            "url",
            "Address",
            help_text="Where your program listens. Redirects are not followed.",
            placeholder="https://example.com/tradeguard",
        ),
        CredentialField(
            "secret",
            "Signing secret",
            help_text=(
                "By which your program knows that a message is from here. Leave it empty and one "
                "is made, to be seen once."
            ),
            is_required=False,
            is_made=True,
            placeholder="whsec_…",
        ),
    )

    @sensitive_variables()
    def check(self, credentials: Credentials) -> dict[str, str]:
        """Return address and secret, which is made when there is none."""
        errors = {}
        url = credentials.get("url", "").strip()
        secret = credentials.get("secret", "").strip() or make_secret()
        try:
            check_url(url, private_addresses=settings.NOTIFY_PRIVATE_ADDRESSES)
        except AddressError as error:
            errors["url"] = str(error)
        try:
            key_of(secret)
        except ValueError as error:
            errors["secret"] = str(error)
        if errors:
            raise ValidationError(errors)
        return {"url": url, "secret": secret}

    def hint(self, credentials: Credentials) -> str:
        """Return the server's name: what follows it in the address often is a password."""
        return (urlsplit(credentials["url"]).hostname or "")[:100]

    def server(self, credentials: Credentials) -> str:
        return urlsplit(credentials["url"]).netloc.lower()

    def send(self, letter: Letter, credentials: Credentials) -> None:
        with self.opened() as send:
            send(letter, credentials)

    @contextmanager
    def opened(self) -> Iterator[Send]:
        """Give a `send` whose letters share the connections."""
        # The client takes long to import, and only the senders need it.
        from notifications.delivering.outbound import guarded_session, post

        with guarded_session(private_addresses=settings.NOTIFY_PRIVATE_ADDRESSES) as session:

            @sensitive_variables()
            def send(letter: Letter, credentials: Credentials) -> None:
                body = encode(letter)
                headers = sign(body, letter, key=_stored_key(credentials), at=int(time.time()))
                post(session, credentials["url"], body, headers=headers, whom="The receiver")

            yield send


TRANSPORT = WebhookTransport()


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_MADE_KEY)).decode()


@sensitive_variables()
def key_of(secret: str) -> bytes:
    """Return the bytes that a signing secret stands for; raise ValueError with words to show."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(f"It is {PREFIX} and {SHORTEST_KEY} to {LONGEST_KEY} bytes in base64.")
    return key


def encode(letter: Letter) -> bytes:
    """Write a letter as the JSON that receivers read; see docs/notifications.md."""
    return json.dumps(
        {
            "version": VERSION,
            "id": str(letter.id),
            "kind": letter.kind,
            "timestamp": letter.at.isoformat(),
            "username": letter.recipient.username,
            "priority": letter.priority,
            "title": letter.title,
            "body": letter.body,
            "url": letter.url,
            "total": letter.total,
            "notifications": [_describe(item) for item in letter.items],
        },
        ensure_ascii=False,
    ).encode()


@sensitive_variables("key")
def sign(body: bytes, letter: Letter, *, key: bytes, at: int) -> dict[str, str]:
    """Return the headers by which a receiver knows the sender; `at` is in Unix seconds."""
    signed = f"{letter.id}.{at}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json; charset=utf-8",
        "webhook-id": str(letter.id),
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }


def _describe(item: Item) -> dict[str, Any]:
    return {
        "id": str(item.id),
        "type": item.type,
        "priority": item.priority,
        "title": item.title,
        "body": item.body,
        "url": item.url,
        "object": {"type": item.object_type, "id": item.object_id},
        "happened_at": item.at.isoformat(),
        "count": item.count,
    }


@sensitive_variables()
def _stored_key(credentials: Credentials) -> bytes:
    try:
        return key_of(credentials["secret"])
    except (KeyError, ValueError):
        raise TransportError("Its signing secret is not usable.", permanent=True) from None
