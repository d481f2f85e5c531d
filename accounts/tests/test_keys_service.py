"""The life of a key: what it does to sessions, what it leaves in the trail."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import AccountConnection, ApiKey, ApiKeyAuditLog, ConnectedAccount, User
from accounts.origin import Origin
from accounts.refusals import Refusal
from accounts.services import locks
from accounts.services.key_trail import note_stranger, refusals_kept
from accounts.services.keys import (
    LONGEST_SECRET,
    assign_key,
    create_key,
    expire_keys,
    revoke_key,
    rotate_secret,
    update_key,
)
from accounts.tests.factories import NOW, SECRET, make_account, make_key
from accounts.tests.key_stage import trail

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


def connection_of(account: ConnectedAccount) -> AccountConnection:
    return AccountConnection.objects.get(account=account)


def now_of(key: ApiKey) -> ApiKey:
    return ApiKey.objects.get(pk=key.pk)


class Hold:
    """A violation that holds these accounts."""

    def __init__(self, *accounts: ConnectedAccount) -> None:
        self.ids = {account.pk for account in accounts}

    def reasons(self, *, account_ids: Any) -> dict[Any, str]:
        return {
            each: "the rule “Daily loss” is violated" for each in account_ids if each in self.ids
        }


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    held = Hold()
    monkeypatch.setattr(locks, "_locks", [held])
    return held


class TestCreating:
    def test_it_stores_the_secret_and_says_who_did(self, alice: User, origin: Origin) -> None:
        key = create_key(user=alice, name="Northwind", secret=SECRET, origin=origin, now=NOW)
        assert now_of(key).secret == SECRET
        row = ApiKeyAuditLog.objects.get()
        assert (row.key_id, row.key_name, row.user_id) == (key.pk, "Northwind", alice.pk)
        assert (row.action, row.outcome, row.created_at) == ("created", "allowed", NOW)
        assert (row.actor_id, row.actor_name) == (alice.pk, "alice")
        assert (row.ip_address, row.user_agent) == ("203.0.113.7", "Firefox")

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"secret": ""}, "secret"),
            ({"secret": "x" * (LONGEST_SECRET + 1)}, "secret"),
            ({"secret": "two\nlines"}, "secret"),
            ({"name": "two\nlines"}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"expires_at": NOW}, "expires_at"),
            ({"expires_at": NOW + timedelta(days=3654)}, "expires_at"),
        ],
    )
    def test_bad_input_is_named_and_leaves_a_row(
        self, alice: User, origin: Origin, fields: dict[str, Any], wrong: str
    ) -> None:
        values = {"name": "Northwind", "secret": SECRET, **fields}
        with pytest.raises(ValidationError) as caught:
            create_key(user=alice, origin=origin, now=NOW, **values)
        assert set(caught.value.message_dict) == {wrong}
        assert not ApiKey.objects.exists()
        row = ApiKeyAuditLog.objects.get()
        assert (row.action, row.outcome, row.reason) == ("created", "failed", "invalid")
        assert 0 < len(row.key_name) <= 100

    def test_the_longest_secret_and_the_last_moment_are_taken(self, alice: User) -> None:
        key = create_key(
            user=alice,
            name="x" * 100,
            secret="x" * LONGEST_SECRET,
            expires_at=NOW + timedelta(days=3653),
            now=NOW,
        )
        assert now_of(key).is_usable(NOW)


class TestUpdating:
    def test_it_renames_without_logging_in_anew(
        self, alice: User, origin: Origin, django_capture_on_commit_callbacks: Any
    ) -> None:
        key = make_key(alice)
        account = make_account(alice, api_key=key, state="connected")
        with django_capture_on_commit_callbacks() as callbacks:
            update_key(key=key, origin=origin, now=NOW, name="Other")
        assert callbacks == []
        assert connection_of(account).state == "connected"
        assert now_of(key).name == "Other"
        assert trail(key) == [("updated", "allowed", "")]
        assert ApiKeyAuditLog.objects.get().message == "Changed: name."

    def test_switching_off_has_the_host_look_and_on_again_connects(
        self, alice: User, origin: Origin, django_capture_on_commit_callbacks: Any
    ) -> None:
        key = make_key(alice)
        account = make_account(alice, api_key=key, state="error")
        make_account(alice, "Idle", api_key=key)
        with django_capture_on_commit_callbacks() as callbacks:
            update_key(key=key, origin=origin, now=NOW, status="inactive")
        assert len(callbacks) == 1  # the idle account has no session to end
        assert connection_of(account).is_wanted
        update_key(key=key, origin=origin, now=NOW, status="active")
        assert connection_of(account).state == "connecting"
        assert not AccountConnection.objects.get(account__name="Idle").is_wanted

    def test_a_later_expiry_brings_an_expired_key_back(self, alice: User, origin: Origin) -> None:
        key = make_key(alice)
        ApiKey.objects.update(status="expired", expires_at=NOW - SECOND)
        account = make_account(alice, api_key=key, state="error")
        with pytest.raises(ValidationError) as caught:
            update_key(key=key, origin=origin, now=NOW, status="active")
        assert set(caught.value.message_dict) == {"expires_at"}
        update_key(key=key, origin=origin, now=NOW, expires_at=NOW + SECOND)
        assert now_of(key).status == "active"
        assert connection_of(account).state == "connecting"
        assert [row[1] for row in trail(key)] == ["failed", "allowed"]

    def test_an_expired_key_can_be_renamed_as_it_is(self, alice: User, origin: Origin) -> None:
        key = make_key(alice)
        ApiKey.objects.update(status="expired", expires_at=NOW - SECOND)
        over = NOW - SECOND
        update_key(key=key, origin=origin, now=NOW, name="Old", expires_at=over, status="expired")
        assert (now_of(key).name, now_of(key).status) == ("Old", "expired")

    @pytest.mark.parametrize("status", ["expired", "revoked", "nonsense"])
    def test_other_statuses_are_not_set_by_hand(
        self, alice: User, origin: Origin, status: str
    ) -> None:
        key = make_key(alice)
        with pytest.raises(ValidationError) as caught:
            update_key(key=key, origin=origin, now=NOW, status=status)
        assert set(caught.value.message_dict) == {"status"}
        assert now_of(key).status == "active"
        assert trail(key) == [("updated", "failed", "invalid")]

    @pytest.mark.parametrize(("seconds", "is_usable"), [(-1, True), (0, False), (1, False)])
    def test_a_key_opens_until_the_moment_it_expires(
        self, alice: User, seconds: int, is_usable: bool
    ) -> None:
        key = create_key(user=alice, name="K", secret=SECRET, expires_at=NOW + SECOND, now=NOW)
        at = NOW + SECOND + timedelta(seconds=seconds)
        assert key.is_usable(at) is is_usable
        assert key.status_at(at) == ("active" if is_usable else "expired")


class TestRotating:
    def test_it_logs_only_wanted_accounts_in_again(self, alice: User, origin: Origin) -> None:
        key = make_key(alice)
        wanted = make_account(alice, api_key=key, state="connected")
        idle = make_account(alice, "Idle", api_key=key)
        rotate_secret(key=key, secret="another", origin=origin, now=NOW)
        assert now_of(key).secret == "another"
        assert now_of(key).rotated_at == NOW
        assert connection_of(wanted).state == "connecting"
        assert not connection_of(idle).is_wanted
        assert trail(key) == [("rotated", "allowed", "")]

    def test_what_was_verified_before_says_nothing_of_the_new_one(
        self, alice: User, origin: Origin
    ) -> None:
        key = make_key(alice)
        ApiKey.objects.update(verification="succeeded", verified_at=NOW, verification_message="ok")
        rotate_secret(key=key, secret="another", origin=origin, now=NOW)
        assert (now_of(key).verification, now_of(key).verified_at) == ("never", None)

    def test_a_key_that_is_off_gets_its_secret_and_stays_off(
        self, alice: User, origin: Origin
    ) -> None:
        key = make_key(alice)
        account = make_account(alice, api_key=key, state="error")
        ApiKey.objects.update(status="inactive")
        rotate_secret(key=key, secret="another", origin=origin, now=NOW)
        assert (now_of(key).secret, now_of(key).status) == ("another", "inactive")
        assert connection_of(account).state == "error"

    def test_a_wrong_secret_leaves_the_old_one_and_a_row_without_it(
        self, alice: User, origin: Origin
    ) -> None:
        key = make_key(alice)
        with pytest.raises(ValidationError) as caught:
            rotate_secret(key=key, secret="hidden\nword", origin=origin, now=NOW)
        assert "hidden" not in str(caught.value)
        assert now_of(key).secret == SECRET
        assert trail(key) == [("rotated", "failed", "invalid")]
        assert "hidden" not in ApiKeyAuditLog.objects.get().message


class TestRevoking:
    def test_it_destroys_the_secret_and_ends_the_sessions(
        self, alice: User, origin: Origin
    ) -> None:
        key = make_key(alice)
        accounts = [
            make_account(alice, f"Alpha {number}", api_key=key, state="connected")
            for number in range(2)
        ]
        revoke_key(key=key, origin=origin, now=NOW)
        row = now_of(key)
        assert (row.status, row.secret, row.revoked_at) == ("revoked", None, NOW)
        for account in accounts:
            connection = connection_of(account)
            assert (connection.state, connection.is_wanted) == ("disconnected", False)
            assert connection.reason == "credentials_missing"
            assert connection.last_error.startswith("No active broker password")
        assert trail(key) == [("revoked", "allowed", "")]

    def test_a_revoked_key_stays_as_it_is(self, alice: User, origin: Origin) -> None:
        key = make_key(alice)
        revoke_key(key=key, origin=origin, now=NOW)
        changes: list[Callable[[], object]] = [
            lambda: revoke_key(key=key, origin=origin, now=NOW),
            lambda: rotate_secret(key=key, secret="another", origin=origin, now=NOW),
            lambda: update_key(key=key, origin=origin, now=NOW, status="active"),
        ]
        for change in changes:
            with pytest.raises(Refusal) as caught:
                change()
            assert caught.value.code == "revoked"
        assert (now_of(key).status, now_of(key).secret) == ("revoked", None)
        assert trail(key)[1:] == [
            ("revoked", "refused", "revoked"),
            ("rotated", "refused", "revoked"),
            ("updated", "refused", "revoked"),
        ]


class TestHeldAccounts:
    def test_nobody_blinds_the_guard_over_a_locked_account(
        self, alice: User, origin: Origin, hold: Hold
    ) -> None:
        key = make_key(alice)
        ApiKey.objects.update(expires_at=NOW + timedelta(days=9))
        account = make_account(alice, "Alpha 1", api_key=key, state="connected")
        hold.ids.add(account.pk)
        sooner = NOW + timedelta(days=9) - SECOND
        changes: list[tuple[Callable[[], object], str]] = [
            (lambda: revoke_key(key=key, origin=origin, now=NOW), "revoked"),
            (lambda: update_key(key=key, origin=origin, now=NOW, status="inactive"), "deactivated"),
            (lambda: update_key(key=key, origin=origin, now=NOW, expires_at=sooner), "sooner"),
        ]
        for change, word in changes:
            with pytest.raises(Refusal) as caught:
                change()
            assert caught.value.code == "locked"
            assert "Alpha 1" in caught.value.sentence
            assert "“Daily loss” is violated" in caught.value.sentence
            assert word in caught.value.sentence
        assert now_of(key).is_usable(NOW)
        assert connection_of(account).state == "connected"
        assert {row[1:] for row in trail(key)} == {("refused", "locked")}
        assert len(trail(key)) == 3

    def test_it_may_be_renamed_rotated_and_live_longer(
        self, alice: User, origin: Origin, hold: Hold
    ) -> None:
        key = make_key(alice)
        ApiKey.objects.update(expires_at=NOW + SECOND)
        hold.ids.add(make_account(alice, api_key=key).pk)
        rotate_secret(key=key, secret="another", origin=origin, now=NOW)
        update_key(key=key, origin=origin, now=NOW, name="Other", expires_at=NOW + 2 * SECOND)
        update_key(key=key, origin=origin, now=NOW, expires_at=None)
        assert now_of(key).expires_at is None

    def test_a_lock_elsewhere_holds_nothing_here(
        self, alice: User, origin: Origin, hold: Hold
    ) -> None:
        key = make_key(alice)
        hold.ids.add(make_account(alice, with_key=True).pk)
        revoke_key(key=key, origin=origin, now=NOW)
        assert now_of(key).status == "revoked"


class TestExpiring:
    def test_it_marks_what_is_over_and_leaves_the_rest(
        self, alice: User, django_capture_on_commit_callbacks: Any
    ) -> None:
        def key(name: str, **fields: Any) -> ApiKey:
            made = make_key(alice, name=name)
            ApiKey.objects.filter(pk=made.pk).update(**fields)
            return made

        over = key("Over", expires_at=NOW)
        key("Off", expires_at=NOW - SECOND, status="inactive")
        key("Soon", expires_at=NOW + SECOND)
        key("Never")
        key("Gone", expires_at=NOW - SECOND, status="revoked", secret=None)
        make_account(alice, api_key=over, state="connected")
        make_account(alice, "Idle", api_key=over)
        with django_capture_on_commit_callbacks() as callbacks:
            assert {each.name for each in expire_keys(now=NOW)} == {"Over", "Off"}
        # The host of the connected account looks at once.
        assert sum("_send_on_commit" in each.__qualname__ for each in callbacks) == 1
        assert dict(ApiKey.objects.values_list("name", "status")) == {
            "Over": "expired", "Off": "expired", "Soon": "active", "Never": "active",
            "Gone": "revoked",
        }  # fmt: skip
        assert trail(over) == [("expired", "allowed", "")]
        assert ApiKeyAuditLog.objects.filter(key_id=over.pk).get().actor_id is None
        assert expire_keys(now=NOW) == []


class TestAssigning:
    def test_it_is_recorded_with_the_account(self, alice: User, origin: Origin) -> None:
        key, account = make_key(alice), make_account(alice)
        assign_key(key=key, account=account, origin=origin, now=NOW)
        row = ApiKeyAuditLog.objects.get()
        assert (row.action, row.outcome, row.account_id) == ("assigned", "allowed", account.pk)

    def test_a_strangers_key_and_one_that_is_over_are_not_found(
        self, alice: User, bob: User, origin: Origin
    ) -> None:
        account, foreign, over = make_account(alice), make_key(bob), make_key(alice)
        ApiKey.objects.filter(pk=over.pk).update(expires_at=NOW)
        for key in (foreign, now_of(over)):
            with pytest.raises(ValidationError) as caught:
                assign_key(key=key, account=account, origin=origin, now=NOW)
            assert caught.value.message_dict == {"api_key": ["not found"]}
            assert trail(key) == [("assigned", "failed", "invalid")]


class TestTrail:
    def test_a_refusal_outlives_the_transaction_around_it(
        self, alice: User, origin: Origin
    ) -> None:
        key = make_key(alice)

        @refusals_kept()
        @transaction.atomic
        def change_account_and_key() -> None:
            make_account(alice, "Rolled back")
            rotate_secret(key=key, secret="another", origin=origin, now=NOW)
            rotate_secret(key=key, secret="", origin=origin, now=NOW)

        with pytest.raises(ValidationError):
            change_account_and_key()
        assert not ConnectedAccount.objects.exists()
        assert now_of(key).secret == SECRET
        assert trail(key) == [("rotated", "failed", "invalid")]

    def test_a_strangers_look_is_told_to_the_owner_once_a_minute(
        self, alice: User, charlie: User
    ) -> None:
        key = make_key(alice)
        stranger = Origin(charlie.pk, "charlie", "198.51.100.9", "curl")
        for seconds in (0, 59, 60, 61):
            note_stranger(
                key_id=key.pk,
                action="viewed",
                origin=stranger,
                now=NOW + timedelta(seconds=seconds),
            )
        assert trail(key) == [("viewed", "refused", "stranger")] * 2
        note_stranger(key_id=key.pk, action="revoked", origin=stranger, now=NOW)
        assert trail(key)[-1] == ("revoked", "refused", "stranger")
        assert set(ApiKeyAuditLog.objects.values_list("user_id", "actor_id")) == {
            (alice.pk, charlie.pk)
        }

    def test_a_key_that_does_not_exist_leaves_no_row(self, charlie: User) -> None:
        origin = Origin(charlie.pk, "charlie")
        note_stranger(key_id=uuid4(), action="viewed", origin=origin, now=NOW)
        assert not ApiKeyAuditLog.objects.exists()
