import smtplib
from dataclasses import replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from notifications.delivering.letters import Letter, LetterKind, Recipient
from notifications.delivering.transport import TransportError
from notifications.tests.transport_contract import make_digest, make_letter
from notifications.transports.email import TRANSPORT


@pytest.fixture(autouse=True)
def _public_url(settings: Any) -> None:
    settings.PUBLIC_URL = "https://desk.example.com/"


def send_one(letter: Letter) -> EmailMessage:
    """Send an e-mail and return what goes over the wire."""
    mail.outbox.clear()
    TRANSPORT.send(letter, {})
    [message] = mail.outbox
    parsed = BytesParser(policy=default).parsebytes(message.message().as_bytes())
    assert isinstance(parsed, EmailMessage)
    return parsed


def read_part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def to(address: str, *, zone: str = "UTC") -> Letter:
    return replace(make_letter(), recipient=Recipient("alice", address, zone))


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_it_says_what_happened_when_and_where_to_look(kind: str) -> None:
    message = send_one(make_letter())

    text = read_part(message, kind)
    assert message["To"] == "alice@example.com"
    assert message["Subject"] == "TradeGuard: Daily loss limit broken: Alpha 3"
    assert "Alpha 3 lost 5,012.40 USD of 5,000.00 today." in text
    assert "20 November 2026, 13:00:00 CET" in text
    assert "https://desk.example.com/accounts/3" in text
    assert "https://desk.example.com/notifications/preferences" in text
    assert "alice" in text


def test_it_shows_the_time_in_utc_when_the_zone_is_gone() -> None:
    message = send_one(to("alice@example.com", zone="Atlantis/Center"))

    assert "12:00:00 UTC" in read_part(message, "plain")


def test_it_offers_no_link_where_there_is_none() -> None:
    message = send_one(make_letter(url=""))

    assert "Open in TradeGuard" not in read_part(message, "html")
    assert "https://desk.example.com/accounts" not in read_part(message, "plain")


def test_it_escapes_names_in_html_alone() -> None:
    letter = make_letter(title="Lost: <b>A&B</b>", body="<script>alert(1)</script>")

    for one in (letter, replace(make_digest(2), items=letter.items * 2, title=letter.title)):
        message = send_one(one)
        assert "<script>" not in read_part(message, "html")
        assert "Lost: &lt;b&gt;A&amp;B&lt;/b&gt;" in read_part(message, "html")
        assert "Lost: <b>A&B</b>" in read_part(message, "plain")
        assert "<script>alert(1)</script>" in read_part(message, "plain")


def test_it_lets_no_name_add_a_header() -> None:
    letter = make_letter(title="Lost: Alpha\r\nBcc: eve@example.com")

    parsed = send_one(letter)

    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "TradeGuard: Lost: Alpha Bcc: eve@example.com"
    assert mail.outbox[0].recipients() == ["alice@example.com"]


@pytest.mark.parametrize("address", ["alice@example.com\nBcc: eve@example.com", ""])
def test_it_gives_up_on_an_address_that_cannot_be(address: str) -> None:
    mail.outbox.clear()

    with pytest.raises(TransportError) as caught:
        TRANSPORT.send(to(address), {})

    assert caught.value.permanent
    assert mail.outbox == []


def test_it_carries_the_same_id_when_it_is_sent_twice() -> None:
    ids = [send_one(make_letter())["Message-ID"] for _ in range(2)]

    assert ids == ["<6b1f3e9c-8a54-4d0b-9a2e-0c9c7f1d2e3a@desk.example.com>"] * 2


@pytest.mark.parametrize(("priority", "importance"), [("urgent", "high"), ("high", None)])
def test_it_marks_what_is_urgent(priority: str, importance: str | None) -> None:
    assert send_one(make_letter(priority=priority))["Importance"] == importance


def test_it_says_how_often_something_happened() -> None:
    letter = make_letter()
    message = send_one(replace(letter, items=(replace(letter.items[0], count=3),)))

    assert "3 times, first on 20 November 2026" in read_part(message, "plain")
    assert "3 times, first on 20 November 2026" in read_part(message, "html")


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (LetterKind.SINGLE, "Urgent"),
        (LetterKind.TEST, "Test"),
        (LetterKind.QUIET, "From your quiet hours"),
        (LetterKind.STORM, "Gathered, since many came at once"),
    ],
)
def test_it_says_why_it_comes(kind: LetterKind, label: str) -> None:
    html = read_part(send_one(replace(make_letter(), kind=kind)), "html")

    assert f">{label}</p>" in html


def test_it_looks_right_where_a_program_drops_the_style_and_where_it_is_dark() -> None:
    html = read_part(send_one(make_letter()), "html")

    head, body = html.split("</head>")
    assert "@media (prefers-color-scheme: dark)" in head
    assert 'content="light dark"' in head
    for name, style in (("card", "background-color: #ffffff"), ("title", "color: #13202c")):
        tag = body.split(f'class="{name}"')[1].split(">")[0]
        assert style in tag
    # Nothing is fetched: no picture tells a sender that its mail was read.
    assert "<img" not in html
    assert "url(" not in html


@pytest.mark.parametrize(
    ("error", "is_permanent"),
    [
        (smtplib.SMTPRecipientsRefused({"a@b": (550, b"No such mailbox")}), True),
        (smtplib.SMTPRecipientsRefused({"a@b": (450, b"Greylisted")}), False),
        (smtplib.SMTPRecipientsRefused({"a@b": (530, b"Sign in first")}), False),
        (smtplib.SMTPDataError(554, b"Refused"), True),
        (smtplib.SMTPDataError(451, b"Try again"), False),
        (smtplib.SMTPSenderRefused(499, b"Later", "x@y"), False),
        (smtplib.SMTPSenderRefused(550, b"Not your address", "x@y"), False),
        (smtplib.SMTPSenderRefused(552, b"Too large", "x@y"), True),
        (smtplib.SMTPAuthenticationError(535, b"Wrong password"), False),
        (smtplib.SMTPServerDisconnected("gone"), False),
        (smtplib.SMTPNotSupportedError("no SMTPUTF8"), True),
        (ConnectionRefusedError("refused"), False),
        (TimeoutError("silent"), False),
    ],
)
def test_it_knows_which_errors_pass(
    monkeypatch: pytest.MonkeyPatch, error: Exception, is_permanent: bool
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    with pytest.raises(TransportError) as caught:
        TRANSPORT.send(make_letter(), {})

    assert caught.value.permanent is is_permanent
    assert str(caught.value)


def test_it_counts_a_message_as_sent_when_only_the_goodbye_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mail.outbox.clear()

    def fail(*_: Any) -> None:
        raise smtplib.SMTPResponseException(421, b"Closing")

    monkeypatch.setattr(EmailBackend, "close", fail)
    TRANSPORT.send(make_letter(), {})

    assert len(mail.outbox) == 1


def test_it_gives_a_silent_server_less_time_than_a_claim_lasts(settings: Any) -> None:
    assert 0 < settings.EMAIL_TIMEOUT <= 10
