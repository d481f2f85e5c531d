"""Verifying a key, from the request to the broker and back."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from accounts.models import ApiKey, ApiKeyAuditLog, User
from accounts.origin import Origin
from accounts.refusals import Refusal
from accounts.services import key_verification
from accounts.services.key_verification import (
    MOST_PER_MINUTE,
    NO_ACCOUNT,
    LoginProof,
    close_overdue_verifications,
    note_proofs,
    request_verification,
)
from accounts.services.keys import revoke_key, rotate_secret
from accounts.sessions import verification
from accounts.sessions.states import Reason
from accounts.sessions.verification import verify_on_host
from accounts.task_messages import TaskMessage
from accounts.tasks import close_verifications, expire_keys, verify_key
from accounts.terminals.codes import AUTHORIZATION_FAILED, IPC_TIMEOUT, LOGIN_UNDER_WAY
from accounts.terminals.link import LinkError
from accounts.terminals.registry import NO_TERMINALS, NoTerminals, register, unregister
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import NOW, SECRET, make_account, make_host, make_key
from accounts.tests.key_stage import account_at, trail

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


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
        assert (caught.value.code, caught.value.wait_seconds) == ("throttled", 1)
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
