"""Verifying a key from the request to the broker and back, and counting the sessions' logins."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from accounts.models import AccountConnection, ApiKey, ApiKeyAuditLog, ConnectedAccount, User
from accounts.origin import Origin
from accounts.refusals import Refusal
from accounts.services import key_verification
from accounts.services.key_uses import KeyUse, record_uses
from accounts.services.key_verification import (
    MOST_PER_MINUTE,
    NO_ACCOUNT,
    LoginProof,
    close_overdue_verifications,
    note_proofs,
    request_verification,
)
from accounts.services.keys import revoke_key, rotate_secret, update_key
from accounts.sessions import verification
from accounts.sessions.host import HostSessions
from accounts.sessions.logins import log_in
from accounts.sessions.poll import Attempt
from accounts.sessions.states import Reason
from accounts.sessions.verification import verify_on_host
from accounts.task_messages import TaskMessage
from accounts.tasks import close_verifications, expire_keys, verify_key
from accounts.terminals.base import AUTHORIZATION_FAILED, IPC_TIMEOUT, LOGIN_UNDER_WAY
from accounts.terminals.registry import NO_TERMINALS, NoTerminals, register, unregister
from accounts.terminals.simulated.link import LinkError
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import NOW, SECRET, make_account, make_host, make_key

pytestmark = pytest.mark.django_db

SERVER = "Example-Demo"
SECOND = timedelta(seconds=1)


@pytest.fixture
def server() -> Iterator[TradeServer]:
    server = TradeServer(clock=NOW.timestamp, feed=False)
    register("local", server)
    yield server
    unregister("local")
    server.close()


@pytest.fixture
def origin(alice: User) -> Origin:
    return Origin(alice.pk, "alice", "203.0.113.7", "Firefox")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[TaskMessage]:
    """Catch the messages on their way to the workers."""
    messages: list[TaskMessage] = []

    def put(message: TaskMessage) -> bool:
        messages.append(message)
        return True

    monkeypatch.setattr(key_verification, "enqueue", put)
    return messages


class Asking:
    """Asks for a verification and plays the workers that its messages go to."""

    def __init__(self, origin: Origin, sent: list[TaskMessage], capture: Any) -> None:
        self.origin, self.sent, self._capture = origin, sent, capture

    def ask(self, key: ApiKey, seconds: float = 0) -> ApiKey:
        with self._capture(execute=True):
            return request_verification(
                key=key, origin=self.origin, now=NOW + timedelta(seconds=seconds)
            )

    def answer(self) -> None:
        while self.sent:
            host, key_id, question = self.sent.pop(0).arguments
            verify_key(host, key_id, question)


@pytest.fixture
def asking(
    origin: Origin, sent: list[TaskMessage], django_capture_on_commit_callbacks: Any
) -> Asking:
    return Asking(origin, sent, django_capture_on_commit_callbacks)


def account_at(
    server: TradeServer, key: ApiKey, name: str = "Alpha 1", password: str = SECRET, **fields: Any
) -> ConnectedAccount:
    account = make_account(key.user, name, api_key=key, server=SERVER, **fields)
    server.create_account(account.login, password, SERVER, account.name, deposit=10_000.0)
    return account


def trail(key: ApiKey) -> list[tuple[str, str, str]]:
    rows = ApiKeyAuditLog.objects.filter(key_id=key.pk).order_by("id")
    return list(rows.values_list("action", "outcome", "reason"))


def result_of(key: ApiKey) -> tuple[str, str]:
    row = ApiKey.objects.get(pk=key.pk)
    return row.verification, row.verification_message


class TestVerifying:
    def test_the_right_password_is_taken_by_the_broker(
        self, server: TradeServer, alice: User, asking: Asking
    ) -> None:
        key = make_key(alice)
        account = account_at(server, key)
        before = ApiKey.objects.get().updated_at
        asking.ask(key)
        assert result_of(key) == ("pending", "")
        [message] = asking.sent
        assert (message.task, message.queue) == ("accounts.verify_key", "terminals.local")
        assert SECRET not in repr(message)
        asking.answer()
        assert result_of(key) == ("succeeded", "The broker takes it: Alpha 1.")
        assert ApiKey.objects.get().verified_at is not None
        assert ApiKey.objects.get().updated_at == before
        assert trail(key) == [("verified", "allowed", "asked"), ("verified", "allowed", "")]
        assert ApiKeyAuditLog.objects.first().account_id == account.pk  # type: ignore[union-attr]

    def test_a_wrong_password_is_told_as_the_broker_tells_it(
        self, server: TradeServer, alice: User, asking: Asking
    ) -> None:
        key = make_key(alice)
        account_at(server, key, password="changed at the broker")
        asking.ask(key)
        asking.answer()
        result, message = result_of(key)
        assert result == "failed"
        assert message.startswith("Alpha 1: The broker refused the login: check account number")
        assert trail(key)[-1] == ("verified", "failed", "wrong_password")

    def test_a_broker_that_is_away_is_told(self, alice: User, asking: Asking) -> None:
        class Away:
            def authorise_many(self, _credentials: Any) -> list[int]:
                raise LinkError(IPC_TIMEOUT)

        register("local", Away())  # type: ignore[arg-type]  # the one call that is made
        try:
            key = make_key(alice)
            make_account(alice, api_key=key)
            asking.ask(key)
            asking.answer()
        finally:
            unregister("local")
        assert result_of(key) == ("failed", "Alpha 1: The terminal does not answer.")

    def test_a_host_without_terminals_says_so(self, alice: User, asking: Asking) -> None:
        key = make_key(alice)
        make_account(alice, api_key=key)
        register("local", NoTerminals())
        try:
            asking.ask(key)
            asking.answer()
        finally:
            unregister("local")
        assert result_of(key) == ("failed", f"Alpha 1: {NO_TERMINALS}")

    def test_a_secret_that_does_not_open_never_leaves(
        self, server: TradeServer, alice: User, asking: Asking, settings: Any
    ) -> None:
        key = make_key(alice)
        account_at(server, key)
        settings.MASTER_KEY = "another master key, long enough to be one"
        assert asking.ask(key).verification == "failed"
        assert asking.sent == []
        assert result_of(key)[1] == Reason.CREDENTIALS_UNREADABLE.sentence
        assert trail(key) == [("verified", "failed", "credentials_unreadable")]

    def test_a_worker_with_another_master_key_says_so(
        self, server: TradeServer, alice: User, asking: Asking, settings: Any
    ) -> None:
        key = make_key(alice)
        account_at(server, key)
        asking.ask(key)
        settings.MASTER_KEY = "another master key, long enough to be one"
        asking.answer()
        assert result_of(key) == ("failed", f"Alpha 1: {Reason.CREDENTIALS_UNREADABLE.sentence}")

    def test_without_an_account_only_the_vault_is_tried(self, alice: User, asking: Asking) -> None:
        key = make_key(alice)
        assert asking.ask(key).verification == "succeeded"
        assert asking.sent == []
        assert result_of(key) == ("succeeded", NO_ACCOUNT)
        assert trail(key) == [("verified", "allowed", "")]

    def test_every_account_on_every_host_must_take_it(
        self, server: TradeServer, alice: User, asking: Asking
    ) -> None:
        key = make_key(alice)
        account_at(server, key)
        account_at(server, key, "Alpha 2", terminal_host=make_host("other"))
        register("other", server)
        try:
            asking.ask(key)
            assert [each.queue for each in asking.sent] == ["terminals.local", "terminals.other"]
            first, second = asking.sent
            verify_key(*first.arguments)
            assert result_of(key) == ("pending", "")
            verify_key(*second.arguments)
        finally:
            unregister("other")
        assert result_of(key) == ("succeeded", "The broker takes it: Alpha 1 and Alpha 2.")

    def test_one_account_that_refuses_decides(
        self, server: TradeServer, alice: User, asking: Asking
    ) -> None:
        key = make_key(alice)
        account_at(server, key)
        account_at(server, key, "Alpha 2", password="another")
        asking.ask(key)
        asking.answer()
        assert result_of(key)[0] == "failed"
        assert result_of(key)[1].startswith("Alpha 2: ")
        assert [row[1] for row in trail(key)] == ["allowed", "allowed", "failed"]

    def test_a_login_under_way_is_asked_after_until_it_ends(
        self, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(verification, "ASK_AGAIN_SECONDS", 0.0)
        answers = [[LOGIN_UNDER_WAY, 1], [LOGIN_UNDER_WAY], [AUTHORIZATION_FAILED]]
        asked: list[int] = []

        class Slow:
            def authorise_many(self, credentials: Any) -> list[int]:
                asked.append(len(credentials))
                return answers.pop(0)

        key = make_key(alice)
        for number in (1, 2):
            make_account(alice, f"Alpha {number}", api_key=key)
        register("local", Slow())  # type: ignore[arg-type]  # the one call that is made
        try:
            proofs = verify_on_host(host="local", key_id=key.pk, question=0, now=lambda: NOW)
        finally:
            unregister("local")
        assert asked == [2, 1, 1]
        assert [(each.account_name, each.reason) for each in proofs] == [
            ("Alpha 2", Reason.NONE), ("Alpha 1", Reason.WRONG_PASSWORD),
        ]  # fmt: skip

    def test_a_login_that_never_ends_is_given_up(
        self, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(verification, "LOGIN_SECONDS", 0.0)

        class Hung:
            def authorise_many(self, _credentials: Any) -> list[int]:
                return [LOGIN_UNDER_WAY]

        key = make_key(alice)
        make_account(alice, api_key=key)
        register("local", Hung())  # type: ignore[arg-type]  # the one call that is made
        try:
            [proof] = verify_on_host(host="local", key_id=key.pk, question=0, now=lambda: NOW)
        finally:
            unregister("local")
        assert proof.reason is Reason.NO_ANSWER


class TestRefusals:
    @pytest.mark.parametrize("status", ["inactive", "expired", "revoked"])
    def test_a_key_out_of_use_is_not_tried(self, alice: User, asking: Asking, status: str) -> None:
        key = make_key(alice, name="Northwind")
        values = {"secret": None} if status == "revoked" else {}
        ApiKey.objects.update(status=status, **values)
        with pytest.raises(Refusal) as caught:
            asking.ask(key)
        assert caught.value.code == status
        assert "Northwind" in caught.value.sentence
        assert trail(key) == [("verified", "refused", status)]
        assert asking.sent == []

    def test_one_at_a_time(self, alice: User, asking: Asking) -> None:
        key = make_key(alice)
        make_account(alice, api_key=key)
        asking.ask(key)
        with pytest.raises(Refusal) as caught:
            asking.ask(key, 59.9)
        assert caught.value.code == "pending"
        asking.ask(key, 60)
        assert len(asking.sent) == 2

    def test_a_broker_is_not_tried_too_often(
        self, server: TradeServer, alice: User, asking: Asking
    ) -> None:
        key = make_key(alice)
        account_at(server, key)
        for second in range(MOST_PER_MINUTE):
            asking.ask(key, second)
            asking.answer()
        with pytest.raises(Refusal) as caught:
            asking.ask(key, 59)
        assert caught.value.code == "throttled"
        assert result_of(key)[0] == "succeeded"
        asking.ask(key, 60)


class TestAnswers:
    def test_a_late_answer_to_an_earlier_question_is_recorded_and_decides_nothing(
        self, server: TradeServer, alice: User, asking: Asking
    ) -> None:
        key = make_key(alice)
        account = account_at(server, key)
        asking.ask(key)
        late = asking.sent.pop().arguments[2]
        asking.ask(key, 60)
        proof = LoginProof(account.pk, account.name, Reason.WRONG_PASSWORD)
        note_proofs(key_id=key.pk, question=late, proofs=[proof], now=NOW)
        assert result_of(key)[0] == "pending"
        assert trail(key)[-1] == ("verified", "failed", "wrong_password")
        asking.answer()
        assert result_of(key)[0] == "succeeded"

    def test_what_nobody_answers_is_closed_after_a_minute(
        self, alice: User, asking: Asking
    ) -> None:
        key = make_key(alice)
        make_account(alice, api_key=key)
        asking.ask(key)
        assert close_overdue_verifications(now=NOW + 59 * SECOND) == 0
        assert close_overdue_verifications(now=NOW + 60 * SECOND) == 1
        assert result_of(key) == (
            "failed",
            "The terminal host (local) did not answer within a minute: is it running?",
        )
        assert trail(key)[-1] == ("verified", "failed", "no_answer")
        assert close_overdue_verifications(now=NOW + 61 * SECOND) == 0

    def test_a_rotation_or_revocation_meanwhile_makes_the_answer_void(
        self, server: TradeServer, alice: User, asking: Asking, origin: Origin
    ) -> None:
        key = make_key(alice)
        account_at(server, key)
        asking.ask(key)
        rotate_secret(key=key, secret="another", origin=origin, now=NOW)
        asking.answer()
        assert result_of(key)[0] == "never"
        asking.ask(key, 60)
        revoke_key(key=key, origin=origin, now=NOW)
        asking.answer()
        assert result_of(key) == ("failed", "The key was revoked before anybody answered.")

    def test_a_key_that_is_gone_is_survived(self, alice: User) -> None:
        key = make_key(alice)
        key.delete()
        assert verify_on_host(host="local", key_id=key.pk, question=1) == []
        note_proofs(key_id=key.pk, question=1, proofs=[], now=NOW)

    def test_the_scheduled_tasks_run(self, alice: User) -> None:
        ApiKey.objects.filter(pk=make_key(alice).pk).update(expires_at=NOW - 9999 * SECOND)
        ApiKey.objects.update(verification="pending")
        with patch("django.utils.timezone.now", return_value=NOW):
            expire_keys()
            close_verifications()
        assert ApiKey.objects.get().status == "expired"
        assert ApiKey.objects.get().verification == "failed"


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
