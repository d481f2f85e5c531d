"""E-mail against a real server: it accepts, refuses, wants a password, falls silent, and dies."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from notifications.delivering.letters import Recipient
from notifications.delivering.transport import TransportError
from notifications.tests.mail_server import Manners, mail_server, use_server
from notifications.tests.transport_contract import (
    Behaviour,
    TransportContract,
    make_digest,
    make_letter,
)
from notifications.transports.email import TRANSPORT

# The password goes in the clear here, over the loop-back.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

PASSWORD = "open-sesame-4711"


@pytest.fixture(autouse=True)
def _own_settings(settings: Any) -> None:
    settings.PUBLIC_URL = "https://desk.example.com/"
    settings.EMAIL_TIMEOUT = 5
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""


class TestEmailContract(TransportContract):
    name = "email"
    credentials: ClassVar[Mapping[str, str]] = {}
    secrets = (PASSWORD,)
    garbage: ClassVar[Mapping[str, str]] = {}
    behaviours = frozenset(Behaviour) - {Behaviour.IS_GONE}
    settings: Any

    @pytest.fixture(autouse=True)
    def _sign_in(self, settings: Any) -> None:
        self.settings = settings
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD

    @contextmanager
    def other_side(self, behaviour: Behaviour) -> Iterator[list[Any]]:
        manners = Manners(password=PASSWORD)
        if behaviour is Behaviour.IS_BUSY:
            manners.rcpt = "451 4.7.1 Greylisted, come again"
        elif behaviour is Behaviour.REFUSES:
            manners.rcpt = "550 5.1.1 No such mailbox"
        elif behaviour is Behaviour.IS_SILENT:
            manners.is_silent = True
            self.settings.EMAIL_TIMEOUT = 0.2
        with mail_server(self.settings, manners):
            if behaviour is Behaviour.IS_AWAY:
                with socket.create_server(("127.0.0.1", 0)) as closed:
                    port = closed.getsockname()[1]
                use_server(self.settings, port)
            yield manners.arrived


def fail(settings: Any, **manners: Any) -> TransportError:
    with mail_server(settings, Manners(**manners)) as server:
        with pytest.raises(TransportError) as caught:
            TRANSPORT.send(make_letter(), {})
        assert server.arrived == []
    return caught.value


def test_it_brings_text_and_html(settings: Any) -> None:
    with mail_server(settings, Manners()) as server:
        TRANSPORT.send(make_letter(), {})

    [message] = server.arrived
    assert message["To"] == "alice@example.com"
    assert message["Subject"] == "TradeGuard: Daily loss limit broken: Alpha 3"
    assert message["Message-ID"] == "<6b1f3e9c-8a54-4d0b-9a2e-0c9c7f1d2e3a@desk.example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    "title",
    [
        "Bold",
        "“Bold” is switched off: it said “not found”",
        "Žluťoučký kůň " + "“ďábelské ódy” " * 9 + "–",
        "Daily loss limit broken " * 6 + "again",
        "Rozpočet " + "ř" * 150,
        "Result −114.54 USD 🐎",
    ],
    ids=["short", "quotes", "long", "ascii", "a word", "beyond"],
)
def test_its_subject_is_the_title_on_the_first_line(settings: Any, title: str) -> None:
    with mail_server(settings, Manners()) as server:
        TRANSPORT.send(make_letter(title=title), {})

    [message], [raw] = server.arrived, server.raw
    assert message["Subject"] == f"TradeGuard: {title}"
    assert not message["Subject"].defects
    head = raw.split(b"\r\n\r\n")[0]
    [first] = [line for line in head.split(b"\r\n") if line.startswith(b"Subject:")]
    assert first.removeprefix(b"Subject:").strip()
    assert all(len(line) <= 78 for line in head.split(b"\r\n"))


def test_it_brings_a_batch_over_one_connection(settings: Any) -> None:
    with mail_server(settings, Manners()) as server, TRANSPORT.opened() as send:
        for name in ("alice", "bob", "charlie"):
            to = Recipient(name, f"{name}@example.com", "UTC")
            send(replace(make_letter(), recipient=to), {})

    assert [message["To"].split("@")[0] for message in server.arrived] == [
        "alice",
        "bob",
        "charlie",
    ]
    assert server.connections == 1


def test_it_opens_no_connection_before_there_is_a_letter(settings: Any) -> None:
    with mail_server(settings, Manners()) as server, TRANSPORT.opened():
        pass

    assert server.connections == 0


def test_it_connects_again_when_the_server_closed_a_kept_connection(settings: Any) -> None:
    manners = Manners(closes_after_each=True)
    with mail_server(settings, manners) as server, TRANSPORT.opened() as send:
        for number in range(3):
            send(make_letter(title=f"Notice {number}"), {})
            time.sleep(0.05)

    titles = [message["Subject"] for message in server.arrived]
    assert titles == [f"TradeGuard: Notice {number}" for number in range(3)]
    assert server.connections == 3


def test_it_connects_again_when_a_kept_connection_says_goodbye(settings: Any) -> None:
    manners = Manners(noop="421 4.4.2 Idle for too long")
    with mail_server(settings, manners) as server, TRANSPORT.opened() as send:
        send(make_letter(), {})
        send(make_letter(), {})

    assert (len(server.arrived), server.connections) == (2, 2)


def test_it_goes_on_after_a_letter_that_was_refused(settings: Any) -> None:
    manners = Manners(data="554 5.7.1 Looks like spam")
    with mail_server(settings, manners) as server, TRANSPORT.opened() as send:
        with pytest.raises(TransportError):
            send(make_letter(), {})
        server.data = "250 OK"
        send(make_letter(), {})

    assert len(server.arrived) == 1


@pytest.mark.parametrize(
    ("manners", "permanent", "words"),
    [
        ({"rcpt": "550 5.1.1 No such mailbox"}, True, "said 550: 5.1.1 No such mailbox"),
        ({"rcpt": "450 4.2.0 Greylisted"}, False, "said 450"),
        ({"rcpt": "554 5.7.1 Relay access denied"}, False, "said 554: 5.7.1 Relay access"),
        ({"data": "554 5.7.1 Looks like spam"}, True, "said 554"),
        ({"data": "452 4.3.1 Disk full"}, False, "said 452"),
        ({"data": "552 5.3.4 Too large"}, True, "said 552"),
        ({"sender": "451 4.3.0 Later"}, False, "said 451"),
        # What we call ourselves is our own set-up, which can be put right.
        ({"sender": "553 5.7.1 Not your address"}, False, "said 553"),
        ({"sender": "552 5.3.4 Too large"}, True, "said 552"),
        ({"dies_in_data": True}, False, "broke the connection off"),
    ],
)
def test_it_knows_which_refusals_pass(
    settings: Any, manners: dict[str, Any], permanent: bool, words: str
) -> None:
    error = fail(settings, **manners)

    assert error.permanent is permanent
    assert words in str(error)


def test_what_it_says_of_one_mailbox_is_no_silence(settings: Any) -> None:
    assert fail(settings, rcpt="450 4.2.0 Greylisted").was_answered
    assert not fail(settings, sender="451 4.3.0 Later").was_answered


def test_it_signs_in(settings: Any) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD

    with mail_server(settings, Manners(password=PASSWORD)) as server:
        TRANSPORT.send(make_letter(), {})

    assert len(server.arrived) == 1


@pytest.mark.parametrize(("given", "code"), [("wrong", "535"), ("", "530")])
def test_it_waits_for_a_password_that_is_put_right(settings: Any, given: str, code: str) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = ("desk" if given else ""), given

    error = fail(settings, password=PASSWORD)

    assert error.permanent is False
    assert code in str(error)
    assert "wrong" not in str(error)


def test_it_waits_for_a_server_that_speaks_no_tls(settings: Any) -> None:
    with mail_server(settings, Manners()) as server:
        settings.EMAIL_USE_TLS = True
        with pytest.raises(TransportError) as caught:
            TRANSPORT.send(make_letter(), {})

    assert caught.value.permanent is False
    assert server.arrived == []


@pytest.mark.parametrize("greeting", [b"", b"554 No service here\r\n", b"421 Busy\r\n"])
def test_it_waits_for_a_server_that_does_not_greet(settings: Any, greeting: bytes) -> None:
    settings.EMAIL_TIMEOUT = 0.2
    with socket.create_server(("127.0.0.1", 0)) as listening:
        use_server(settings, listening.getsockname()[1])
        listening.settimeout(5)
        error = _send_to(listening, greeting)
    assert error.permanent is False


def _send_to(listening: socket.socket, greeting: bytes) -> TransportError:
    kept: list[socket.socket] = []

    def greet() -> None:
        client, _ = listening.accept()
        client.sendall(greeting)
        kept.append(client)

    greeter = threading.Thread(target=greet)
    greeter.start()
    try:
        with pytest.raises(TransportError) as caught:
            TRANSPORT.send(make_letter(), {})
    finally:
        greeter.join(5)
        for client in kept:
            client.close()
    return caught.value


def test_it_brings_a_digest_with_all_that_is_listed(settings: Any) -> None:
    with mail_server(settings, Manners()) as server:
        TRANSPORT.send(make_digest(10_000), {})

    [message] = server.arrived
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        text = part.get_content()
        assert "Notice 20" in text
        assert "Notice 21" not in text
        assert "And 9,980 more" in text
        assert "https://desk.example.com/accounts/20" in text
        assert "https://desk.example.com/notifications" in text
