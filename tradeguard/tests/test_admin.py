"""Every page of the administration opens, shows no secret and costs the same for many rows."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import Group as RightsGroup
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.admin.bases import LedgerAdmin
from accounts.models import ApiKey, ApiKeyAuditLog, ConnectionLog, Tag, TerminalHost, User
from accounts.tests.factories import NOW, PASSWORD, SECRET, make_account, make_user, sign_in_staff
from accounts.tests.history_rows import make_deal, snapshot
from copytrade.core.kinds import EventKind
from copytrade.models import CopyRelationship
from copytrade.tests.factories import (
    make_batch,
    make_copy,
    make_event,
    make_position,
    make_relationship,
)
from groups.models import AccountGroup, Membership
from notifications.models import DeliverySettings, NotificationType, Preference
from notifications.tests.factories import make_channel, make_delivery
from risk.models import NewsCalendar, NewsEvent, RiskRule, RuleArming, RuleBreach, RuleState
from risk.tests.factories import (
    make_check,
    make_lock,
    make_order,
    make_preset,
    make_run,
    make_template,
)
from risk.tests.gate_rounds import note_round

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
LEDGERS = [model for model in MODELS if isinstance(admin.site._registry[model], LedgerAdmin)]
EDITED = [model for model in MODELS if model not in LEDGERS]


def label(model: type[models.Model]) -> str:
    return model._meta.label_lower


def page_of(model: type[models.Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def make_rows(number: int) -> None:
    """Make one row of every model that the administration knows."""
    owner = make_user(f"owner-{number}")
    account = make_account(owner, f"Alpha {number}", with_key=True, state="connected")
    TerminalHost.objects.create(name=f"host-{number}")
    RightsGroup.objects.create(name=f"Rights {number}")
    account.tags.add(Tag.objects.create(user=owner, name=f"tag-{number}"))
    group = AccountGroup.objects.create(user=owner, name=f"Group {number}")
    Membership.objects.create(group=group, account=account)
    rule = RiskRule.objects.create(
        user=owner, name=f"Rule {number}", rule_type=RiskRule.Type.POSITION_LIMIT, limit=5
    )
    rule.accounts.add(account)
    rule.groups.add(group)
    RuleState.objects.create(
        rule=rule,
        account=account,
        server=account.server,
        login=account.login,
        started_at=NOW,
        updated_at=NOW,
    )
    RuleBreach.objects.create(
        user_id=owner.pk,
        rule_id=uuid4(),
        account_id=uuid4(),
        rule_name=rule.name,
        rule_type=rule.rule_type,
        account_name=account.name,
        observed=6.0,
        limit=5.0,
        unit="positions",
        message=f"Alpha {number}: 6 positions of 5",
        latched_at=NOW,
    )
    RuleArming.objects.create(rule=rule, account=account, armed_at=NOW)
    make_preset(owner)
    make_template(owner)
    NewsEvent.objects.create(user=owner, at=NOW, currency="USD", importance="high", title="News")
    NewsCalendar.objects.create(
        user=owner, covers_from_at=NOW, covers_until_at=NOW, imported_at=NOW
    )
    order = make_order(account)
    make_check(order)
    note_round([order], ["1"])
    make_run(account)
    make_lock(account, unlocked_at=NOW)  # one that stands holds its account
    copying = make_relationship(account, make_account(owner, f"Alpha's follower {number}"))
    make_copy(copying, make_event(copying, EventKind.OPEN), sentence="Alpha")
    make_position(copying, state="closed")  # one that is held holds its account
    make_batch(age_seconds=1.0)
    ConnectionLog.objects.create(
        account_id=account.pk,
        user_id=owner.pk,
        account_name=account.name,
        from_state="connecting",
        to_state="connected",
        created_at=NOW,
    )
    credentials = {"url": "https://example.com/", "secret": SECRET}
    make_delivery(owner, channel=make_channel(owner, "webhook", credentials=credentials))
    Preference.objects.create(user=owner, type=NotificationType.CASCADE, transports=["email"])
    DeliverySettings.objects.create(user=owner)
    make_deal(account, ticket=number)
    snapshot(account, NOW).save()
    ApiKeyAuditLog.objects.create(
        key_id=uuid4(),
        key_name="A broker login",
        user_id=owner.pk,
        action=ApiKeyAuditLog.Action.CREATED,
        outcome=ApiKeyAuditLog.Outcome.ALLOWED,
        created_at=NOW,
    )


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


def open_page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, f"{url} answers {answer.status_code}"
    text = answer.content.decode()
    assert SECRET not in text
    assert PASSWORD not in text
    assert "encrypted&gt;" not in text
    return text


def test_it_administers_every_app() -> None:
    assert {model._meta.app_label for model in MODELS} == {
        "accounts",
        "auth",
        "copytrade",
        "groups",
        "notifications",
        "risk",
    }
    assert {model.__name__ for model in LEDGERS} == {
        "AccountLock",
        "ApiKeyAuditLog",
        "ConnectionLog",
        "CopyBatch",
        "CopyEvent",
        "CopyOrder",
        "CopyPosition",
        "Deal",
        "Delivery",
        "Enforcement",
        "EquitySnapshot",
        "GateCheck",
        "GateRound",
        "NewsCalendar",
        "NewsEvent",
        "Notification",
        "Order",
        "RuleArming",
        "RuleBreach",
        "RuleState",
    }


def test_it_opens_the_index(staff: Client) -> None:
    text = open_page(staff, reverse("admin:index"))

    for model in MODELS:
        assert page_of(model, "changelist") in text
        open_page(staff, reverse("admin:app_list", args=[model._meta.app_label]))


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_it_opens_every_page(staff: Client, model: type[models.Model]) -> None:
    make_rows(1)
    row = model._default_manager.order_by("pk").first()
    assert row is not None

    assert page_of(model, "change", row.pk) in open_page(staff, page_of(model, "changelist"))
    open_page(staff, page_of(model, "change", row.pk))
    open_page(staff, page_of(model, "history", row.pk))
    is_ledger = model in LEDGERS
    for page, args in (("add", []), ("delete", [row.pk])):
        answer = staff.get(page_of(model, page, *args))
        if is_ledger or (page == "delete" and model._meta.model_name == "apikey"):
            assert answer.status_code == 403
        else:
            open_page(staff, page_of(model, page, *args))


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_it_searches_filters_and_sorts(staff: Client, model: type[models.Model]) -> None:
    make_rows(1)
    model_admin: ModelAdmin[Any] = admin.site._registry[model]
    url = page_of(model, "changelist")

    assert model_admin.search_fields
    open_page(staff, f"{url}?q=alpha")
    for column in range(1, len(model_admin.list_display) + 1):
        open_page(staff, f"{url}?o={column}.-{column}")
    for choice in filter_choices(staff, url):
        open_page(staff, f"{url}{choice}")


def filter_choices(client: Client, url: str) -> set[str]:
    changelist = client.get(url).context["cl"]
    return {
        choice["query_string"]
        for spec in changelist.filter_specs
        for choice in spec.choices(changelist)
    }


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_it_asks_as_much_for_twenty_rows_as_for_two(
    staff: Client, model: type[models.Model]
) -> None:
    url = page_of(model, "changelist")
    for number in range(2):
        make_rows(number)
    with CaptureQueriesContext(connection) as few:
        open_page(staff, url)
    for number in range(2, 20):
        make_rows(number)
    with CaptureQueriesContext(connection) as many:
        open_page(staff, url)

    assert len(many) == len(few)


@pytest.mark.parametrize("model", LEDGERS, ids=label)
def test_it_lets_nobody_touch_a_ledger(staff: Client, model: type[models.Model]) -> None:
    make_rows(1)
    row = model._default_manager.get()
    before = model._default_manager.values().get()

    for page, args in (("add", []), ("change", [row.pk]), ("delete", [row.pk])):
        answer = staff.post(page_of(model, page, *args), {"post": "yes", "title": "x"})
        assert answer.status_code == 403
    staff.post(
        page_of(model, "changelist"),
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )

    assert model._default_manager.values().get() == before


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("model", MODELS, ids=label)
def test_it_refuses_whoever_is_not_staff(
    db: None, model: type[models.Model], signed_in: bool
) -> None:
    make_rows(1)
    client = Client()
    if signed_in:
        client.force_login(User.objects.get(username="owner-1"))
    row = model._default_manager.order_by("pk").first()
    assert row is not None

    for page, args in (
        ("changelist", []),
        ("add", []),
        ("change", [row.pk]),
        ("delete", [row.pk]),
        ("history", [row.pk]),
    ):
        answer = client.get(page_of(model, page, *args))
        assert answer.status_code == 302
        assert answer["Location"].split("?")[0] == reverse("admin:login")


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_it_refuses_staff_without_the_right(db: None, model: type[models.Model]) -> None:
    client = Client()
    sign_in_staff(client, make_user("clerk", is_staff=True))

    assert client.get(page_of(model, "changelist")).status_code == 403


# A key is revoked and a relationship ended; both stay, and have tests of their own.
STAYING = (ApiKey, CopyRelationship)


@pytest.mark.parametrize("model", [each for each in EDITED if each not in STAYING], ids=label)
def test_it_deletes_what_may_be_deleted(staff: Client, model: type[models.Model]) -> None:
    make_rows(1)
    row = {
        "connectedaccount": lambda: model._default_manager.get(name="Alpha 1"),
        "terminalhost": lambda: model._default_manager.get(pk="host-1"),
        "user": lambda: model._default_manager.get(username="owner-1"),
    }.get(str(model._meta.model_name), lambda: model._default_manager.get())()

    answer = staff.post(page_of(model, "delete", row.pk), {"post": "yes"})

    assert (answer.status_code, answer["Location"]) == (302, page_of(model, "changelist"))
    assert not model._default_manager.filter(pk=row.pk).exists()
