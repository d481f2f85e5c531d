"""Notifications by the push service of a browser (RFC 8030), encrypted for it (RFC 8291)."""

import base64
import binascii
import json
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from accounts.vault.cipher import VaultError
from notifications.delivering.addresses import AddressError, check_url
from notifications.delivering.letters import Letter
from notifications.delivering.transport import (
    CredentialField,
    Credentials,
    Send,
    Transport,
    TransportError,
)

# A push service must take 4,096 bytes (RFC 8030, 7.2), of which the encryption takes 103.
LONGEST_PAYLOAD: Final = 3_000  # bytes
# A device that is off for longer than a day finds the rest in the centre.
KEPT_SECONDS: Final = 24 * 3600
_URGENCY: Final = {"urgent": "high", "high": "high", "medium": "normal", "low": "low"}
_ENDED: Final = frozenset({404, 410})
_WHOM: Final = "The browser's push service"


class WebPushTransport(Transport):
    name = "web_push"
    label = "Browser"
    icon = "browser"
    about = "On the screen of this computer or phone, also while TradeGuard is not open."
    after_a_crash = (
        "It may be sent twice; the browser shows it once, since the second replaces the first."
    )
    order = 20
    fields = (
        CredentialField("endpoint", "Address of the browser", is_asked=False),
        CredentialField("p256dh", "Public key of the browser", is_asked=False),
        CredentialField("auth", "Secret of the browser", is_asked=False),
    )

    @sensitive_variables()
    def check(self, credentials: Credentials) -> dict[str, str]:
        """Return a browser's subscription as it is stored."""
        given = {field.name: credentials.get(field.name, "").strip() for field in self.fields}
        errors = {}
        try:
            check_url(given["endpoint"], private_addresses=settings.NOTIFY_PRIVATE_ADDRESSES)
        except AddressError as error:
            errors["endpoint"] = str(error)
        if not _is_point(given["p256dh"]):
            errors["p256dh"] = "This is no public key of a browser."
        if len(_decoded(given["auth"])) != 16:
            errors["auth"] = "This is no secret of a browser."
        if errors:
            raise ValidationError(errors)
        return given

    def hint(self, credentials: Credentials) -> str:
        """Return the name of the push service; the rest of the address lets one write to it."""
        return (urlsplit(credentials["endpoint"]).hostname or "")[:100]

    def server(self, credentials: Credentials) -> str:
        return urlsplit(credentials["endpoint"]).netloc.lower()

    def send(self, letter: Letter, credentials: Credentials) -> None:
        with self.opened() as send:
            send(letter, credentials)

    @contextmanager
    def opened(self) -> Iterator[Send]:
        """Give a `send` whose letters share the connections to the push services."""
        # Both take long to import, and only the senders need them.
        from pywebpush import WebPushException, webpush

        from notifications.delivering.outbound import ask, guarded_session, require_taken

        signer = _signer()
        with guarded_session(private_addresses=settings.NOTIFY_PRIVATE_ADDRESSES) as session:

            @sensitive_variables()
            def send(letter: Letter, credentials: Credentials) -> None:
                try:
                    ask(
                        lambda: webpush(
                            _subscription(credentials),
                            data=encode(letter),
                            vapid_private_key=signer,
                            vapid_claims={"sub": settings.VAPID_SUBJECT},
                            ttl=KEPT_SECONDS,
                            headers=_headers(letter),
                            requests_session=session,
                        ),
                        whom=_WHOM,
                    )
                except WebPushException as error:
                    response = error.response
                else:
                    return
                if response is None:
                    raise TransportError("The browser's keys are not usable.", permanent=True)
                require_taken(response, whom=_WHOM, gone=_ENDED)

            yield send


TRANSPORT = WebPushTransport()


def encode(letter: Letter) -> bytes:
    """Write what the service worker shows, in at most LONGEST_PAYLOAD bytes of JSON."""
    shown = {
        "id": str(letter.id),
        "title": letter.title,
        "body": letter.body,
        "url": _path(letter),
        "priority": letter.priority,
        "at": int(letter.at.timestamp() * 1000),
    }

    def cut(length: int) -> bytes:
        return _json({**shown, "body": f"{letter.body[:length]}…"})

    payload = _json(shown)
    if len(payload) <= LONGEST_PAYLOAD:
        return payload
    # The longest that fits: how many bytes a sign takes in JSON is known only once it is written.
    too_long = bisect(range(LONGEST_PAYLOAD), LONGEST_PAYLOAD, key=lambda length: len(cut(length)))
    return cut(too_long - 1)


def _json(shown: dict[str, Any]) -> bytes:
    return json.dumps(shown, ensure_ascii=False).encode()


def _path(letter: Letter) -> str:
    """Where a click leads: past the page that marks the notification as read.

    A path alone, since the browser may know this site by another name than PUBLIC_URL.
    """
    if letter.total == 1:
        return f"/notifications/{letter.items[0].id}/open"
    return "/notifications"


@sensitive_variables()
def _subscription(credentials: Credentials) -> dict[str, Any]:
    keys = {name: credentials[name] for name in ("p256dh", "auth")}
    return {"endpoint": credentials["endpoint"], "keys": keys}


def _headers(letter: Letter) -> dict[str, str | int | float]:
    return {
        "Urgency": _URGENCY.get(letter.priority, "normal"),
        # What still waits for the device under the same topic is replaced.
        "Topic": letter.id.hex,
    }


@sensitive_variables()
def _signer() -> Any:
    # The models name their transports, so that a transport can import what reads tables only later.
    from py_vapid import Vapid

    from notifications.services.push_keys import private_push_key

    try:
        return Vapid.from_raw(private_push_key().encode())
    except VaultError:
        # That is our own set-up; once the master key is right, the letter can go.
        raise TransportError("TradeGuard cannot open its own push key.", permanent=False) from None


@sensitive_variables()
def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_point(text: str) -> bool:
    raw = _decoded(text)
    if len(raw) != 65:
        return False
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError:
        return False
    return True
