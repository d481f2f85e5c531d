"""What the sessions of a host do with the keys: counted, recorded, and logged in anew."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import AccountConnection, ApiKey, ApiKeyAuditLog, ConnectedAccount, User
from accounts.origin import Origin
from accounts.services.key_uses import KeyUse, record_uses
from accounts.services.keys import revoke_key, rotate_secret, update_key
from accounts.sessions.host import HostSessions
from accounts.sessions.logins import log_in
from accounts.sessions.poll import Attempt
from accounts.sessions.states import Reason
from accounts.terminals.codes import LOGIN_UNDER_WAY
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import NOW, make_account, make_key
from accounts.tests.key_stage import account_at, trail

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


def use_of(key: ApiKey, reason: str = "", message: str = "", **fields: Any) -> KeyUse:
    return KeyUse(ApiKey.objects.get(pk=key.pk), key.pk, "Alpha 1", reason, message, **fields)


class TestCounting:
    @pytest.mark.parametrize("count", [2, 40])
    def test_a_batch_is_one_update_and_one_insert(
        self, alice: User, django_assert_num_queries: Any, count: int
    ) -> None:
        uses = [
            use_of(make_key(alice), "wrong_password" if number % 2 else "", f"No {number % 5}")
            for number in range(count)
        ]
        with django_assert_num_queries(4):  # a savepoint around them
            record_uses(uses=uses, now=NOW)
        assert ApiKeyAuditLog.objects.count() == count

    def test_it_counts_each_key_by_itself(self, alice: User) -> None:
        good, bad, both = (make_key(alice) for _ in range(3))
        ApiKey.objects.update(use_count=5, error_count=7)
        before = dict(ApiKey.objects.values_list("pk", "updated_at"))
        fail = ("wrong_password", "Refused.")
        record_uses(
            uses=[
                use_of(good),
                use_of(good),
                use_of(bad, *fail),
                use_of(both),
                use_of(both, *fail),
            ],
            now=NOW,
        )
        rows = ApiKey.objects.in_bulk()
        counted = [(rows[key.pk].use_count, rows[key.pk].error_count) for key in (good, bad, both)]
        assert counted == [(7, 7), (5, 8), (6, 8)]
        assert (rows[good.pk].last_used_at, rows[good.pk].last_error_at) == (NOW, None)
        assert (rows[bad.pk].last_used_at, rows[bad.pk].last_error_at) == (None, NOW)
        assert [rows[key.pk].last_error for key in (good, bad, both)] == [
            "",
            "Refused.",
            "Refused.",
        ]
        assert dict(ApiKey.objects.values_list("pk", "updated_at")) == before

    def test_a_broker_that_is_away_does_not_fill_the_trail(self, alice: User) -> None:
        key = make_key(alice)
        for second, (reason, message) in enumerate(
            [
                ("no_answer", "Away."), ("no_answer", "Away."), ("no_answer", "Away."),
                ("wrong_password", "Refused."), ("no_answer", "Away."), ("", ""), ("", ""),
                ("no_answer", "Away."), ("no_answer", "Away."),
            ]
        ):  # fmt: skip
            record_uses(uses=[use_of(key, reason, message)], now=NOW + second * SECOND)
        assert [row[1:] for row in trail(key)] == [
            ("failed", "no_answer"), ("failed", "wrong_password"), ("failed", "no_answer"),
            ("allowed", ""), ("allowed", ""), ("failed", "no_answer"),
        ]  # fmt: skip
        assert ApiKey.objects.get().error_count == 7

    def test_nothing_used_asks_nothing(self, db: None, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            record_uses(uses=[], now=NOW)


class TestSessionLogins:
    def attempt(self, account: ConnectedAccount) -> Attempt:
        return Attempt(account.pk, 1, account.login, account.server)

    def test_they_are_counted_with_what_the_broker_said(
        self, server: TradeServer, alice: User
    ) -> None:
        good, wrong = make_key(alice, name="Good"), make_key(alice, name="Wrong")
        accounts = [account_at(server, good), account_at(server, wrong, "B", password="another")]
        log_in(server, [self.attempt(each) for each in accounts], NOW)
        assert trail(good) == [("used", "allowed", "")]
        assert trail(wrong) == [("used", "failed", "wrong_password")]
        rows = {row.name: row for row in ApiKey.objects.all()}
        assert (rows["Good"].use_count, rows["Good"].last_used_at) == (1, NOW)
        assert (rows["Wrong"].use_count, rows["Wrong"].error_count) == (0, 1)
        assert rows["Wrong"].last_error == Reason.WRONG_PASSWORD.sentence

    @pytest.mark.parametrize(
        ("fields", "reason", "word"),
        [
            ({"status": "inactive"}, "inactive", "is switched off"),
            ({"status": "expired"}, "expired", "has expired"),
            ({"expires_at": NOW}, "expired", "has expired"),
            ({"status": "revoked", "secret": None}, "revoked", "is revoked"),
        ],
    )
    def test_a_key_out_of_use_is_refused_and_the_trader_reads_why(
        self, server: TradeServer, alice: User, fields: dict[str, Any], reason: str, word: str
    ) -> None:
        key = make_key(alice, name="Northwind")
        account = account_at(server, key)
        ApiKey.objects.update(**fields)
        [result] = log_in(server, [self.attempt(account)], NOW)
        assert result.reason is Reason.CREDENTIALS_MISSING
        assert result.message == f"The key “Northwind” {word}."
        assert trail(key) == [("used", "refused", reason)]

    def test_a_login_under_way_counts_for_nothing_yet(self, alice: User) -> None:
        class Slow:
            def authorise_many(self, _credentials: Any) -> list[int]:
                return [LOGIN_UNDER_WAY]

        key = make_key(alice)
        account = make_account(alice, api_key=key)
        [result] = log_in(Slow(), [self.attempt(account)], NOW)  # type: ignore[arg-type]
        assert result.reason is Reason.UNDER_WAY
        assert (ApiKey.objects.get().use_count, ApiKey.objects.get().error_count) == (0, 0)
        assert trail(key) == []


class TestRotatingUnderWay:
    """What the sessions of a host make of a new password."""

    def worker(self, server: TradeServer) -> Any:
        return HostSessions("local", server, is_inline=True, random=lambda: 0.5)

    def run(self, sessions: Any, start: float, seconds: float) -> None:
        for tick in range(round(seconds / 0.2)):
            at = start + tick * 0.2
            sessions.poll(NOW + timedelta(seconds=at), at)
            sessions.flush()
            sessions.commit_cursors()

    @pytest.mark.parametrize(
        ("new", "state", "reason"),
        [("An0ther!", "connected", ""), ("mistyped", "error", "wrong_password")],
    )
    def test_a_connected_session_logs_in_with_the_new_password(
        self, server: TradeServer, alice: User, origin: Origin, new: str, state: str, reason: str
    ) -> None:
        key = make_key(alice)
        account = account_at(server, key, state="connecting")
        sessions = self.worker(server)
        self.run(sessions, 0.0, 2.0)
        assert AccountConnection.objects.get().state == "connected"
        server.change_password(account.login, "An0ther!")
        rotate_secret(key=key, secret=new, origin=origin, now=NOW + 2 * SECOND)
        self.run(sessions, 2.0, 6.0)
        row = AccountConnection.objects.get()
        assert (row.state, row.reason) == (state, reason)
        assert ApiKey.objects.get().use_count == (2 if state == "connected" else 1)

    def test_renaming_and_counting_log_nobody_in_anew(
        self, server: TradeServer, alice: User, origin: Origin
    ) -> None:
        key = make_key(alice)
        account_at(server, key, state="connecting")
        sessions = self.worker(server)
        self.run(sessions, 0.0, 2.0)
        update_key(key=key, name="Other", origin=origin, now=NOW)
        record_uses(uses=[use_of(key, "no_answer", "Away.")], now=NOW)
        self.run(sessions, 2.0, 3.0)
        assert ApiKey.objects.get().use_count == 1

    @pytest.mark.parametrize("way", ["expires", "is switched off", "is revoked"])
    def test_a_key_that_opens_no_more_ends_the_session(
        self, server: TradeServer, alice: User, origin: Origin, way: str
    ) -> None:
        key = make_key(alice)
        account_at(server, key, state="connecting")
        ApiKey.objects.update(expires_at=NOW + 2.5 * SECOND if way == "expires" else None)
        sessions = self.worker(server)
        self.run(sessions, 0.0, 2.0)
        assert AccountConnection.objects.get().state == "connected"
        if way == "is switched off":
            update_key(key=key, status="inactive", origin=origin, now=NOW + 2 * SECOND)
        elif way == "is revoked":
            revoke_key(key=key, origin=origin, now=NOW + 2 * SECOND)
        self.run(sessions, 2.0, 3.0)
        row = AccountConnection.objects.get()
        expected = "disconnected" if way == "is revoked" else "error"
        assert (row.state, row.reason) == (expected, "credentials_missing")
        assert not sessions.pool.table.rows["is_authorised"].any()

    def test_a_key_switched_on_again_connects_by_itself(
        self, server: TradeServer, alice: User, origin: Origin
    ) -> None:
        key = make_key(alice)
        account_at(server, key, state="connecting")
        sessions = self.worker(server)
        self.run(sessions, 0.0, 2.0)
        update_key(key=key, status="inactive", origin=origin, now=NOW + 2 * SECOND)
        self.run(sessions, 2.0, 3.0)
        update_key(key=key, status="active", origin=origin, now=NOW + 5 * SECOND)
        self.run(sessions, 5.0, 3.0)
        assert AccountConnection.objects.get().state == "connected"
