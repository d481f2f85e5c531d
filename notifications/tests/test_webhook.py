import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from notifications.delivering import outbound
from notifications.delivering.transport import TransportError
from notifications.tests.http_receiver import (
    Receiver,
    Reply,
    answering,
    breaking_off,
    dripping,
    falling_silent,
    hanging_up,
    pouring,
    receiving,
)
from notifications.tests.transport_contract import (
    Behaviour,
    TransportContract,
    make_digest,
    make_letter,
)
from notifications.transports.webhook import TRANSPORT, encode, key_of, sign

TOKEN = "hook-t0ken-4711"
RAW_KEY = b"0123456789abcdef0123456789ABCDEF"
SECRET = f"whsec_{base64.b64encode(RAW_KEY).decode()}"
REPLIES: dict[Behaviour, Reply] = {
    Behaviour.ACCEPTS: answering(200, body=b"ok"),
    Behaviour.IS_BUSY: answering(503, {"Retry-After": "17"}, TOKEN.encode()),
    Behaviour.REFUSES: answering(400, body=TOKEN.encode()),
    Behaviour.IS_GONE: answering(410, body=TOKEN.encode()),
    Behaviour.IS_SILENT: falling_silent,
    Behaviour.IS_AWAY: hanging_up,
}


@contextmanager
def impatient(*, silence: float = 0.15, whole: float = 20.0) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbound, "SILENCE_SECONDS", silence)
        patch.setattr(outbound, "WHOLE_SECONDS", whole)
        yield


def credentials_for(receiver: Receiver) -> dict[str, str]:
    return {"url": f"{receiver.url}/hook/{TOKEN}?key={TOKEN}", "secret": SECRET}


def failure(reply: Reply) -> TransportError:
    with receiving(reply) as receiver, pytest.raises(TransportError) as caught:
        TRANSPORT.send(make_letter(), credentials_for(receiver))
    return caught.value


class TestWebhook(TransportContract):
    name = "webhook"
    credentials = {"url": f"https://hooks.example.com/{TOKEN}", "secret": SECRET}
    secrets = (TOKEN, SECRET, base64.b64encode(RAW_KEY).decode())
    garbage = {"url": "ftp://example.com", "secret": "whsec_short"}
    url = ""

    def given(self) -> dict[str, str]:
        return {"url": self.url, "secret": SECRET}

    @contextmanager
    def other_side(self, behaviour: Behaviour) -> Iterator[list[Any]]:
        with receiving(REPLIES[behaviour]) as receiver, impatient():
            self.url = credentials_for(receiver)["url"]
            yield receiver.requests


def test_it_signs_what_it_sends_as_the_standard_says() -> None:
    letter = make_letter(body="Ztráta 5 012,40 “USD” 🔥")
    with receiving() as receiver:
        before = int(time.time())
        TRANSPORT.send(letter, credentials_for(receiver))
    [request] = receiver.requests
    assert request.method == "POST"
    assert request.path == f"/hook/{TOKEN}?key={TOKEN}"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["webhook-id"] == str(letter.id)
    assert before <= int(request.headers["webhook-timestamp"]) <= time.time()
    signed = b".".join(
        [
            request.headers["webhook-id"].encode(),
            request.headers["webhook-timestamp"].encode(),
            request.body,
        ]
    )
    expected = base64.b64encode(hmac.digest(RAW_KEY, signed, hashlib.sha256)).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"


def test_it_signs_like_the_standards_own_example() -> None:
    """The test vector of the specification: key, id, time and body as published."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    name: Any = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    letter = replace(make_letter(), id=name)
    headers = sign(b'{"test": 2432232314}', letter, key=key, at=1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def documented(language: str) -> str:
    text = (settings.BASE_DIR / "docs" / "notifications.md").read_text()
    return text.partition(f"```{language}\n")[2].partition("```")[0]


def test_the_program_in_the_documentation_knows_what_is_genuine() -> None:
    program: dict[str, Any] = {}
    exec(documented("python"), program)  # noqa: S102  # our own documentation
    is_genuine = program["is_genuine"]
    with receiving() as receiver:
        TRANSPORT.send(make_letter(), credentials_for(receiver))
    [request] = receiver.requests
    headers = dict(request.headers)
    other = f"whsec_{base64.b64encode(RAW_KEY[::-1]).decode()}"
    rotated = f"v1,AAAA {headers['webhook-signature']}"
    assert is_genuine(SECRET, headers, request.body)
    assert is_genuine(SECRET, {**headers, "webhook-signature": rotated}, request.body)
    assert not is_genuine(other, headers, request.body)
    assert not is_genuine(SECRET, headers, request.body + b" ")
    assert not is_genuine(SECRET, {**headers, "webhook-id": "x"}, request.body)
    old = str(int(headers["webhook-timestamp"]) - 301)
    assert not is_genuine(SECRET, {**headers, "webhook-timestamp": old}, request.body)


def test_the_body_in_the_documentation_is_what_is_sent() -> None:
    assert json.loads(encode(make_letter())) == json.loads(documented("json"))


def test_it_says_all_of_a_letter() -> None:
    letter = make_digest(30)
    with receiving() as receiver:
        TRANSPORT.send(letter, credentials_for(receiver))
    told = json.loads(receiver.requests[0].body)
    first = told["notifications"][0]
    assert set(told) == {
        "version", "id", "kind", "timestamp", "username", "priority", "title", "body", "url",
        "total", "notifications",
    }  # fmt: skip
    assert (told["version"], told["kind"], told["total"]) == (1, "storm", 30)
    assert (told["id"], told["username"]) == (str(letter.id), "alice")
    assert len(told["notifications"]) == len(letter.items)
    assert first["object"] == {"type": "breach", "id": "1"}
    assert datetime.fromisoformat(first["happened_at"]) == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_it_makes_a_secret_when_there_is_none() -> None:
    one = TRANSPORT.check({"url": "https://example.com/"})
    two = TRANSPORT.check({"url": "https://example.com/", "secret": " "})
    assert one["secret"] != two["secret"]
    assert len(base64.b64decode(one["secret"].removeprefix("whsec_"))) == 32
    assert TRANSPORT.check(one) == one


@pytest.mark.parametrize(("size", "fits"), [(23, False), (24, True), (64, True), (65, False)])
def test_it_takes_secrets_of_the_standards_lengths(size: int, fits: bool) -> None:
    given = {
        "url": "https://example.com/",
        "secret": f"whsec_{base64.b64encode(b'k' * size).decode()}",
    }
    if fits:
        assert TRANSPORT.check(given) == given
    else:
        with pytest.raises(ValidationError) as caught:
            TRANSPORT.check(given)
        assert set(caught.value.message_dict) == {"secret"}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_it_takes_any_2xx_for_a_yes(status: int) -> None:
    with receiving(answering(status)) as receiver:
        TRANSPORT.send(make_letter(), credentials_for(receiver))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("reply", [breaking_off, pouring])
def test_it_takes_a_yes_whatever_becomes_of_the_rest(reply: Reply) -> None:
    with impatient(), receiving(reply) as receiver:
        TRANSPORT.send(make_letter(), credentials_for(receiver))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_it_follows_no_redirect(status: int) -> None:
    with receiving() as elsewhere:
        error = failure(answering(status, {"Location": f"{elsewhere.url}/x"}))
    assert elsewhere.requests == []
    assert error.permanent
    assert not error.is_gone


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (401, True), (404, True), (413, True), (422, True),
     (408, False), (425, False), (429, False), (500, False), (502, False), (503, False)],
)  # fmt: skip
def test_it_knows_what_is_worth_another_attempt(status: int, permanent: bool) -> None:
    error = failure(answering(status))
    assert error.permanent is permanent
    assert str(error) == f"The receiver answered {status}."
    assert error.retry_after_seconds is None
    assert error.was_answered is True


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0.0), ("120", 120.0), ("86401", 86_400.0), ("9" * 400, 86_400.0),
     ("-1", None), ("soon", None), ("", None), ("Fri, 20 Nov 2026 99:00:00 GMT", None),
     ("Fri, 20 Nov 2020 12:00:00 GMT", 0.0), ("Fri, 20 Nov 9999 12:00:00 GMT", 86_400.0)],
)  # fmt: skip
def test_it_waits_as_long_as_it_is_asked_to(header: str, seconds: float | None) -> None:
    assert failure(answering(429, {"Retry-After": header})).retry_after_seconds == seconds


def test_a_receiver_that_drips_holds_nobody_up() -> None:
    # Each byte comes in time; only the whole is too long.
    with impatient(silence=5, whole=0.3):
        error = failure(dripping)
    assert str(error) == "The receiver did not answer in time."
    assert not error.permanent


def test_letters_in_a_row_share_a_connection() -> None:
    with receiving(answering(200, body=b"thanks")) as receiver:
        with TRANSPORT.opened() as send:
            for _ in range(3):
                send(make_letter(), credentials_for(receiver))
        TRANSPORT.send(make_letter(), credentials_for(receiver))
    connections = [request.connection for request in receiver.requests]
    assert len(set(connections[:3])) == 1
    assert connections[3] != connections[0]


def test_a_connection_that_was_closed_meanwhile_is_opened_anew() -> None:
    def polite(handler: Any) -> None:
        handler.answer(200)
        handler.close_connection = True  # without having said so

    with receiving(polite) as receiver, TRANSPORT.opened() as send:
        for _ in range(3):
            send(make_letter(), credentials_for(receiver))
            time.sleep(0.02)
    assert len(receiver.requests) == 3


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "//example.com", "https://", "https:///x", "javascript:alert(1)",
     "file:///etc/passwd", "https://u:p@example.com", "https://example.com:0/",
     "https://example.com:99999/", "https://example.com/a b", "https://exa\nmple.com/",
     "https://[::1/", "https://bücher.example/", "https://a\\@b.example/",
     f"https://example.com/{'x' * 2_000}"],
)  # fmt: skip
def test_it_refuses_what_is_no_address(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TRANSPORT.check({"url": url, "secret": SECRET})
    assert set(caught.value.message_dict) == {"url"}


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "https://127.0.0.1/", "https://10.1.2.3/", "https://[::1]/",
     "https://169.254.169.254/latest", "https://localhost/", "https://[::ffff:10.0.0.1]/",
     "https://db.internal/", "https://printer.local/", "https://a.localhost/"],
)  # fmt: skip
def test_a_server_for_strangers_refuses_its_own_network(url: str, settings: Any) -> None:
    assert TRANSPORT.check({"url": url})["url"] == url
    settings.NOTIFY_PRIVATE_ADDRESSES = False
    with pytest.raises(ValidationError) as caught:
        TRANSPORT.check({"url": url, "secret": SECRET})
    assert set(caught.value.message_dict) == {"url"}
    assert TRANSPORT.check({"url": "https://93.184.216.34/"})


def test_a_server_for_strangers_sends_nothing_without_tls(settings: Any) -> None:
    with receiving() as receiver:
        settings.NOTIFY_PRIVATE_ADDRESSES = False
        with pytest.raises(TransportError) as caught:
            TRANSPORT.send(make_letter(), credentials_for(receiver))
    assert caught.value.permanent
    assert receiver.requests == []


def test_a_secret_that_is_broken_sends_nothing() -> None:
    with receiving() as receiver, pytest.raises(TransportError) as caught:
        TRANSPORT.send(make_letter(), {**credentials_for(receiver), "secret": "whsec_x"})
    assert caught.value.permanent
    assert receiver.requests == []
