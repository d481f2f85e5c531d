"""The API's routes as the URL conf has them, and a desk of rows to fill their addresses with."""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import (
    ConnectedAccount,
    ConnectionLog,
    Deal,
    EquitySnapshot,
    Tag,
    User,
)
from accounts.models.connection import ConnectionState
from accounts.tests.api_clients import API
from accounts.tests.factories import NOW, SECRET, make_account
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyRelationship
from copytrade.tests.factories import make_copy, make_event, make_position, make_relationship
from groups.models import AccountGroup
from groups.tests.factories import make_group
from notifications.models import Delivery, Notification, NotificationType, Preference
from notifications.tests.factories import make_channel
from risk.models import NewsEvent, RiskRule, RuleOverride
from risk.tests.factories import (
    make_breach,
    make_check,
    make_lock,
    make_order,
    make_preset,
    make_rule,
    make_run,
    make_template,
)


@dataclass(frozen=True)
class Route:
    name: str
    template: str  # a path with {pk} and the like in it
    methods: frozenset[str]

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.template)

    def address(self, desk: "Desk") -> str:
        kind = self.template.removeprefix(f"{API}/").split("/{")[0]
        return self.template.format(
            pk=desk.ids.get(kind, ""), account_id=desk.ids["accounts"], ticket=desk.ticket
        )

    def address_with(self, value: str) -> str:
        return self.template.format(**dict.fromkeys(self.parameters, value))


@dataclass
class Desk:
    """One row of everything, by the words of its address before the id."""

    account: ConnectedAccount
    group: AccountGroup
    rule: RiskRule
    ids: dict[str, object]
    ticket: int = 7
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def details(self) -> dict[str, str]:
        return {kind: f"{API}/{kind}/{pk}" for kind, pk in self.ids.items()}


def make_desk(user: User) -> Desk:
    account = make_account(user, "Alpha 1", with_key=True)
    make_history(account)
    group = make_group(user, "Desk", account)
    rule = make_rule(user, accounts=[account], groups=[group])
    breach = make_breach(rule, account)
    notification = Notification.objects.create(
        user=user,
        type=NotificationType.RISK_BREACH,
        title="Daily loss is violated",
        dedupe_key=str(breach.pk),
        created_at=breach.latched_at,
    )
    channel = make_channel(user, "webhook", name="Desk", credentials=make_webhook())
    Delivery.objects.create(notification=notification, channel=channel, transport="webhook")
    preference = Preference.objects.create(user=user, type=NotificationType.CASCADE)
    NewsEvent.objects.create(user=user, at=NOW, currency="USD", importance="high", title="Payrolls")
    RuleOverride.objects.create(rule=rule, account=account, limit="0.04")
    preset, template = make_preset(user), make_template(user)
    run, order = make_run(account), make_order(account)
    make_check(order)
    make_lock(account)
    relationship = make_copying(account)
    desk = Desk(
        account,
        group,
        rule,
        {
            "accounts": account.pk,
            "api-keys": account.api_key_id,
            "copy-relationships": relationship.pk,
            "copy-relationships/events": CopyEvent.objects.get(provider_id=account.pk).pk,
            "group-templates": template.pk,
            "groups": group.pk,
            "risk-rules": rule.pk,
            "risk-rules/breaches": breach.pk,
            "risk-rules/enforcements": run.pk,
            "risk-rules/presets": preset.pk,
            "notifications": notification.pk,
            "notifications/channels": channel.pk,
            "notifications/preferences": preference.pk,
        },
    )
    desk.bodies = {
        "accounts": {
            "name": "Beta",
            "broker": "Example Brokers",
            "server": "Example-Demo",
            "login": 123,
            "password": "secret",
            "currency": "USD",
            "initial_balance": "1000.00",
        },
        "copy-relationships": {
            "provider": str(account.pk),
            "follower": str(make_account(user, "Alpha 3", with_key=True).pk),
            "sizing": "multiplier",
            "multiplier": "2",
        },
        "groups": {"name": "Other", "accounts": [str(account.pk)]},
        "group-templates": {
            "name": "Desks",
            "tags": ["eval"],
            "rules": [{"name": "Size", "rule_type": "MAX_POSITION_SIZE", "limit": "2"}],
        },
        "notifications/channels": {
            "name": "Mine",
            "transport": "webhook",
            "credentials": {"url": "https://example.com/mine"},
        },
        "notifications/preferences": {"type": "order_filled", "mode": "off", "transports": []},
        "risk-rules": {"name": "Leverage", "rule_type": "MAX_DAILY_LOSS", "limit": "0.03"},
        "risk-rules/presets": {
            "name": "Mine",
            "rules": [{"name": "Size", "rule_type": "MAX_POSITION_SIZE", "limit": "2"}],
        },
    }
    return desk


def make_webhook() -> dict[str, str]:
    """Return what the channel of a webhook needs."""
    key = b64encode(SECRET.encode().ljust(32, b".")).decode()
    return {"url": "https://example.com/desk", "secret": f"whsec_{key}"}


def make_copying(provider: ConnectedAccount) -> CopyRelationship:
    """Give an account a follower of the same owner, an event and what became of it."""
    row = make_relationship(provider, make_account(provider.user, "Alpha 2", with_key=True))
    event = make_event(row, EventKind.OPEN, position_ticket=7, volume=1, direction="buy")
    make_copy(row, event, symbol="EURUSD", volume="0.23", filled_volume="0.23")
    make_position(row)
    return row


def make_history(account: ConnectedAccount) -> None:
    """Give an account a tag, a deal, a line of its equity and a change of its connection."""
    account.tags.add(Tag.objects.create(user=account.user, name="Eval"))
    ConnectionLog.objects.create(
        account_id=account.pk,
        user_id=account.user_id,
        account_name=account.name,
        from_state=ConnectionState.DISCONNECTED,
        to_state=ConnectionState.CONNECTING,
        created_at=NOW,
    )
    whose: dict[str, Any] = {"account": account, "server": account.server, "login": account.login}
    Deal.objects.create(
        **whose, ticket=1, order=1, position=1, time=NOW, time_msc=int(NOW.timestamp() * 1000),
        type=0, entry=0, reason=0, symbol="EURUSD", volume_lots="0.5", price=1.1, commission="-2",
        swap=0, profit=0, fee=0, magic=7,
    )  # fmt: skip
    for resolution in EquitySnapshot.Resolution:
        EquitySnapshot.objects.create(
            **whose, resolution=resolution, at=NOW, balance=1000, credit=0, equity=990,
            equity_low=980, equity_high=1000, margin=10, position_count=1, readings=3,
        )  # fmt: skip


@lru_cache(maxsize=1)
def api_routes() -> list[Route]:
    """Return every route below /api/v1, as the URL conf has it today."""
    found = {}
    for template, pattern in walk_routes(get_resolver().url_patterns, "/"):
        if template.startswith(f"{API}/"):
            route = Route(str(pattern.name), template, frozenset(_methods(pattern)))
            found[template] = route
    return list(found.values())


def walk_routes(
    patterns: Sequence[URLPattern | URLResolver], prefix: str
) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        template = prefix + _template(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from walk_routes(pattern.url_patterns, template)
        else:
            yield template, pattern


def _template(pattern: str) -> str:
    pattern = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", pattern)  # <uuid:pk>
    # (?P<pk>[^/.]+), whose name the line above has put into braces
    pattern = re.sub(r"\(\?P\{(\w+)\}(?:\[[^\]]*\]|\.)\+\)", r"{\1}", pattern)
    return pattern.removeprefix("^").removesuffix("$").removesuffix("\\Z")


def _methods(pattern: URLPattern) -> set[str]:
    view: Any = pattern.callback
    if hasattr(view, "actions"):
        return {method.upper() for method in view.actions if method != "head"}
    names = set(view.view_class.http_method_names) - {"head", "options"}
    return {name.upper() for name in names if hasattr(view.view_class, name)}
