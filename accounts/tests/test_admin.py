from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from redis import Redis

from accounts.models import (
    ApiKey,
    ApiKeyAuditLog,
    ConnectedAccount,
    Deal,
    Tag,
    TerminalHost,
    User,
)
from accounts.services.accounts import delete_account
from accounts.tests.admin_pages import admin_url, errors_of, messages_of, submit
from accounts.tests.factories import (
    SECRET,
    make_account,
    make_host,
    make_key,
    make_user,
    sign_in_staff,
)
from accounts.tests.history_rows import make_deal


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


def new_account(user: User, **changes: Any) -> dict[str, Any]:
    return {
        "user": user.pk,
        "name": "Alpha 1",
        "broker": "Example Brokers",
        "server": "Example-Demo",
        "login": "50000001",
        "password": SECRET,
        "initial_balance": "100000",
        "terminal_host": make_host().pk,
        **changes,
    }


def test_it_creates_an_account_with_its_key_and_connects_it(staff: Client, alice: User) -> None:
    tag = Tag.objects.create(user=alice, name="funded")

    answer = submit(staff, admin_url(ConnectedAccount, "add"), new_account(alice, tags=[tag.pk]))

    assert answer.status_code == 302
    account = ConnectedAccount.objects.select_related("api_key", "connection").get()
    assert account.user == alice
    assert account.is_default
    assert account.initial_balance == Decimal(100_000)
    assert list(account.tags.all()) == [tag]
    assert account.api_key is not None
    assert account.api_key.secret == SECRET
    assert account.connection.is_wanted
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", ""),
        ("password", "x" * 257),
        ("login", "abc"),
        ("login", "0"),
        ("initial_balance", "0"),
        ("broker_time_zone", "Atlantis/Center"),
        ("terminal_host", "nowhere"),
    ],
)
def test_it_says_at_the_field_what_is_wrong(
    staff: Client, alice: User, field: str, value: str
) -> None:
    answer = submit(staff, admin_url(ConnectedAccount, "add"), new_account(alice, **{field: value}))

    assert answer.status_code == 200
    assert list(errors_of(answer)) == [field]
    assert SECRET not in answer.content.decode()
    assert not ConnectedAccount.with_archived.exists()
    assert not ApiKey.objects.exists()


def test_it_refuses_a_login_that_the_user_watches_already(staff: Client, alice: User) -> None:
    make_account(alice, login=50000001)

    answer = submit(staff, admin_url(ConnectedAccount, "add"), new_account(alice))

    assert "already watch this login" in str(errors_of(answer))
    assert ConnectedAccount.objects.count() == 1


def test_it_refuses_tags_of_somebody_else(staff: Client, alice: User, bob: User) -> None:
    tag = Tag.objects.create(user=bob, name="funded")

    answer = submit(staff, admin_url(ConnectedAccount, "add"), new_account(alice, tags=[tag.pk]))

    assert errors_of(answer) == {"tags": ["Choose tags of the account's user."]}


def test_it_keeps_the_password_unless_a_new_one_is_given(staff: Client, alice: User) -> None:
    account = make_account(alice, with_key=True)
    url = admin_url(ConnectedAccount, "change", account.pk)

    assert submit(staff, url, {"name": "Beta"}).status_code == 302
    account.refresh_from_db()
    assert (account.name, ApiKey.objects.get().secret) == ("Beta", SECRET)

    assert submit(staff, url, {"password": "An0ther-secret"}).status_code == 302
    account.refresh_from_db()
    assert ApiKey.objects.get().secret == "An0ther-secret"
    written = " ".join(LogEntry.objects.values_list("change_message", flat=True))
    assert SECRET not in written
    assert "An0ther-secret" not in written


def test_it_leaves_an_account_with_its_user_and_host(staff: Client, alice: User, bob: User) -> None:
    account = make_account(alice, with_key=True)
    other = make_host("other")

    submit(
        staff,
        admin_url(ConnectedAccount, "change", account.pk),
        {"user": bob.pk, "terminal_host": other.pk, "api_key": "", "name": "Beta"},
    )

    account.refresh_from_db()
    assert (account.user, account.terminal_host_id, account.name) == (alice, "local", "Beta")
    assert account.api_key is not None


def test_it_moves_the_default(staff: Client, alice: User) -> None:
    old = make_account(alice, with_key=True, is_default=True)
    new = make_account(alice, "Beta", with_key=True)

    submit(staff, admin_url(ConnectedAccount, "change", new.pk), {"is_default": "on"})
    answer = staff.get(admin_url(ConnectedAccount, "change", old.pk))

    assert list(ConnectedAccount.objects.filter(is_default=True)) == [new]
    assert answer.status_code == 200


def test_it_does_not_leave_a_user_without_a_default(staff: Client, alice: User) -> None:
    account = make_account(alice, with_key=True, is_default=True)

    answer = staff.post(
        admin_url(ConnectedAccount, "change", account.pk),
        {"name": account.name, "connection-TOTAL_FORMS": 0, "connection-INITIAL_FORMS": 0},
    )

    assert errors_of(answer)["is_default"] == ["Make another account the default instead."]


def test_it_destroys_the_secrets_of_what_it_deletes(staff: Client, alice: User) -> None:
    first, second = make_account(alice, with_key=True), make_account(alice, "B", with_key=True)
    staff.post(admin_url(ConnectedAccount, "delete", first.pk), {"post": "yes"})
    living = ApiKey.objects.filter(secret__isnull=False)
    assert list(living.values_list("pk", flat=True)) == [second.api_key_id]

    staff.post(admin_url(User, "delete", alice.pk), {"post": "yes"})
    assert not ApiKey.objects.exists()
    assert not ConnectedAccount.with_archived.exists()


def test_it_shows_the_archive_and_changes_nothing_in_it(staff: Client, alice: User) -> None:
    living, gone = make_account(alice, "Living"), make_account(alice, "Gone", with_key=True)
    question = staff.get(admin_url(ConnectedAccount, "delete", gone.pk))
    assert "to the archive" in question.content.decode()
    staff.post(admin_url(ConnectedAccount, "delete", gone.pk), {"post": "yes"})
    row = ApiKeyAuditLog.objects.get(action="revoked")
    assert (row.actor_name, row.ip_address) == ("boss", "127.0.0.1")

    page = admin_url(ConnectedAccount, "changelist")
    assert list(staff.get(page).context["cl"].queryset) == [living]
    archive = staff.get(page, {"archive": "only"})
    assert list(archive.context["cl"].queryset) == [gone]
    assert archive.context["action_form"] is None
    detail = staff.get(admin_url(ConnectedAccount, "change", gone.pk))
    assert detail.status_code == 200
    assert not detail.context["has_change_permission"]
    for action in ("change", "delete"):
        url = admin_url(ConnectedAccount, action, gone.pk)
        assert staff.post(url, {"post": "yes"}).status_code == 403
    staff.post(f"{page}?archive=only", {"action": "connect", "_selected_action": [gone.pk]})
    assert not ConnectedAccount.objects.filter(pk=gone.pk).exists()


def test_nobody_can_choose_an_archived_account(staff: Client, alice: User) -> None:
    make_account(alice, "Living")
    delete_account(account=make_account(alice, "Gone"))
    asked = {"app_label": "groups", "model_name": "membership", "field_name": "account"}
    found = staff.get("/admin/autocomplete/", asked).json()["results"]
    assert [each["text"] for each in found] == ["Living"]


def run_action(client: Client, name: str, *accounts: ConnectedAccount) -> list[str]:
    answer = client.post(
        admin_url(ConnectedAccount, "changelist"),
        {"action": name, "_selected_action": [account.pk for account in accounts]},
        follow=True,
    )
    return messages_of(answer)


def test_it_connects_and_says_what_it_could_not(staff: Client, alice: User) -> None:
    ready = make_account(alice, "Ready", with_key=True)
    asleep = make_account(alice, "Asleep", with_key=True, is_active=False)
    left_out = make_account(alice, "Left out", with_key=True)

    said = run_action(staff, "connect", ready, asleep)

    assert said == ["Asleep: The account is inactive; activate it first.", "Connecting Ready."]
    wanted = ConnectedAccount.objects.filter(connection__is_wanted=True)
    assert list(wanted) == [ready]
    assert left_out not in wanted


def test_it_disconnects(staff: Client, alice: User) -> None:
    accounts = [
        make_account(alice, f"Alpha {n:02}", with_key=True, state="connected") for n in range(12)
    ]

    [said] = run_action(staff, "disconnect", *accounts)

    assert said.startswith("Disconnecting Alpha 00, Alpha 01, ")
    assert said.endswith("Alpha 09 and 2 more.")
    assert not ConnectedAccount.objects.filter(connection__is_wanted=True).exists()


def test_it_asks_the_hosts_for_an_evaluation(staff: Client, alice: User, redis: Redis) -> None:
    here = make_account(alice, "Here")
    there = make_account(alice, "There", terminal_host=make_host("other"))
    asleep = make_account(alice, "Asleep", is_active=False)

    said = run_action(staff, "evaluate_now", here, there, asleep)

    assert said == [
        "Evaluating Here and There.",
        "Not evaluated, because inactive: Asleep.",
    ]
    # A thread of its own sends them, so they may be on their way still.
    for queue in ("celery:terminals.local", "celery:terminals.other"):
        assert redis.blpop([queue], timeout=5) is not None
        assert redis.llen(queue) == 0


def test_it_lets_staff_who_may_only_look_run_no_action(alice: User) -> None:
    client = Client()
    clerk = make_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_connectedaccount"))
    sign_in_staff(client, clerk)
    account = make_account(alice, with_key=True)

    run_action(client, "connect", account)

    account.connection.refresh_from_db()
    assert not account.connection.is_wanted


def test_it_renames_switches_off_and_refills_a_key(staff: Client, alice: User) -> None:
    key = make_key(alice)
    url = admin_url(ApiKey, "change", key.pk)

    submit(staff, url, {"name": "Renamed", "status": "inactive"})
    key.refresh_from_db()
    assert (key.name, key.status, key.secret) == ("Renamed", "inactive", SECRET)

    submit(staff, url, {"password": " An0ther-secret "})
    assert ApiKey.objects.get().secret == " An0ther-secret "

    answer = submit(staff, url, {"password": "x" * 257})
    assert list(errors_of(answer)) == ["password"]
    assert "xxxxx" not in answer.content.decode()


def test_it_does_not_delete_a_key_that_an_account_needs(staff: Client, alice: User) -> None:
    account = make_account(alice, with_key=True)

    staff.post(admin_url(ApiKey, "delete", account.api_key_id), {"post": "yes"})

    assert ApiKey.objects.get().pk == account.api_key_id


def test_it_leaves_the_lease_to_the_worker(staff: Client) -> None:
    host = make_host()
    TerminalHost.objects.update(lease_owner="worker-1", lease_token=7)

    submit(
        staff,
        admin_url(TerminalHost, "change", host.pk),
        {"kind": "metatrader5", "lease_owner": "me", "lease_token": "8", "name": "renamed"},
    )

    host = TerminalHost.objects.get()
    assert (host.name, host.kind) == ("local", "metatrader5")
    assert (host.lease_owner, host.lease_token) == ("worker-1", 7)


def test_it_creates_a_user(staff: Client) -> None:
    submit(
        staff,
        admin_url(User, "add"),
        {
            "username": "dora",
            "email": "dora@Example.com",
            "password1": "a long pass phrase",
            "password2": "a long pass phrase",
            "usable_password": "true",
        },
    )

    dora = User.objects.get(username="dora")
    assert dora.email == "dora@example.com"
    assert dora.check_password("a long pass phrase")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ALICE@example.com"}, "email"),
        ({"email": ""}, "email"),
        ({"time_zone": "Atlantis/Center"}, "time_zone"),
        ({"username": "Alice"}, "username"),
    ],
)
def test_it_refuses_a_user_who_cannot_be(
    staff: Client, alice: User, changes: dict[str, str], field: str
) -> None:
    answer = submit(
        staff,
        admin_url(User, "add"),
        {
            "username": "dora",
            "email": "dora@example.com",
            "password1": "a long pass phrase",
            "password2": "a long pass phrase",
            "usable_password": "true",
            **changes,
        },
    )

    assert list(errors_of(answer)) == [field]


def test_it_answers_a_row_that_is_not_there(staff: Client) -> None:
    answer = staff.get(admin_url(ConnectedAccount, "change", uuid4()))

    assert answer.status_code == 302


def test_it_counts_what_goes_with_a_user_and_reads_none_of_it(staff: Client, alice: User) -> None:
    account = make_account(alice, with_key=True)
    for ticket in range(3):
        make_deal(account, ticket=ticket)
    page = admin_url(User, "delete", alice.pk)
    staff.get(page)
    with CaptureQueriesContext(connection) as queries:
        text = staff.get(page).content.decode()
    assert "1 accounts" in text or "accounts: 1" in text.lower()
    assert not any("accounts_deal" in query["sql"] for query in queries)
    assert staff.post(page, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not Deal.objects.exists()
