import smtplib
import socket
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.delivering.transport import TransportError
from notifications.models import Delivery, Notification
from notifications.tests.factories import make_delivery
from notifications.transports import email


@pytest.fixture(autouse=True)
def _public_url(settings: Any) -> None:
    settings.PUBLIC_URL = "https://desk.example.com/"


def send_one(user: User, **fields: Any) -> EmailMessage:
    """Send an e-mail and return what goes over the wire."""
    mail.outbox.clear()
    email.send(make_delivery(user, **fields))
    [message] = mail.outbox
    parsed = BytesParser(policy=default).parsebytes(message.message().as_bytes())
    assert isinstance(parsed, EmailMessage)
    return parsed


def read_part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_it_says_what_happened_when_and_where_to_look(alice: User, kind: str) -> None:
    alice.time_zone = "Europe/Prague"
    alice.save(update_fields=["time_zone"])

    message = send_one(alice)

    text = read_part(message, kind)
    assert message["To"] == "alice@example.com"
    assert message["Subject"] == "TradeGuard: Daily loss limit broken: Alpha 3"
    assert "Alpha 3 lost 5,012.40 USD of 5,000.00 today." in text
    assert "20 November 2026, 13:00:00 CET" in text
    assert "https://desk.example.com/accounts/3" in text
    assert "https://desk.example.com/settings" in text


def test_it_shows_the_time_in_utc_when_the_zone_is_gone(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Atlantis/Center")
    alice.refresh_from_db()

    assert "12:00:00 UTC" in read_part(send_one(alice), "plain")


@pytest.mark.parametrize("link", ["", "https://evil.example"])
def test_it_offers_no_link_that_leads_elsewhere(alice: User, link: str) -> None:
    message = send_one(alice, link=link)

    assert "evil" not in read_part(message, "plain")
    assert "Open in TradeGuard" not in read_part(message, "html")


def test_it_escapes_names_in_html_alone(alice: User) -> None:
    message = send_one(alice, title="Lost: <b>A&B</b>", body="<script>alert(1)</script>")

    assert "<script>" not in read_part(message, "html")
    assert "Lost: &lt;b&gt;A&amp;B&lt;/b&gt;" in read_part(message, "html")
    assert "Lost: <b>A&B</b>" in read_part(message, "plain")


def test_it_lets_no_name_add_a_header(alice: User) -> None:
    delivery = make_delivery(alice)
    # Past `notify`, which removes line breaks already.
    Notification.objects.update(title="Lost: Alpha\r\nBcc: eve@example.com")
    mail.outbox.clear()

    email.send(Delivery.objects.get(pk=delivery.pk))

    raw = mail.outbox[0].message().as_bytes()
    parsed = BytesParser(policy=default).parsebytes(raw)
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "TradeGuard: Lost: Alpha Bcc: eve@example.com"
    assert mail.outbox[0].recipients() == ["alice@example.com"]


@pytest.mark.parametrize("address", ["alice@example.com\nBcc: eve@example.com", "nowhere"])
def test_it_gives_up_on_an_address_that_cannot_be(alice: User, address: str) -> None:
    delivery = make_delivery(alice)
    delivery.notification.user.email = address
    mail.outbox.clear()

    if "\n" in address:
        with pytest.raises(TransportError) as caught:
            email.send(delivery)
        assert caught.value.permanent
        assert mail.outbox == []
    else:
        # Whether a mailbox exists is for the mail server to say.
        email.send(delivery)


def test_it_carries_the_same_id_when_it_is_sent_twice(alice: User) -> None:
    delivery = make_delivery(alice)
    mail.outbox.clear()

    email.send(delivery)
    email.send(delivery)

    ids = [message.message()["Message-ID"] for message in mail.outbox]
    assert ids == [f"<{delivery.notification_id}@desk.example.com>"] * 2


def test_it_does_not_mail_a_user_who_was_switched_off_since(alice: User) -> None:
    delivery = make_delivery(alice)
    delivery.notification.user.is_active = False
    mail.outbox.clear()

    with pytest.raises(TransportError) as caught:
        email.send(delivery)

    assert caught.value.permanent
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("error", "is_permanent"),
    [
        (smtplib.SMTPRecipientsRefused({"a@b": (550, b"No such mailbox")}), True),
        (smtplib.SMTPRecipientsRefused({"a@b": (450, b"Greylisted")}), False),
        (smtplib.SMTPDataError(554, b"Refused"), True),
        (smtplib.SMTPDataError(451, b"Try again"), False),
        (smtplib.SMTPSenderRefused(499, b"Later", "x@y"), False),
        (smtplib.SMTPSenderRefused(500, b"Never", "x@y"), True),
        (smtplib.SMTPAuthenticationError(535, b"Wrong password"), False),
        (smtplib.SMTPServerDisconnected("gone"), False),
        (smtplib.SMTPNotSupportedError("no SMTPUTF8"), True),
        (ConnectionRefusedError("refused"), False),
        (TimeoutError("silent"), False),
    ],
)
def test_it_knows_which_errors_pass(
    alice: User, monkeypatch: pytest.MonkeyPatch, error: Exception, is_permanent: bool
) -> None:
    delivery = make_delivery(alice)

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    with pytest.raises(TransportError) as caught:
        email.send(delivery)

    assert caught.value.permanent is is_permanent
    assert str(caught.value)


def test_it_counts_a_message_as_sent_when_only_the_goodbye_fails(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = make_delivery(alice)
    mail.outbox.clear()

    def fail(*_: Any) -> None:
        raise smtplib.SMTPResponseException(421, b"Closing")

    monkeypatch.setattr(EmailBackend, "close", fail)
    email.send(delivery)

    assert len(mail.outbox) == 1


def test_it_waits_no_longer_than_the_settings_say_for_a_silent_server(
    alice: User, settings: Any
) -> None:
    assert 0 < settings.EMAIL_TIMEOUT <= 10  # shorter than the claim on a delivery
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        settings.EMAIL_TIMEOUT = 0.05
        with pytest.raises(TransportError) as raised:
            email.send(make_delivery(alice, now=NOW))
    assert raised.value.permanent is False
