"""Notifications by e-mail, through Django's mail back-end."""

import contextlib
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from email.header import Header
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from notifications.delivering.letters import Letter
from notifications.delivering.mail_text import render
from notifications.delivering.transport import Credentials, Send, Transport, TransportError

# RFC 4954 and RFC 3207: who we are, or how we came, does not please the server.
_SIGN_IN_CODES = frozenset({454, 530, 534, 535, 538})
TOO_LARGE = 552


class EmailTransport(Transport):
    name = "email"
    label = "E-mail"
    icon = "mail"
    about = "To your own address."
    after_a_crash = (
        "It may arrive twice: mail has no way to ask whether a message arrived. Both carry the "
        "same Message-ID, by which many mail programs show it once."
    )
    order = 10

    def hint(self, credentials: Credentials) -> str:  # noqa: ARG002  # the address is the user's
        return ""

    def send(self, letter: Letter, credentials: Credentials) -> None:
        """Send a letter to its user's address; raise TransportError when it was not accepted."""
        with self.opened() as send:
            send(letter, credentials)

    @contextmanager
    def opened(self) -> Iterator[Send]:
        """Give a `send` whose letters go over one connection, as long as the server keeps it."""
        line = _Line()
        try:
            yield line.send
        finally:
            line.close()


TRANSPORT = EmailTransport()


class _Mail(EmailMultiAlternatives):
    def message(self, **options: Any) -> Any:
        message = super().message(**options)
        title = str(self.subject)
        if not title.isascii():
            # Django encodes it without leaving room for "Subject: ", so that it would begin on the
            # next line, and with a space for whoever reads it.
            subject = Header(title, "utf-8", header_name="Subject")
            message.replace_header("Subject", subject)
        return message


class _Line:
    """A connection to the mail server, opened when a letter needs it."""

    def __init__(self) -> None:
        self._connection: Any = None

    def send(self, letter: Letter, credentials: Credentials) -> None:  # noqa: ARG002
        if not letter.recipient.email:
            raise TransportError("The user has no e-mail address.", permanent=True)
        message = _build_message(letter)
        error = self._open() or self._send(message)
        if error is not None:
            # Whatever state the conversation is in: the next letter starts a new one.
            self.close()
            raise error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # A goodbye that fails after a message was taken must not look like one to retry.
            with contextlib.suppress(OSError):
                connection.close()

    def _open(self) -> TransportError | None:
        """Have a connection; what goes wrong before a message is no message's fault."""
        if self._connection is not None and not _is_alive(self._connection):
            self.close()
        if self._connection is not None:
            return None
        self._connection = get_connection()
        try:
            self._connection.open()
        except (OSError, ValueError) as error:
            return TransportError(_sentence(error), permanent=False)
        return None

    def _send(self, message: EmailMultiAlternatives) -> TransportError | None:
        message.connection = self._connection
        try:
            message.send()
        except (OSError, ValueError) as error:
            # What a server says of one mailbox says nothing of the others.
            is_about_it = isinstance(error, smtplib.SMTPRecipientsRefused)
            return TransportError(
                _sentence(error), permanent=_is_permanent(error), was_answered=is_about_it
            )
        return None


def _is_alive(connection: Any) -> bool:
    """Whether a server still listens that may have closed the connection since the last letter."""
    smtp = getattr(connection, "connection", None)
    if not isinstance(smtp, smtplib.SMTP):
        return True
    try:
        code, _ = smtp.noop()
    except OSError:
        return False
    return code == 250


def _is_permanent(error: Exception) -> bool:
    """Whether no later attempt can change the answer; what is our own set-up, somebody can."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return all(
                code >= 500 and code not in _SIGN_IN_CODES and not _is_policy(text)
                for code, text in error.recipients.values()
            )
        case smtplib.SMTPSenderRefused():
            return error.smtp_code == TOO_LARGE
        case smtplib.SMTPResponseException():
            return error.smtp_code >= 500 and error.smtp_code not in _SIGN_IN_CODES
        case smtplib.SMTPNotSupportedError() | ValueError():
            return True
    return False


def _is_policy(text: bytes | str) -> bool:
    """Whether a refusal is about us rather than the mailbox, such as "relay access denied".

    RFC 3463, 3.8: security or policy status. Were it for good, one wrong line in the set-up would
    switch everybody's e-mail off.
    """
    return _words(text).startswith("5.7.")


def _build_message(letter: Letter) -> EmailMultiAlternatives:
    text, html = render(letter)
    headers = {
        # The same id every time: when a message goes out twice, mail programs can show it once.
        "Message-ID": f"<{letter.id}@{_host_name()}>",
        # No holiday greeting answers to it (RFC 3834).
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if letter.priority == "urgent":
        headers["Importance"] = "high"
    message = _Mail(
        subject=f"TradeGuard: {' '.join(letter.title.split())}",
        body=text,
        to=[letter.recipient.email],
        headers=headers,
    )
    message.attach_alternative(html, "text/html")
    return message


def _host_name() -> str:
    return urlsplit(settings.PUBLIC_URL).hostname or "localhost"


def _sentence(error: Exception) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused():
            [(code, text), *_] = error.recipients.values()
            return f"The mail server said {code}: {_words(text)}"
        case smtplib.SMTPAuthenticationError():
            # Its words may quote what it was given.
            return f"The mail server refused to let TradeGuard sign in ({error.smtp_code})."
        case smtplib.SMTPResponseException():
            return f"The mail server said {error.smtp_code}: {_words(error.smtp_error)}"
        case smtplib.SMTPServerDisconnected():
            return "The mail server broke the connection off."
        case TimeoutError():
            return "The mail server did not answer in time."
        case smtplib.SMTPException() | ValueError():
            return f"{type(error).__name__}: {_words(str(error))}"
    reason = error.strerror if isinstance(error, OSError) else None
    return f"The mail server could not be reached: {_words(reason or type(error).__name__)}"


def _words(text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return " ".join(words.split())[:200]
