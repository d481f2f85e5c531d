"""Coming in, step by step, as a browser or a program does."""

import re
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.core import mail
from django.test import Client

from accounts.mailing import wait_until_sent
from accounts.models import User
from accounts.tests.api_clients import Client as Program
from accounts.tests.api_clients import client_of
from accounts.tests.factories import PASSWORD, TOTP_SECRET

STEP_SECONDS = 30


def code_at(seconds: float, secret: str = TOTP_SECRET) -> str:
    """Return what an authenticator app shows at this moment (seconds since 1970)."""
    return str(format_hotp_value(hotp_value(secret, int(seconds) // STEP_SECONDS)))


def protect(user: User) -> list[str]:
    """Give a user a second factor, TOTP_SECRET; return the recovery codes."""
    TOTP.activate(user, TOTP_SECRET)
    codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    return codes


def factors_of(user: User) -> list[str]:
    rows = Authenticator.objects.filter(user_id=user.pk)
    return sorted(rows.values_list("type", flat=True))


def sign_in(client: Client, name: str = "alice", password: str = PASSWORD, **more: str) -> Any:
    return client.post("/login", {"username": name, "password": password, **more})


def is_signed_in(client: Client) -> bool:
    return bool(client.get("/settings").status_code == 200)


def ask_for_token(name: str = "alice", password: str = PASSWORD, **more: str) -> Any:
    return client_of(None).ask(
        "POST", "auth/token", {"username": name, "password": password, **more}
    )


def program_with(access: str) -> Program:
    program = client_of(None)
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return program


def sent_mails() -> list[mail.EmailMessage]:
    wait_until_sent()
    return list(mail.outbox)


def link_in(message: mail.EmailMessage) -> str:
    """Return the path of the one link of its kind in a mail."""
    found = re.search(r"^https?://[^/]+(/\S+)$", str(message.body), re.M)
    assert found, message.body
    return found[1]
