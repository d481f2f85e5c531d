import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from accounts.vault.cipher import VaultError
from notifications.delivering.transport import TransportError
from notifications.models import PushKey
from notifications.services.push_keys import private_push_key, public_push_key
from notifications.tests.browser_side import Browser, base64url, from_base64url
from notifications.tests.http_receiver import (
    Receiver,
    Reply,
    answering,
    falling_silent,
    hanging_up,
    receiving,
)
from notifications.tests.test_webhook import impatient
from notifications.tests.transport_contract import (
    Behaviour,
    TransportContract,
    make_digest,
    make_letter,
)
from notifications.transports.web_push import LONGEST_PAYLOAD, TRANSPORT, encode

pytestmark = pytest.mark.django_db

TOKEN = "s3cret-t0ken"
BROWSER = Browser()
REPLIES: dict[Behaviour, Reply] = {
    Behaviour.ACCEPTS: answering(201),
    Behaviour.IS_BUSY: answering(429, {"Retry-After": "30"}, TOKEN.encode()),
    Behaviour.REFUSES: answering(403, body=TOKEN.encode()),
    Behaviour.IS_GONE: answering(410, body=TOKEN.encode()),
    Behaviour.IS_SILENT: falling_silent,
    Behaviour.IS_AWAY: hanging_up,
}


class TestWebPush(TransportContract):
    name = "web_push"
    credentials = BROWSER.subscription
    secrets = (TOKEN, BROWSER.subscription["auth"], BROWSER.subscription["p256dh"])
    garbage = {"endpoint": "file:///x", "p256dh": "AAAA", "auth": "AAAA"}
    endpoint = ""

    def given(self) -> dict[str, str]:
        return {**self.credentials, "endpoint": self.endpoint}

    @contextmanager
    def other_side(self, behaviour: Behaviour) -> Iterator[list[Any]]:
        with receiving(REPLIES[behaviour]) as receiver, impatient():
            self.endpoint = f"{receiver.url}/send/{TOKEN}"
            yield receiver.requests


def subscribed(receiver: Receiver) -> Browser:
    return Browser(f"{receiver.url}/send/{TOKEN}")


def failure(reply: Reply) -> TransportError:
    with receiving(reply) as receiver, pytest.raises(TransportError) as caught:
        TRANSPORT.send(make_letter(), subscribed(receiver).subscription)
    return caught.value


def test_only_the_browser_can_read_it() -> None:
    letter = make_letter(title="Daily loss limit broken: Žluťoučký 🔥")
    with receiving() as receiver:
        browser = subscribed(receiver)
        TRANSPORT.send(letter, browser.subscription)
    [request] = receiver.requests
    assert browser.read(request.body) == {
        "id": str(letter.id),
        "title": letter.title,
        "body": letter.body,
        "url": f"/notifications/{letter.items[0].id}/open",
        "priority": "urgent",
        "at": 1_795_176_000_000,
    }
    assert b"5,012.40" not in request.body
    with pytest.raises(Exception, match="Decryption"):
        Browser().read(request.body)


def test_it_tells_the_push_service_what_it_needs_to_know() -> None:
    letter = make_letter(priority="medium")
    with receiving() as receiver:
        TRANSPORT.send(letter, subscribed(receiver).subscription)
    [request] = receiver.requests
    assert (request.method, request.path) == ("POST", f"/send/{TOKEN}")
    assert request.headers["content-encoding"] == "aes128gcm"
    assert request.headers["ttl"] == "86400"
    assert request.headers["urgency"] == "normal"
    # At most 32 signs of base64url (RFC 8030, 5.4).
    assert request.headers["topic"] == letter.id.hex
    assert len(request.body) <= 4_096


def test_it_shows_the_push_service_who_sends(settings: Any) -> None:
    settings.VAPID_SUBJECT = "mailto:desk@example.com"
    with receiving() as receiver:
        TRANSPORT.send(make_letter(), subscribed(receiver).subscription)
    scheme, _, rest = receiver.requests[0].headers["authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    point = from_base64url(public_push_key())
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    claims = jwt.decode(parts["t"], key, algorithms=["ES256"], audience=receiver.url)
    assert scheme == "vapid"
    assert parts["k"] == public_push_key()
    assert claims["sub"] == "mailto:desk@example.com"
    # A push service refuses what is signed for more than a day (RFC 8292, 2).
    assert time.time() < claims["exp"] <= time.time() + 86_400


@pytest.mark.parametrize(
    ("status", "permanent", "is_gone"),
    [(404, True, True), (410, True, True), (400, True, False), (401, True, False),
     (403, True, False), (413, True, False), (301, True, False), (429, False, False),
     (500, False, False), (503, False, False)],
)  # fmt: skip
def test_it_knows_what_the_answers_mean(status: int, permanent: bool, is_gone: bool) -> None:
    error = failure(answering(status, body=b"x" * 100_000))
    assert (error.permanent, error.is_gone) == (permanent, is_gone)


def test_it_waits_as_long_as_the_push_service_asks() -> None:
    assert failure(answering(429, {"Retry-After": "90"})).retry_after_seconds == 90


def test_it_follows_no_redirect() -> None:
    with receiving() as elsewhere:
        failure(answering(307, {"Location": f"{elsewhere.url}/x"}))
    assert elsewhere.requests == []


def test_letters_in_a_row_share_a_connection() -> None:
    with receiving() as receiver, TRANSPORT.opened() as send:
        for _ in range(3):
            send(make_letter(), subscribed(receiver).subscription)
    assert len({request.connection for request in receiver.requests}) == 1


def test_a_server_for_strangers_sends_to_no_private_address(settings: Any) -> None:
    with receiving() as receiver:
        settings.NOTIFY_PRIVATE_ADDRESSES = False
        with pytest.raises(TransportError) as caught:
            TRANSPORT.send(make_letter(), subscribed(receiver).subscription)
        with pytest.raises(ValidationError):
            TRANSPORT.check(subscribed(receiver).subscription)
    assert caught.value.permanent
    assert receiver.requests == []


@pytest.mark.parametrize("sign", ["x", "é", "🔥", '"', "\\", "\n", "\x00"])
@pytest.mark.parametrize("length", [2_700, 2_800, 4_000, 50_000])
def test_it_cuts_what_is_too_long_for_a_push(sign: str, length: int) -> None:
    letter = make_letter(body=sign * length)
    payload = encode(letter)
    told = json.loads(payload)
    assert len(payload) <= LONGEST_PAYLOAD
    assert told["title"] == letter.title
    if len(letter.body.encode()) > LONGEST_PAYLOAD:
        assert told["body"].endswith("…")
        assert len(payload) > LONGEST_PAYLOAD - 10
        assert letter.body.startswith(told["body"][:-1])


def test_what_fits_is_not_cut() -> None:
    letter = make_letter(body="x" * 2_700)
    assert json.loads(encode(letter))["body"] == letter.body


def test_a_digest_leads_to_the_centre() -> None:
    assert json.loads(encode(make_digest(30)))["url"] == "/notifications"


@pytest.mark.parametrize(
    ("field", "value"),
    [("p256dh", base64url(b"\x04" + b"\x01" * 64)), ("p256dh", base64url(b"\x04" * 33)),
     ("p256dh", ""), ("p256dh", "é"), ("auth", base64url(b"x" * 15)),
     ("auth", base64url(b"x" * 17)), ("auth", "!" * 22), ("endpoint", "")],
)  # fmt: skip
def test_it_refuses_what_no_browser_gives(field: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TRANSPORT.check({**BROWSER.subscription, field: value})
    assert set(caught.value.message_dict) == {field}


# --- the key pair ---


def test_the_key_pair_is_made_once() -> None:
    assert PushKey.objects.count() == 0
    assert public_push_key() == public_push_key()
    number = int.from_bytes(from_base64url(private_push_key()), "big")
    pair = ec.derive_private_key(number, ec.SECP256R1())
    point = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), from_base64url(public_push_key())
    )
    assert pair.public_key() == point
    assert PushKey.objects.count() == 1


def test_the_second_of_two_processes_takes_the_firsts_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = public_push_key()
    monkeypatch.setattr(type(PushKey.objects.all()), "first", lambda self: None)
    with transaction.atomic():
        assert public_push_key() == first
    assert PushKey.objects.count() == 1


def test_the_private_key_lies_sealed() -> None:
    private = private_push_key()
    with connection.cursor() as cursor:
        cursor.execute("SELECT private_key FROM notifications_pushkey")
        [stored] = cursor.fetchone()
    assert private.encode() not in bytes(stored)
    assert private not in repr(PushKey.objects.get())


def test_a_key_that_no_master_key_opens_can_be_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*args: Any, **kwargs: Any) -> str:
        raise VaultError("None of the master keys opens it.")

    public_push_key()
    monkeypatch.setattr("accounts.vault.keyring.unseal", locked)
    with receiving() as receiver, pytest.raises(TransportError) as caught:
        TRANSPORT.send(make_letter(), subscribed(receiver).subscription)
    assert not caught.value.permanent
    assert receiver.requests == []
