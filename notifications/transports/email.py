"""Notifications by e-mail, through Django's mail back-end."""

import contextlib
import smtplib
import zoneinfo
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.template.loader import render_to_string
from django.utils import timezone

from notifications.delivering.letters import Letter
from notifications.delivering.transport import Credentials, Transport, TransportError


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

    def send(self, letter: Letter, credentials: Credentials) -> None:  # noqa: ARG002
        """Send a letter to its user's address; raise TransportError when it was not accepted."""
        try:
            _send(_build_message(letter))
        except smtplib.SMTPAuthenticationError as error:
            # That is our own set-up; once it is put right, the message can go.
            raise TransportError(_sentence(error), permanent=False) from error
        except smtplib.SMTPResponseException as error:
            raise TransportError(_sentence(error), permanent=error.smtp_code >= 500) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise TransportError(_sentence(error), permanent=min(codes) >= 500) from error
        except smtplib.SMTPNotSupportedError as error:
            raise TransportError(_sentence(error), permanent=True) from error
        except OSError as error:
            raise TransportError(_sentence(error), permanent=False) from error
        except ValueError as error:
            raise TransportError(_sentence(error), permanent=True) from error


TRANSPORT = EmailTransport()


def _send(message: EmailMultiAlternatives) -> None:
    connection = get_connection()
    message.connection = connection
    connection.open()
    try:
        message.send()
    finally:
        # A goodbye that fails after the message was taken must not look like a message to retry.
        with contextlib.suppress(OSError):
            connection.close()


def _build_message(letter: Letter) -> EmailMultiAlternatives:
    context = {
        "letter": letter,
        "settings_url": f"{settings.PUBLIC_URL.rstrip('/')}/notifications/preferences",
    }
    # Templates show times in the zone that is active.
    with timezone.override(_zone(letter.recipient.time_zone)):
        text = render_to_string("notifications/email/message.txt", context)
        html = render_to_string("notifications/email/message.html", context)
    message = EmailMultiAlternatives(
        subject=f"TradeGuard: {' '.join(letter.title.split())}",
        body=text,
        to=[letter.recipient.email],
        # The same id every time: when a message goes out twice, mail programs can show it once.
        headers={"Message-ID": f"<{letter.id}@{_host_name()}>"},
    )
    message.attach_alternative(html, "text/html")
    return message


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


def _host_name() -> str:
    return urlsplit(settings.PUBLIC_URL).hostname or "localhost"


def _sentence(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        words = text.decode(errors="replace") if isinstance(text, bytes) else text
        return f"The mail server said {error.smtp_code}: {words}"
    return f"{type(error).__name__}: {error}"
