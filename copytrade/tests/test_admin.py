"""Staff make, change and end relationships through the services."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import make_account, make_user, sign_in_staff
from copytrade.core.kinds import EventKind
from copytrade.models import CopyRelationship
from copytrade.terms import TERMS
from copytrade.tests.factories import make_copy, make_event, make_position, make_relationship

LIST = reverse("admin:copytrade_copyrelationship_changelist")
ADD = reverse("admin:copytrade_copyrelationship_add")
State = CopyRelationship.State


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def pair(alice: User) -> tuple[ConnectedAccount, ConnectedAccount]:
    return make_account(alice, "Lead"), make_account(alice, "Second")


def page(row: CopyRelationship, name: str) -> str:
    return reverse(f"admin:copytrade_copyrelationship_{name}", args=[row.pk])


def form(**fields: Any) -> dict[str, Any]:
    """Return what the form sends, with the terms as they are by default."""
    fresh = CopyRelationship()
    sent = {name: getattr(fresh, name) for name in TERMS}
    filled = {name: value for name, value in sent.items() if value not in (None, False)}
    told = {**filled, "symbol_map": "{}", "include_symbols": "[]", "exclude_symbols": "[]"}
    return {**told, "magics": "[]", "alias": "", **fields}


def errors_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200, "there were no errors"
    errors: dict[str, list[str]] = dict(answer.context["adminform"].form.errors)
    return errors


def test_it_makes_a_relationship(
    staff: Client, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    provider, follower = pair
    sent = form(provider=provider.pk, follower=follower.pk, magics="[7]", multiplier="2.5")
    answer = staff.post(ADD, sent)
    assert answer.status_code == 302, errors_of(answer)
    row = CopyRelationship.objects.get()
    assert (row.state, row.alias, row.magics) == (State.ACTIVE, "Second", [7])
    assert (row.created_by_id, row.copies_stops) == (provider.user_id, True)
    follower.refresh_from_db()
    assert follower.role == ConnectedAccount.Role.COPY_FOLLOWER


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"sizing": "fixed_lot"}, "fixed_lots"),
        ({"symbol_map": "[1]"}, "symbol_map"),
        ({"magics": "[-1]"}, "magics"),
        ({"trading_from": "08:00"}, "trading_until"),
    ],
)
def test_it_names_the_term_that_is_wrong(
    fields: dict[str, str],
    field: str,
    staff: Client,
    pair: tuple[ConnectedAccount, ConnectedAccount],
) -> None:
    sent = form(provider=pair[0].pk, follower=pair[1].pk, **fields)
    assert set(errors_of(staff.post(ADD, sent))) == {field}
    assert not CopyRelationship.objects.exists()


def test_it_refuses_loops_and_second_ones(
    staff: Client, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    make_relationship(*pair)
    for provider, follower in (pair, pair[::-1]):
        answer = staff.post(ADD, form(provider=provider.pk, follower=follower.pk))
        assert set(errors_of(answer)) == {"__all__"}
    assert CopyRelationship.objects.count() == 1


def test_anothers_account_is_offered(staff: Client, alice: User, bob: User) -> None:
    sent = form(provider=make_account(alice, "Lead").pk, follower=make_account(bob, "B").pk)
    assert staff.post(ADD, sent).status_code == 302
    assert CopyRelationship.objects.get().state == State.OFFERED


def test_what_the_firm_says_is_confirmed(staff: Client, alice: User) -> None:
    lead, follower = make_account(alice, "Lead"), make_account(alice, "C", broker="FTMO")
    sent = form(provider=lead.pk, follower=follower.pk)
    assert set(errors_of(staff.post(ADD, sent))) == {"confirms_firm_terms"}
    assert staff.post(ADD, {**sent, "confirms_firm_terms": "on"}).status_code == 302


def test_it_changes_terms_and_never_the_accounts(
    staff: Client, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    row = make_relationship(*pair)
    other = make_account(pair[0].user, "Other")
    sent = form(alias="Renamed", multiplier="3", provider=other.pk, follower=other.pk)
    answer = staff.post(page(row, "change"), sent)
    assert answer.status_code == 302, errors_of(answer)
    changed = CopyRelationship.objects.get()
    assert (changed.alias, changed.provider_id) == ("Renamed", pair[0].pk)
    assert changed.multiplier == 3


def test_deleting_ends_it_and_keeps_the_row(
    staff: Client, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    row = make_relationship(*pair)
    assert "ends, and the copied positions stay" in staff.get(page(row, "delete")).content.decode()
    assert staff.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.ending) == (State.TERMINATED, "keep")
    assert staff.post(page(row, "delete"), {"post": "yes"}).status_code == 403
    assert staff.post(page(row, "change"), form(alias="X")).status_code == 403
    assert staff.get(page(row, "change")).status_code == 200


@pytest.mark.parametrize(
    ("action", "state"),
    [("pause", "paused"), ("close_only", "close_only"), ("end", "close_only")],
)
def test_actions_change_each(
    action: str,
    state: str,
    staff: Client,
    pair: tuple[ConnectedAccount, ConnectedAccount],
    bob: User,
) -> None:
    row = make_relationship(*pair)
    make_position(row)
    ended = make_relationship(pair[0], make_account(bob, "B"), state=State.DECLINED)
    sent = {"action": action, "_selected_action": [row.pk, ended.pk]}
    text = staff.post(LIST, sent, follow=True).content.decode()
    row.refresh_from_db()
    assert row.state == state
    ended.refresh_from_db()
    assert ended.state == State.DECLINED
    if action != "end":
        assert "copies nothing" in text
        staff.post(LIST, {"action": "resume", "_selected_action": [row.pk]})
        row.refresh_from_db()
        assert row.state == State.ACTIVE


def test_what_staff_did_stands_in_the_log(
    staff: Client, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    row = make_relationship(*pair)
    staff.post(LIST, {"action": "pause", "_selected_action": [str(row.pk)]})
    row.refresh_from_db()
    assert (row.state, row.state_cause) == (State.PAUSED, CopyRelationship.Cause.SYSTEM)
    [entry] = LogEntry.objects.filter(object_id=str(row.pk))
    assert (entry.user.username, "Paused." in entry.change_message) == ("boss", True)


@pytest.mark.parametrize("name", ["copyevent", "copyorder", "copyposition"])
def test_a_ledger_is_read_only_and_found_by_its_relationship(
    name: str, staff: Client, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    row, position = make_relationship(*pair), None
    event = make_event(row, EventKind.OPEN)
    copy = make_copy(row, event)
    position = make_position(row)
    known = {"copyevent": event, "copyorder": copy, "copyposition": position}[name]
    other = make_relationship(make_account(row.provider.user), row.follower)
    for made in (make_copy(other, make_event(other, EventKind.CLOSE)), make_position(other)):
        assert made.pk
    [link] = re.findall(rf'href="([^"]*{name}/\?[^"]*)"', staff.get(page(row, "change")).text)
    searched = reverse(f"admin:copytrade_{name}_changelist") + f"?q={known.pk}"
    for address in (link, searched):
        shown = staff.get(address)
        assert [each.pk for each in shown.context["cl"].result_list] == [known.pk]
    for query in ("?q=EURUSD", "?q=%00", "?q=1e999"):
        assert staff.get(searched.split("?")[0] + query).status_code in (200, 302)
    for action in ("change", "delete"):
        address = reverse(f"admin:copytrade_{name}_{action}", args=[known.pk])
        assert staff.post(address, {"post": "yes", "symbol": "X"}).status_code == 403
    assert staff.get(reverse(f"admin:copytrade_{name}_add")).status_code == 403


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "copytrade_order_in_time"),
        ("?planned_at__gte=2026-11-20T00:00:00Z", "copytrade_order_in_time"),
        ("?relationship_id={row}", "copytrade_order_newest"),
        ("?event_id={row}", "(event_id=?)"),
    ],
)
def test_the_copies_are_found_by_an_index(
    query: str, index: str, staff: Client, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL reads a small table as a whole.")
    row = make_relationship(*pair)
    address = reverse("admin:copytrade_copyorder_changelist") + query.format(row=row.pk)
    with CaptureQueriesContext(connection) as queries:
        assert staff.get(address).status_code == 200
    pages = [each["sql"] for each in queries if 'ORDER BY "copytrade_copyorder"' in each["sql"]]
    assert pages
    for sql in pages:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(str(line) for line in cursor.fetchall())
        assert index in plan
