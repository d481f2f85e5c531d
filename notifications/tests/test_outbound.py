"""Where requests may go, whatever a name says at this moment or the next."""

import datetime as dt
import ipaddress
import logging
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notifications.delivering import outbound
from notifications.delivering.addresses import is_public
from notifications.delivering.outbound import LONGEST_ANSWER, guarded_session, post
from notifications.delivering.transport import TransportError
from notifications.tests.http_receiver import (
    Handler,
    Receiver,
    answering,
    falling_silent,
    pouring,
    receiving,
)

PUBLIC = "93.184.216.34"
STREAM = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "8.8.8.8", "2606:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8",
     "64:ff9b::8.8.8.8", "2002:808:808::1"],
)  # fmt: skip
def test_it_takes_the_open_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255",  # noqa: S104
     "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1",
     "239.1.2.3", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0",
     "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1",
     "2002:7f00:1::1", "2002:a00:1::", "::127.0.0.1", "100::1", "", "example.com", "2130706433"],
)  # fmt: skip
def test_it_refuses_what_is_not_the_open_internet(address: str) -> None:
    assert not is_public(address)


def found(*addresses: str) -> list[Any]:
    """Return what a look-up of names answers with."""
    families = {4: socket.AF_INET, 6: socket.AF_INET6}
    return [
        (families[ipaddress.ip_address(address).version], *STREAM, (address, 443))
        for address in addresses
    ]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses that somebody tries to connect to; none of them answers."""
    tried: list[str] = []

    class Socket(socket.socket):
        def connect(self, address: Any) -> None:
            tried.append(address[0])
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "socket", Socket)
    return tried


def answers_of_names(monkeypatch: pytest.MonkeyPatch, *answers: list[Any]) -> list[str]:
    """Have look-ups answered so, one after the other; returns the names that were asked for."""
    asked: list[str] = []
    waiting = iter(answers)

    def look_up(host: str, *args: Any, **kwargs: Any) -> list[Any]:
        asked.append(host)
        return next(waiting)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def refusal(url: str = "https://hooks.example.com/x") -> TransportError:
    session = guarded_session(private_addresses=False)
    with session, pytest.raises(TransportError) as caught:
        post(session, url, b"{}", headers={}, whom="The receiver")
    return caught.value


def test_it_never_tries_a_private_address(
    monkeypatch: pytest.MonkeyPatch, tried: list[str]
) -> None:
    answers_of_names(monkeypatch, found("10.0.0.1", "::1"))
    error = refusal()
    assert tried == []
    assert error.permanent
    assert "private network" in str(error)


def test_it_tries_the_public_ones_of_a_mixed_answer(
    monkeypatch: pytest.MonkeyPatch, tried: list[str]
) -> None:
    answers_of_names(monkeypatch, found("127.0.0.1", PUBLIC, "::1", "2606:4700::1111"))
    error = refusal()
    assert tried == [PUBLIC, "2606:4700::1111"]
    assert not error.permanent


def test_it_connects_to_the_very_address_that_it_checked(
    monkeypatch: pytest.MonkeyPatch, tried: list[str]
) -> None:
    """A name that leads elsewhere at the second look is looked at once."""
    asked = answers_of_names(monkeypatch, found(PUBLIC), found("127.0.0.1"))
    refusal()
    assert asked == ["hooks.example.com"]
    assert tried == [PUBLIC]


def test_it_says_nothing_to_a_private_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever turned the connection round: the peer is looked at before anything is sent."""
    with receiving() as receiver:
        port = int(receiver.url.rpartition(":")[2])

        class Socket(socket.socket):
            def connect(self, address: Any) -> None:
                super().connect(("127.0.0.1", port))

        monkeypatch.setattr(socket, "socket", Socket)
        answers_of_names(monkeypatch, found(PUBLIC))
        error = refusal()
    assert error.permanent
    assert receiver.requests == []


def test_it_tries_only_a_few_of_many_addresses(
    monkeypatch: pytest.MonkeyPatch, tried: list[str]
) -> None:
    answers_of_names(monkeypatch, found(*[f"93.184.216.{number}" for number in range(50)]))
    refusal()
    assert len(tried) == 3


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_odd_spellings_of_this_machine_lead_nowhere(host: str) -> None:
    assert refusal(f"https://{host}/").permanent


def test_a_name_that_is_not_known_may_be_known_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> list[Any]:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert not refusal().permanent


def test_a_name_that_cannot_be_looked_up_is_no_crash() -> None:
    assert "name" in str(refusal(f"https://{'x' * 64}.example/"))


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with guarded_session(private_addresses=True) as session:
            session.post(receiver.url, data=b"x")
    assert proxy.requests == []
    assert len(receiver.requests) == 1


def test_no_more_than_a_little_of_an_answer_is_read() -> None:
    with receiving(pouring) as receiver, guarded_session(private_addresses=True) as session:
        answer = session.post(receiver.url, data=b"x")
    assert len(answer.content) == LONGEST_ANSWER


def test_a_packed_answer_stays_packed() -> None:
    bomb = answering(200, {"Content-Encoding": "gzip"}, b"not gzip at all")
    with receiving(bomb) as receiver, guarded_session(private_addresses=True) as session:
        answer = session.post(receiver.url, data=b"x")
    assert answer.content == b"not gzip at all"
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


def test_a_cookie_of_one_receiver_goes_to_no_other() -> None:
    sets = answering(200, {"Set-Cookie": "a=b; Path=/"})
    with receiving(sets) as receiver, guarded_session(private_addresses=True) as session:
        for _ in range(2):
            session.post(receiver.url, data=b"x")
    assert "cookie" not in receiver.requests[1].headers


def test_no_address_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving() as receiver, guarded_session(private_addresses=True) as session:
        session.post(f"{receiver.url}/very-s3cret", data=b"x")
    assert "very-s3cret" not in caplog.text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "receiver.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def secure(tls: ssl.SSLContext) -> Iterator[Receiver]:
    with receiving(tls=tls) as receiver:
        yield receiver


def test_it_speaks_tls(secure: Receiver, certificate: Path) -> None:
    with guarded_session(private_addresses=True) as session:
        session.verify = str(certificate)
        for _ in range(2):
            assert session.post(f"{secure.url}/x", data=b"x").status_code == 204
    assert len({request.connection for request in secure.requests}) == 1


def test_it_tells_nothing_to_whom_nobody_vouches_for(secure: Receiver) -> None:
    session = guarded_session(private_addresses=True)
    with session, pytest.raises(TransportError, match="certificate") as caught:
        post(session, secure.url, b"{}", headers={}, whom="The receiver")
    assert not caught.value.permanent
    assert secure.requests == []


def test_the_deadline_holds_with_tls(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "WHOLE_SECONDS", 0.3)
    session = guarded_session(private_addresses=True)
    session.verify = str(certificate)
    with receiving(falling_silent, tls=tls) as receiver, session, pytest.raises(requests.Timeout):
        session.post(receiver.url, data=b"x")


def test_an_answer_drop_by_drop_holds_a_sender_little_longer_than_silence() -> None:
    """Two senders serve all webhooks: who keeps them busy keeps everybody's waiting."""
    assert outbound.SILENCE_SECONDS < outbound.WHOLE_SECONDS <= outbound.SILENCE_SECONDS + 2


def test_a_connection_outside_of_a_request_is_refused() -> None:
    """Nobody gets round the guard by a pool of the session."""
    with guarded_session(private_addresses=True) as session, receiving() as receiver:
        pool: Any = session.get_adapter(receiver.url).poolmanager  # type: ignore[attr-defined]
        with pytest.raises(LookupError):
            pool.request("GET", receiver.url)
    assert receiver.requests == []


def test_an_answer_that_makes_no_sense_tells_the_log_no_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def reply(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 0\r\n\r\n")
        handler.close_connection = True

    with guarded_session(private_addresses=True) as session, receiving(reply) as receiver:
        post(session, f"{receiver.url}/secret", b"{}", headers={}, whom="The receiver")

    assert [request.path for request in receiver.requests] == ["/secret"]
    assert "secret" not in caplog.text
