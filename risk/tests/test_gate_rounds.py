"""Who looks at an order reads of its checks the same, whether they are rows or kept in a round."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import ConnectedAccount
from accounts.tests.admin_pages import admin_url
from accounts.tests.api_clients import client_of
from accounts.tests.factories import NOW, make_account, make_user, sign_in_staff
from risk.gate.rounds import ledger_rows
from risk.models import GateCheck, GateRound, Order
from risk.selectors import checks_of
from risk.tests.factories import make_check, make_order
from risk.tests.gate_cases import account_row, book_of, intent, one
from risk.tests.gate_rounds import RULES, note_round

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ConnectedAccount:
    return make_account(make_user("alice"), "Alpha 1")


def told(checks: list[GateCheck]) -> list[dict[str, object]]:
    names = [field.attname for field in GateCheck._meta.concrete_fields]
    left_out = {"id", "rule_id"}
    return [{name: getattr(one, name) for name in names if name not in left_out} for one in checks]


def test_a_round_says_of_each_order_what_its_rows_would_say(account: ConnectedAccount) -> None:
    volumes = ["1", "1.5", "3"]
    orders = [make_order(account) for _ in volumes]
    note_round(orders, volumes)
    shown = checks_of(orders)
    for order, volume in zip(orders, volumes, strict=True):
        book = book_of(RULES, account=[account_row()])
        decision = one(book, intent(volume, order_id=order.pk))
        assert told(shown[order.pk]) == told(ledger_rows(order.pk, decision.checks, NOW))
    assert [row.verdict for row in shown[orders[2].pk]].count("block") == 1


def test_an_order_finds_its_round_by_moment_and_id(account: ConnectedAccount) -> None:
    first, second, third, other = (make_order(account) for _ in range(4))
    note_round([first], ["1"])
    note_round([second], ["1.25"])
    note_round([third], ["1.75"], NOW + timedelta(microseconds=1))
    shown = checks_of([first, second, third, other])
    assert other.pk not in shown
    lots = {pk: checks[8].value for pk, checks in shown.items()}
    assert lots == {first.pk: 1.0, second.pk: 1.25, third.pk: 1.75}


def test_the_later_of_two_rounds_counts_and_rows_of_its_own_before_both(
    account: ConnectedAccount,
) -> None:
    order = make_order(account)
    note_round([order], ["1"])
    note_round([order], ["1.5"])
    assert checks_of([order])[order.pk][8].value == 1.5
    row = make_check(order)
    assert checks_of([order]) == {order.pk: [row]}


def test_many_orders_take_three_queries(
    account: ConnectedAccount, django_assert_num_queries: object
) -> None:
    orders = [make_order(account) for _ in range(130)]
    rows = note_round(orders, ["1"] * len(orders))
    assert [row.order_count for row in rows] == [100, 30]
    with django_assert_num_queries(3):  # type: ignore[operator]  # a fixture without a type
        shown = checks_of(orders)
    assert {len(checks) for checks in shown.values()} == {13}


def test_what_cannot_be_read_leaves_an_order_without_checks(
    account: ConnectedAccount, caplog: pytest.LogCaptureFixture
) -> None:
    order = make_order(account)
    note_round([order], ["1"])
    GateRound.objects.update(payload=b"of another version")
    assert checks_of([order]) == {order.pk: []}
    assert "cannot be read" in caplog.text


@pytest.fixture
def copied(account: ConnectedAccount) -> Order:
    order = make_order(account, origin=Order.Origin.COPY, requested_volume=Decimal(3))
    note_round([order], ["3"])
    return order


SENTENCE = "3 of 2 lots of EURUSD would be bought, pending orders included"


def test_the_page_of_an_order_shows_them(account: ConnectedAccount, copied: Order) -> None:
    client = Client()
    client.force_login(account.user)
    page = client.get(f"/accounts/{account.pk}/orders/{copied.pk}").content.decode()
    assert SENTENCE in page


def test_the_list_of_orders_shows_them(account: ConnectedAccount, copied: Order) -> None:
    (shown,) = client_of(account.user).ask("GET", f"accounts/{account.pk}/orders").json()["results"]
    assert shown["id"] == str(copied.pk)
    assert any(SENTENCE in check["sentence"] for check in shown["checks"])
    assert shown["checks"][0] == {
        "check_name": "reading", "rule_id": None, "rule_name": "", "verdict": "allow",
        "value": None, "limit": None, "unit": "", "allowed_volume": None,
        "sentence": "The reading is fresh.",
    }  # fmt: skip


def test_the_admin_shows_them_with_the_order_and_with_the_round(copied: Order) -> None:
    staff = Client()
    sign_in_staff(staff, make_user("boss", is_staff=True, is_superuser=True))
    assert SENTENCE in staff.get(admin_url(Order, "change", copied.pk)).content.decode()
    row = GateRound.objects.get()
    page = staff.get(admin_url(GateRound, "change", row.pk)).content.decode()
    assert SENTENCE in page
    assert str(copied.pk) in page
    found = staff.get(f"{admin_url(GateRound, 'changelist')}?q={copied.pk}").context["cl"]
    assert list(found.queryset) == [row]
    other = make_order(ConnectedAccount.objects.get())
    nothing = staff.get(f"{admin_url(GateRound, 'changelist')}?q={other.pk}").context["cl"]
    assert not nothing.queryset.exists()
