"""A real mail server for tests, which can also be rude."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Manners:
    """How the server answers; `arrived` is what it took, `raw` as it came over the wire."""

    rcpt: str = "250 OK"
    sender: str = "250 OK"
    data: str = "250 OK"
    noop: str = "250 OK"
    is_silent: bool = False  # takes the message and says nothing
    dies_in_data: bool = False
    closes_after_each: bool = False
    password: str = ""
    arrived: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.sender

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_NOOP(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, argument: str
    ) -> str:
        return self.noop

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        transport: Any = server.transport
        if self.dies_in_data:
            transport.abort()
            return ""
        if self.data.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            message = BytesParser(policy=default).parsebytes(content)
            assert isinstance(message, EmailMessage)
            self.arrived.append(message)
            self.raw.append(content)
        if self.is_silent:
            await asyncio.sleep(30)
        if self.closes_after_each:
            asyncio.get_running_loop().call_later(0.01, transport.abort)
        return self.data

    def sign_in(self, server: SMTP, *_: Any) -> AuthResult:
        given = _[-1]
        assert isinstance(given, LoginPassword)
        return AuthResult(success=given.password.decode() == self.password, handled=False)


class _Counting(Controller):
    def factory(self) -> SMTP:
        self.handler.connections += 1
        server: SMTP = super().factory()  # type: ignore[no-untyped-call]
        return server


@contextlib.contextmanager
def mail_server(settings: Any, manners: Manners) -> Iterator[Manners]:
    """Run a server and have Django send by it."""
    more: dict[str, Any] = {}
    if manners.password:
        more = {
            "authenticator": manners.sign_in,
            "auth_required": True,
            "auth_require_tls": False,
        }
    controller = _Counting(
        manners, hostname="127.0.0.1", port=_free_port(), server_hostname="localhost", **more
    )
    controller.start()
    # The controller itself connects once to see that it is there.
    manners.connections = 0
    manners.arrived.clear()
    use_server(settings, controller.port)
    try:
        yield manners
    finally:
        controller.stop()


def use_server(settings: Any, port: int) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
