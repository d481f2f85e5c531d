"""Mails of the sign-in, sent beside the request that causes them.

A page answers at once and alike, whether there is anybody to write to and whether the mail server
answers: neither the time it takes nor an error tells who has an account here.
"""

import logging
from concurrent.futures import ThreadPoolExecutor

from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)
_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


def send_soon(message: EmailMessage) -> None:
    _executor.submit(_send, message)


def wait_until_sent() -> None:
    """Return when all mails handed over so far have left or failed."""
    _executor.submit(lambda: None).result()


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except Exception:
        # The subject says what it was; what is inside stays unsaid.
        logger.exception("The mail “%s” could not be sent.", message.subject)
