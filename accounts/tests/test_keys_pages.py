"""The pages of the credentials, as their owner, a stranger and nobody see them; and the admin's."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyAuditLog, User
from accounts.services.key_verification import LoginProof, note_proofs
from accounts.sessions.states import Reason
from accounts.tests.factories import SECRET, make_account, make_key

pytestmark = pytest.mark.django_db

NAMES = ("detail", "update", "rotate", "revoke", "verification", "audit")


@pytest.fixture
def browser(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def url(name: str, key: ApiKey | None = None) -> str:
    return reverse(f"key-{name}", args=[key.pk] if key else [])


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


class TestList:
    def test_it_shows_own_keys_with_their_accounts(
        self, browser: Client, alice: User, bob: User
    ) -> None:
        key = make_key(alice, name="Northwind")
        make_key(bob, name="Of somebody else")
        for name in ("Alpha", "Beta", "Gamma"):
            make_account(alice, name, api_key=key)
        page = text(browser.get(url("list")))
        assert "Northwind" in page
        assert '>Alpha</a> <span class="muted">and 2 more' in page
        assert "Of somebody else" not in page
        assert SECRET not in page

    def test_it_filters_and_tells_when_nothing_fits(self, browser: Client, alice: User) -> None:
        make_key(alice, name="Northwind")
        old = make_key(alice, name="Southwind")
        ApiKey.objects.filter(pk=old.pk).update(status="inactive")
        page = text(browser.get(url("list"), {"q": "wind", "status": "inactive"}))
        assert "Southwind" in page
        assert "Northwind" not in page
        assert "Nothing fits" in text(browser.get(url("list"), {"q": "calm"}))

    def test_an_empty_vault_says_how_to_begin(self, browser: Client) -> None:
        assert url("create") in text(browser.get(url("list")))
        assert "The vault is empty" in text(browser.get(url("list")))

    @pytest.mark.parametrize("count", [2, 20])
    def test_it_asks_as_many_queries_for_twenty_as_for_two(
        self, browser: Client, alice: User, django_assert_max_num_queries: Any, count: int
    ) -> None:
        for number in range(count):
            make_account(alice, f"Alpha {number}", api_key=make_key(alice, name=f"Key {number}"))
        browser.get(url("list"))  # what a session writes on its first page is not the list's
        with django_assert_max_num_queries(7):
            browser.get(url("list"))


class TestForms:
    def test_a_new_key_lands_in_the_vault(self, browser: Client) -> None:
        values = {"name": "Northwind", "secret": f" {SECRET} ", "expires_at": ""}
        answer = browser.post(url("create"), values)
        key = ApiKey.objects.get()
        assert answer.headers["Location"] == url("detail", key)
        assert key.secret == f" {SECRET} "  # blanks belong to it
        row = ApiKeyAuditLog.objects.get()
        assert (row.action, row.actor_name, row.ip_address) == ("created", "alice", "127.0.0.1")

    def test_it_keeps_what_was_typed_but_not_the_secret(self, browser: Client) -> None:
        values = {"name": "Northwind", "secret": SECRET, "expires_at": "2001-01-01T00:00"}
        page = text(browser.post(url("create"), values))
        assert "Choose a moment in the future" in page
        assert 'value="Northwind"' in page
        assert 'value="2001-01-01T00:00"' in page
        assert "Type it again: a password is never sent back." in page
        assert SECRET not in page

    def test_an_edit_that_touches_nothing_moves_nothing(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        ApiKey.objects.update(expires_at=timezone.now() + timedelta(days=2, seconds=7))
        before = ApiKey.objects.get().expires_at
        shown = browser.get(url("update", key)).context["form"]["expires_at"].value()
        values = {"name": "Other", "expires_at": f"{shown:%Y-%m-%dT%H:%M}", "is_active": "on"}
        assert browser.post(url("update", key), values).status_code == 302
        after = ApiKey.objects.get()
        assert (after.name, after.expires_at, after.status) == ("Other", before, "active")

    def test_it_switches_a_key_off_and_on(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        browser.post(url("update", key), {"name": key.name, "expires_at": ""})
        assert ApiKey.objects.get().status == "inactive"
        page = text(browser.get(url("detail", key)))
        assert "Inactive" in page
        browser.post(url("update", key), {"name": key.name, "expires_at": "", "is_active": "on"})
        assert ApiKey.objects.get().status == "active"

    def test_a_later_expiry_brings_an_expired_key_back(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        ApiKey.objects.update(status="expired", expires_at=timezone.now() - timedelta(days=1))
        later = timezone.now() + timedelta(days=30)
        values = {"name": key.name, "expires_at": f"{later:%Y-%m-%dT%H:%M}"}
        browser.post(url("update", key), values)
        assert ApiKey.objects.get().status == "active"

    def test_rotating_tells_whom_it_reconnects_and_replaces(
        self, browser: Client, alice: User
    ) -> None:
        key = make_key(alice)
        make_account(alice, "Alpha 1", api_key=key, state="connected")
        make_account(alice, "Idle", api_key=key)
        page = text(browser.get(url("rotate", key)))
        assert "1 account logs in again with the new one: Alpha 1." in page
        assert SECRET not in page
        wrong = text(browser.post(url("rotate", key), {"secret": "sesame\tstreet"}))
        assert "cannot be typed" in wrong
        assert "sesame" not in wrong
        assert browser.post(url("rotate", key), {"secret": "An0ther!"}).status_code == 302
        assert ApiKey.objects.get().secret == "An0ther!"

    def test_a_form_that_is_not_understood_leaves_a_row(self, browser: Client, alice: User) -> None:
        key = make_key(alice, name="Northwind")
        browser.post(url("rotate", key), {"secret": ""})
        browser.post(url("update", key), {"name": "Renamed", "expires_at": "soon"})
        rows = ApiKeyAuditLog.objects.filter(key_id=key.pk).order_by("id")
        assert list(rows.values_list("key_name", "action", "outcome", "message")) == [
            ("Northwind", "rotated", "failed", "Not understood: secret."),
            ("Northwind", "updated", "failed", "Not understood: expires_at."),
        ]

    def test_revoking_says_what_goes_and_destroys_it(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        make_account(alice, "Alpha 1", api_key=key, state="connected")
        assert "Alpha 1" in text(browser.get(url("revoke", key)))
        assert ApiKey.objects.get().status == "active"
        browser.post(url("revoke", key))
        assert (ApiKey.objects.get().status, ApiKey.objects.get().secret) == ("revoked", None)
        page = text(browser.get(url("detail", key)))
        assert "is revoked, and its password destroyed" in page
        assert url("rotate", key) not in page
        answer = browser.post(url("rotate", key), {"secret": "another"})
        assert "is revoked" in text(answer)


class TestVerification:
    def test_it_shows_its_progress_and_stops_asking_when_it_ended(
        self, browser: Client, alice: User
    ) -> None:
        key = make_key(alice)
        accounts = [make_account(alice, f"Alpha {number}", api_key=key) for number in (1, 2)]
        part = text(browser.post(url("verify", key), headers={"HX-Request": "true"}))
        assert "Being verified" in part
        assert f'hx-get="{url("verification", key)}"' in part
        assert part.count("Logging in…") == 2
        question = ApiKeyAuditLog.objects.get(reason="asked").pk
        for account, reason in zip(accounts, (Reason.NONE, Reason.WRONG_PASSWORD), strict=True):
            proof = LoginProof(account.pk, account.name, reason)
            note_proofs(key_id=key.pk, question=question, proofs=[proof], now=timezone.now())
            part = text(browser.get(url("verification", key)))
        assert "Verification failed" in part
        assert "Alpha 2: The broker refused the login" in part
        assert ("Logged in" in part, "Not logged in" in part) == (True, True)
        assert "hx-trigger" not in part

    def test_a_refusal_stands_beside_the_button(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        make_account(alice, api_key=key)
        browser.post(url("verify", key))
        part = text(browser.post(url("verify", key), headers={"HX-Request": "true"}))
        assert "It is being verified already" in part

    def test_without_a_script_the_page_comes_back(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        answer = browser.post(url("verify", key))
        assert answer.headers["Location"] == url("detail", key)
        assert "The secret opens; no account uses this key" in text(browser.get(url("detail", key)))
        assert browser.get(url("verify", key)).status_code == 405


class TestTrail:
    def test_it_is_filtered_by_what_outcome_and_date(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        browser.post(url("rotate", key), {"secret": "An0ther!"})
        browser.post(url("rotate", key), {"secret": "bad\tone"})
        everything = browser.get(url("audit", key)).context["entries"]
        assert [entry.outcome for entry in everything] == ["failed", "allowed"]

        def count(**query: Any) -> int:
            return len(browser.get(url("audit", key), query).context["entries"])

        today = timezone.now().date()
        assert count(outcome="failed") == 1
        assert count(action="revoked") == 0
        assert count(since=today, until=today) == 2
        assert count(since=today + timedelta(days=1)) == 0
        assert count(until=today - timedelta(days=1)) == 0
        # What is no day that anybody means is not asked.
        assert count(since="0001-01-01") == count(until="9999-12-31") == len(everything)
        assert count(since="nonsense", action="nonsense") == 2

    def test_its_pages_keep_the_filters(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        ApiKeyAuditLog.objects.bulk_create(
            ApiKeyAuditLog(
                key_id=key.pk, key_name="N", user_id=alice.pk, action="used", outcome="allowed",
                created_at=timezone.now(),
            )
            for _ in range(31)
        )  # fmt: skip
        answer = browser.get(url("audit", key), {"action": "used", "page": "2"})
        assert len(answer.context["entries"]) == 1
        assert "?action=used&amp;page=1" in text(answer)

    def test_a_strangers_address_is_not_shown_to_the_owner(
        self, browser: Client, alice: User, charlie: User
    ) -> None:
        key = make_key(alice)
        stranger = Client(REMOTE_ADDR="198.51.100.9")
        stranger.force_login(charlie)
        assert stranger.get(url("detail", key)).status_code == 404
        page = text(browser.get(url("audit", key)))
        assert "Somebody else" in page
        assert "charlie" not in page
        assert "198.51.100.9" not in page


class TestOthers:
    @pytest.mark.parametrize("name", NAMES)
    def test_a_stranger_finds_no_page(
        self, client: Client, alice: User, charlie: User, name: str
    ) -> None:
        key = make_key(alice)
        client.force_login(charlie)
        assert client.get(url(name, key)).status_code == 404
        row = ApiKeyAuditLog.objects.get()
        assert (row.user_id, row.actor_id, row.outcome) == (alice.pk, charlie.pk, "refused")

    def test_a_stranger_changes_nothing(self, client: Client, alice: User, charlie: User) -> None:
        key = make_key(alice)
        before = ApiKey.objects.values().get()
        client.force_login(charlie)
        for name in ("update", "rotate", "revoke", "verify"):
            values = {"name": "Mine", "secret": "another", "is_active": "on"}
            assert client.post(url(name, key), values).status_code == 404
        assert ApiKey.objects.values().get() == before
        assert set(ApiKeyAuditLog.objects.values_list("action", flat=True)) == {
            "updated", "rotated", "revoked", "verified",
        }  # fmt: skip

    @pytest.mark.parametrize("name", [*NAMES, "list", "create"])
    def test_nobody_is_led_to_the_sign_in(self, client: Client, alice: User, name: str) -> None:
        key = make_key(alice) if name in NAMES else None
        answer = client.get(url(name, key))
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/login?next=")
        assert not ApiKeyAuditLog.objects.exists()

    def test_no_page_holds_the_secret(self, browser: Client, alice: User) -> None:
        key = make_key(alice)
        make_account(alice, api_key=key)
        for name in NAMES:
            answer = browser.get(url(name, key))
            assert answer.status_code == 200
            assert SECRET not in text(answer)
