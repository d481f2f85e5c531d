"""The eight endpoints of the keys: for their owner, for a stranger, for nobody."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyAuditLog, User
from accounts.tests.api_clients import client_of
from accounts.tests.factories import SECRET, make_account, make_key, make_user

pytestmark = pytest.mark.django_db


def requests_for(key: ApiKey) -> list[tuple[str, str, dict[str, Any], str]]:
    """Each request that names a key, with what a stranger's attempt is called in the trail."""
    address = f"api-keys/{key.pk}"
    return [
        ("GET", address, {}, "viewed"),
        ("PUT", address, {"name": "Mine now"}, "updated"),
        ("PATCH", address, {"name": "Mine now"}, "updated"),
        ("DELETE", address, {}, "revoked"),
        ("POST", f"{address}/rotate", {"secret": "another"}, "rotated"),
        ("POST", f"{address}/verify", {}, "verified"),
        ("GET", f"{address}/audit-logs", {}, "viewed"),
    ]


class TestOwner:
    def test_it_creates_a_key_and_never_shows_its_secret(self, alice: User) -> None:
        client = client_of(alice)
        body = {"name": "Northwind", "secret": SECRET, "expires_at": "2040-01-01T00:00:00Z"}
        answer = client.ask("POST", "api-keys", body)
        assert answer.status_code == 400  # further away than ten years
        assert set(answer.json()["error"]["fields"]) == {"expires_at"}
        body["expires_at"] = (timezone.now() + timedelta(days=90)).isoformat()
        answer = client.ask("POST", "api-keys", body)
        assert answer.status_code == 201
        told = answer.json()
        assert (told["name"], told["status"], told["verification"]) == (
            "Northwind", "active", "never",
        )  # fmt: skip
        assert told["accounts"] == []
        assert told["expires_at"].endswith("Z")
        assert "secret" not in told
        assert SECRET not in answer.content.decode()
        assert ApiKey.objects.get().secret == SECRET

    def test_it_says_what_is_wrong_with_a_secret_without_quoting_it(self, alice: User) -> None:
        for secret in ("", "hidden\nword", "hidden" * 60):
            answer = client_of(alice).ask("POST", "api-keys", {"name": "N", "secret": secret})
            assert answer.status_code == 400
            assert set(answer.json()["error"]["fields"]) == {"secret"}
            assert "hidden" not in answer.content.decode()
        rows = ApiKeyAuditLog.objects.values_list("action", "outcome")
        assert list(rows) == [("created", "failed")] * 3

    def test_it_is_changed_by_put_and_patch_but_never_its_secret(self, alice: User) -> None:
        client, key = client_of(alice), make_key(alice)
        address = f"api-keys/{key.pk}"
        assert client.ask("PATCH", address, {"status": "inactive"}).json()["status"] == "inactive"
        assert client.ask("PUT", address, {"name": "Other"}).json()["name"] == "Other"
        assert client.ask("PUT", address, {}).status_code == 400
        for method in ("PUT", "PATCH"):
            answer = client.ask(method, address, {"name": "Third", "secret": "another"})
            assert answer.status_code == 400
            assert set(answer.json()["error"]["fields"]) == {"secret"}
            assert "another" not in answer.content.decode()
        assert ApiKey.objects.get().name == "Other"
        assert ApiKey.objects.get().secret == SECRET

    def test_what_was_read_can_be_put_back(self, alice: User) -> None:
        client, key = client_of(alice), make_key(alice)
        ApiKey.objects.update(expires_at=timezone.now() + timedelta(days=3))
        told = client.ask("GET", f"api-keys/{key.pk}").json()
        again = client.ask("PUT", f"api-keys/{key.pk}", told)
        assert again.status_code == 200
        assert {**again.json(), "updated_at": ""} == {**told, "updated_at": ""}

    def test_status_is_not_set_to_what_a_person_cannot_decide(self, alice: User) -> None:
        key = make_key(alice)
        answer = client_of(alice).ask("PATCH", f"api-keys/{key.pk}", {"status": "revoked"})
        assert answer.status_code == 400
        assert set(answer.json()["error"]["fields"]) == {"status"}

    def test_rotate_replaces_the_secret(self, alice: User) -> None:
        key = make_key(alice)
        answer = client_of(alice).ask("POST", f"api-keys/{key.pk}/rotate", {"secret": "An0ther!"})
        assert answer.status_code == 200
        assert answer.json()["rotated_at"] is not None
        assert "An0ther!" not in answer.content.decode()
        assert ApiKey.objects.get().secret == "An0ther!"
        assert client_of(alice).ask("POST", f"api-keys/{key.pk}/rotate", {}).status_code == 400

    def test_what_is_not_understood_leaves_a_row_without_what_was_typed(self, alice: User) -> None:
        key, client = make_key(alice), client_of(alice)
        assert client.ask("PATCH", f"api-keys/{key.pk}", {"secret": SECRET}).status_code == 400
        wrong = {"status": SECRET, "expires_at": SECRET}
        assert client.ask("PATCH", f"api-keys/{key.pk}", wrong).status_code == 400
        assert client.ask("POST", f"api-keys/{key.pk}/rotate", {}).status_code == 400
        rows = ApiKeyAuditLog.objects.filter(key_id=key.pk).order_by("id")
        assert list(rows.values_list("action", "outcome", "message")) == [
            ("updated", "failed", "Not understood: secret."),
            ("updated", "failed", "Not understood: expires_at, status."),
            ("rotated", "failed", "Not understood: secret."),
        ]

    def test_verify_answers_at_once_and_is_refused_twice(self, alice: User) -> None:
        key = make_key(alice)
        make_account(alice, api_key=key)
        answer = client_of(alice).ask("POST", f"api-keys/{key.pk}/verify")
        assert answer.status_code == 202
        assert answer.json()["verification"] == "pending"
        again = client_of(alice).ask("POST", f"api-keys/{key.pk}/verify")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "pending")

    def test_delete_revokes_and_leaves_the_key_to_be_seen(self, alice: User) -> None:
        client, key = client_of(alice), make_key(alice)
        assert client.ask("DELETE", f"api-keys/{key.pk}").status_code == 204
        told = client.ask("GET", f"api-keys/{key.pk}").json()
        assert told["status"] == "revoked"
        assert told["revoked_at"] is not None
        assert ApiKey.objects.get().secret is None
        again = client.ask("DELETE", f"api-keys/{key.pk}")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "revoked")

    def test_a_key_past_its_time_is_shown_as_expired_before_anybody_marked_it(
        self, alice: User
    ) -> None:
        key = make_key(alice)
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        client = client_of(alice)
        assert client.ask("GET", f"api-keys/{key.pk}").json()["status"] == "expired"
        assert client.ask("GET", "api-keys?status=expired").json()["count"] == 1
        assert client.ask("GET", "api-keys?status=active").json()["count"] == 0

    def test_it_names_the_accounts_that_log_in_with_it(self, alice: User) -> None:
        key = make_key(alice)
        account = make_account(alice, "Alpha 1", api_key=key)
        told = client_of(alice).ask("GET", f"api-keys/{key.pk}").json()["accounts"]
        assert told == [
            {
                "id": str(account.pk),
                "name": "Alpha 1",
                "login": account.login,
                "server": account.server,
            }
        ]


class TestList:
    def test_it_filters_searches_and_orders(self, alice: User) -> None:
        client = client_of(alice)
        for name, status in (("Beta", "active"), ("Alpha", "inactive"), ("Gamma", "active")):
            key = make_key(alice, name=name)
            ApiKey.objects.filter(pk=key.pk).update(status=status)
        account = make_account(alice, api_key=ApiKey.objects.get(name="Beta"))

        def names(query: str) -> list[str]:
            return [row["name"] for row in client.ask("GET", f"api-keys?{query}").json()["results"]]

        assert names("") == ["Alpha", "Beta", "Gamma"]
        assert names("status=active&ordering=-name") == ["Gamma", "Beta"]
        assert names("search=alph") == ["Alpha"]
        assert names(f"account={account.pk}") == ["Beta"]
        assert names("page_size=1&page=2") == ["Beta"]
        assert client.ask("GET", "api-keys?status=lost").status_code == 400

    @pytest.mark.parametrize("count", [2, 20])
    def test_it_asks_as_many_queries_for_twenty_as_for_two(
        self, alice: User, django_assert_num_queries: Any, count: int
    ) -> None:
        for number in range(count):
            key = make_key(alice, name=f"Key {number}")
            make_account(alice, f"Alpha {number}", api_key=key)
            make_account(alice, f"Beta {number}", api_key=key)
        with django_assert_num_queries(3):  # count, keys, accounts
            answer = client_of(alice).ask("GET", "api-keys")
        assert answer.json()["count"] == count


class TestTrail:
    def test_it_is_filtered_and_paged_newest_first(self, alice: User) -> None:
        client = client_of(alice)
        key_id = client.ask("POST", "api-keys", {"name": "N", "secret": SECRET}).json()["id"]
        client.ask("PATCH", f"api-keys/{key_id}", {"name": "Other"})
        client.ask("POST", f"api-keys/{key_id}/rotate", {"secret": ""})
        client.ask("DELETE", f"api-keys/{key_id}")

        def entries(query: str = "") -> list[tuple[str, str]]:
            told = client.ask("GET", f"api-keys/{key_id}/audit-logs?{query}").json()["results"]
            return [(row["action"], row["outcome"]) for row in told]

        assert entries() == [
            ("revoked", "allowed"), ("rotated", "failed"), ("updated", "allowed"),
            ("created", "allowed"),
        ]  # fmt: skip
        assert entries("action=rotated") == [("rotated", "failed")]
        assert entries("outcome=allowed&page_size=1&page=2") == [("updated", "allowed")]
        ApiKeyAuditLog.objects.bulk_create([_row_at(key_id, alice, "2026-01-02T00:00:00+00:00")])
        assert entries("until=2026-01-02T00:00:00Z") == [("used", "allowed")]
        assert entries("until=2026-01-01T23:59:59Z") == []
        assert len(entries("since=2026-01-02T00:00:01Z")) == 4
        assert client.ask("GET", f"api-keys/{key_id}/audit-logs?since=x").status_code == 400

    def test_the_owner_reads_that_it_was_somebody_else_and_staff_reads_who(
        self, alice: User, charlie: User
    ) -> None:
        key = make_key(alice)
        client_of(charlie).get(
            f"/api/v1/api-keys/{key.pk}", HTTP_USER_AGENT="curl/8", REMOTE_ADDR="198.51.100.9"
        )
        client_of(alice).ask("PATCH", f"api-keys/{key.pk}", {"name": "Other"})
        mine, foreign = (
            client_of(alice).ask("GET", f"api-keys/{key.pk}/audit-logs").json()["results"]
        )
        assert (foreign["actor"], foreign["ip_address"], foreign["user_agent"]) == (
            "Somebody else", None, "",
        )  # fmt: skip
        assert (mine["actor"], mine["ip_address"]) == ("alice", "127.0.0.1")
        row = ApiKeyAuditLog.objects.get(reason="stranger")
        assert (row.actor_name, row.ip_address, row.user_agent) == (
            "charlie", "198.51.100.9", "curl/8",
        )  # fmt: skip
        User.objects.filter(pk=alice.pk).update(is_staff=True)
        staff = User.objects.get(pk=alice.pk)
        told = client_of(staff).ask("GET", f"api-keys/{key.pk}/audit-logs?outcome=refused").json()
        assert told["results"][0]["actor"] == "charlie"
        assert told["results"][0]["ip_address"] == "198.51.100.9"


def _row_at(key_id: str, user: User, moment: str) -> ApiKeyAuditLog:
    return ApiKeyAuditLog(
        key_id=key_id,
        key_name="N",
        user_id=user.pk,
        action="used",
        outcome="allowed",
        created_at=moment,
    )


class TestOthers:
    def test_a_stranger_finds_nothing_and_the_owner_hears_of_it(
        self, alice: User, charlie: User
    ) -> None:
        key = make_key(alice)
        before = ApiKey.objects.values().get()
        wanted = []
        for method, path, body, action in requests_for(key):
            answer = client_of(charlie).ask(method, path, body)
            assert answer.status_code == 404, (method, path)
            assert answer.json()["error"]["code"] == "not_found"
            wanted.append(action)
        assert ApiKey.objects.values().get() == before
        rows = ApiKeyAuditLog.objects.filter(key_id=key.pk, user_id=alice.pk)
        assert {row.action for row in rows} == set(wanted)
        assert {(row.outcome, row.reason) for row in rows} == {("refused", "stranger")}
        assert client_of(charlie).ask("GET", "api-keys").json()["count"] == 0

    def test_the_owner_hears_of_a_stranger_who_wants_the_key_for_an_account(
        self, alice: User, charlie: User
    ) -> None:
        key, account = make_key(alice), make_account(charlie)
        client = client_of(charlie)
        for wanted in (str(key.pk), str(uuid4()), "no id", None, ["x"]):
            answer = client.ask("PATCH", f"accounts/{account.pk}", {"api_key": wanted})
            assert answer.status_code == 400
        row = ApiKeyAuditLog.objects.get()
        assert (row.key_id, row.actor_id) == (key.pk, charlie.pk)
        assert (row.action, row.outcome, row.reason) == ("assigned", "refused", "stranger")

    def test_staff_have_no_way_in_through_the_api(self, alice: User) -> None:
        key = make_key(alice)
        staff = make_user("stella", is_staff=True, is_superuser=True)
        for method, path, body, _ in requests_for(key):
            assert client_of(staff).ask(method, path, body).status_code == 404

    def test_nobody_is_asked_to_sign_in_and_leaves_no_row(self, alice: User) -> None:
        key = make_key(alice)
        requests = [*requests_for(key), ("GET", "api-keys", {}, ""), ("POST", "api-keys", {}, "")]
        for method, path, body, _ in requests:
            assert client_of(None).ask(method, path, body).status_code == 401
        assert not ApiKeyAuditLog.objects.exists()

    def test_no_answer_holds_the_secret(self, alice: User) -> None:
        key, client = make_key(alice), client_of(alice)
        make_account(alice, api_key=key)
        answers = [client.ask(method, path, body) for method, path, body, _ in requests_for(key)]
        answers.append(client.ask("GET", "api-keys"))
        for answer in answers:
            assert answer.status_code < 500
            assert SECRET not in answer.content.decode()
