"""Keys and their trail in the administration: through the services, with a row each."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyAuditLog, User
from accounts.services import locks
from accounts.services.keys import create_key
from accounts.tests.admin_pages import admin_url, errors_of, messages_of, submit
from accounts.tests.factories import SECRET, make_account, make_key, make_user, sign_in_staff


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


def trail() -> list[tuple[str, str, str]]:
    rows = ApiKeyAuditLog.objects.order_by("id")
    return list(rows.values_list("action", "outcome", "actor_name"))


def act(client: Client, action: str, *keys: ApiKey) -> Any:
    data = {"action": action, "_selected_action": [key.pk for key in keys]}
    return client.post(admin_url(ApiKey, "changelist"), data, follow=True)


def test_staff_put_a_key_into_the_vault_of_a_user(staff: Client, alice: User) -> None:
    data = {"user": alice.pk, "name": "Northwind", "password": SECRET}
    answer = staff.post(admin_url(ApiKey, "add"), data)
    assert answer.status_code == 302
    key = ApiKey.objects.get()
    assert (key.user, key.secret) == (alice, SECRET)
    assert trail() == [("created", "allowed", "boss")]


def test_what_a_service_refuses_stands_at_the_field_and_in_the_trail(
    staff: Client, alice: User
) -> None:
    answer = staff.post(
        admin_url(ApiKey, "add"), {"user": alice.pk, "name": "N", "password": "bad\tone"}
    )
    assert set(errors_of(answer)) == {"password"}
    assert b"bad\tone" not in answer.content
    assert not ApiKey.objects.exists()
    assert trail() == [("created", "failed", "boss")]


def test_a_change_is_made_by_the_service_and_a_look_is_recorded(staff: Client, alice: User) -> None:
    key = make_key(alice)
    submit(staff, admin_url(ApiKey, "change", key.pk), {"name": "Other", "status": "inactive"})
    assert (ApiKey.objects.get().name, ApiKey.objects.get().status) == ("Other", "inactive")
    assert trail() == [("viewed", "allowed", "boss"), ("updated", "allowed", "boss")]
    submit(staff, admin_url(ApiKey, "change", key.pk), {"password": "An0ther!"})
    assert ApiKey.objects.get().secret == "An0ther!"
    assert trail()[2:] == [("viewed", "allowed", "boss"), ("rotated", "allowed", "boss")]


def test_a_refusal_in_the_administration_leaves_its_row(
    staff: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hold:
        def reasons(self, *, account_ids: Any) -> dict[Any, str]:
            return dict.fromkeys(account_ids, "a rule is violated")

        def forget(self, **_: Any) -> None: ...

    monkeypatch.setattr(locks, "_locks", [Hold()])
    key = make_key(alice)
    make_account(alice, "Alpha 1", api_key=key)
    answer = submit(staff, admin_url(ApiKey, "change", key.pk), {"status": "inactive"})
    assert "Alpha 1 logs in with this key and is locked" in errors_of(answer)[""][0]
    assert ApiKey.objects.get().status == "active"
    assert trail()[1:] == [("updated", "refused", "boss")]
    answer = act(staff, "revoke", key)
    assert "Alpha 1 logs in with this key" in messages_of(answer)[0]
    assert trail()[2:] == [("revoked", "refused", "boss")]


def test_actions_verify_and_revoke_and_one_refusal_stops_none(staff: Client, alice: User) -> None:
    over, good = make_key(alice, name="Over"), make_key(alice, name="Good")
    ApiKey.objects.filter(pk=over.pk).update(status="expired", expires_at=timezone.now())
    told = messages_of(act(staff, "verify", over, good))
    assert sorted(told) == ["1 key is verified or being verified.", "The key “Over” has expired."]
    assert ApiKey.objects.get(name="Good").verification == "succeeded"
    assert messages_of(act(staff, "revoke", over, good)) == ["2 keys are revoked."]
    assert set(ApiKey.objects.values_list("status", "secret")) == {("revoked", None)}


def test_no_key_is_deleted_here_and_a_revoked_one_is_only_seen(staff: Client, alice: User) -> None:
    key = make_key(alice)
    assert staff.post(admin_url(ApiKey, "delete", key.pk), {"post": "yes"}).status_code == 403
    act(staff, "revoke", key)
    page = staff.get(admin_url(ApiKey, "change", key.pk))
    assert page.status_code == 200
    assert b'name="password"' not in page.content
    data = {"name": "Back", "status": "active", "password": "another"}
    assert staff.post(admin_url(ApiKey, "change", key.pk), data).status_code == 403
    assert (ApiKey.objects.get().status, ApiKey.objects.get().secret) == ("revoked", None)


def test_the_trail_is_seen_searched_and_never_touched(staff: Client, alice: User) -> None:
    key = create_key(user=alice, name="Northwind", secret=SECRET, now=timezone.now())
    row = ApiKeyAuditLog.objects.get()
    for query in ({}, {"q": "Northwind"}, {"q": str(key.pk)}, {"action": "created"}):
        page = staff.get(admin_url(ApiKeyAuditLog, "changelist"), query)
        assert page.context["cl"].result_count == 1
        assert SECRET.encode() not in page.content
    assert staff.get(admin_url(ApiKeyAuditLog, "change", row.pk)).status_code == 200
    assert staff.get(admin_url(ApiKeyAuditLog, "add")).status_code == 403
    for kind in ("change", "delete"):
        answer = staff.post(admin_url(ApiKeyAuditLog, kind, row.pk), {"post": "yes"})
        assert answer.status_code == 403
    assert ApiKeyAuditLog.objects.get().message == row.message


def test_staff_without_rights_see_nothing_and_leave_no_look(alice: User) -> None:
    key = make_key(alice)
    client = Client()
    sign_in_staff(client, make_user("helper", is_staff=True))
    for page in ("changelist", "add"):
        assert client.get(admin_url(ApiKey, page)).status_code == 403
    assert client.get(admin_url(ApiKey, "change", key.pk)).status_code == 403
    assert not ApiKeyAuditLog.objects.exists()
