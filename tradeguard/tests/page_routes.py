"""The pages as the URL conf has them: whatever is not named here is private."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.urls import get_resolver

from accounts.models import ProgramSession, User
from accounts.tests.factories import NOW
from risk.models import Order
from tradeguard.tests.api_routes import Desk, walk_routes

# Pages for anybody; None is the icon.
PUBLIC: set[str | None] = {
    None, "home", "login", "logout", "register", "health", "health-ready", "metrics", "schema",
    "docs", "redoc", "account_login", "account_logout", "account_signup", "mfa_authenticate",
    "account_inactive", "account_email_verification_sent", "account_confirm_email",
    "account_reset_password", "account_reset_password_done",
    "account_reset_password_from_key", "account_reset_password_from_key_done", "service-worker",
}  # fmt: skip
# There is nothing to switch off, or to show, before a second factor is set up.
NEEDS_SECOND_FACTOR = {"mfa_deactivate_totp", "mfa_view_recovery_codes"}


@dataclass(frozen=True)
class Page:
    name: str | None
    template: str  # a path with {account_id} and the like in it

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.template)

    @property
    def is_public(self) -> bool:
        return self.name in PUBLIC

    @property
    def is_a_way_in(self) -> bool:
        """Tell whether it is one of django-allauth's forms, which take a PUT for a POST."""
        return self.is_public or str(self.name).startswith(("account_", "mfa_"))

    def address(self, desk: Desk) -> str:
        """Return the page of this desk's row; a parameter that no row fills is an error."""
        return self.template.format(**{name: self._value(name, desk) for name in self.parameters})

    def address_of_nothing(self, desk: Desk) -> str:
        values = {
            name: 987_654_321 if isinstance(self._value(name, desk), int) else uuid4()
            for name in self.parameters
        }
        return self.template.format(**values)

    def _value(self, parameter: str, desk: Desk) -> object:
        if parameter == "row_id":
            return desk.ids[str(self.name)]
        if parameter == "order_id":
            return Order.objects.get(account_id=desk.account.pk).pk
        return {
            "account_id": desk.ids["accounts"],
            "group_id": desk.ids["groups"],
            "rule_id": desk.ids["risk-rules"],
            "notification_id": desk.ids["notifications"],
            "key_id": desk.ids["api-keys"],
            "channel_id": desk.ids["notifications/channels"],
            "transport": "webhook",  # of the channel above; nobody else has one
            "ticket": desk.ticket,
            "breach_id": desk.ids["risk-rules/breaches"],
            "preset_key": desk.ids["risk-rules/presets"],
            "preset_id": desk.ids["risk-rules/presets"],
            "template_id": desk.ids["group-templates"],
            "relationship_id": desk.ids["copy-relationships"],
            "event_id": desk.ids["copy-relationships/events"],
            "change": "pause",
            "key": "no-such-key",
            "uidb36": "1",
        }[parameter]


@lru_cache(maxsize=1)
def pages() -> list[Page]:
    """Return every page outside of the API and the administration."""
    found: dict[str, Page] = {}
    for template, pattern in walk_routes(get_resolver().url_patterns, "/"):
        if not template.startswith(("/api/v1/", "/admin/")):
            found.setdefault(template, Page(pattern.name, template))
    return list(found.values())


def add_sign_ins(desk: Desk, user: User) -> None:
    """Let the user be signed in elsewhere, too: with a program and with a browser."""
    program = ProgramSession.objects.create(
        user=user, refresh_hash="0" * 64, created_at=NOW, last_used_at=NOW, expires_at=NOW
    )
    desk.ids["program-end"] = program.pk
    if apps.is_installed("allauth.usersessions"):
        sessions: Any = apps.get_app_config("usersessions")
        model = sessions.get_model("UserSession")
        browser = model.objects.create(
            user=user, session_key=uuid4().hex, ip="127.0.0.1", user_agent="A browser"
        )
        desk.ids["browser-end"] = browser.pk
