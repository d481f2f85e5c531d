from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from accounts.models import AccountConnection, ConnectedAccount, ConnectionLog
from accounts.sessions import store as stores
from accounts.sessions.states import ConnectionChange, FailedRetry
from accounts.sessions.store import ConnectionStore
from accounts.tests.factories import NOW, make_account, make_user


def change(
    account: ConnectedAccount, from_state: str, to_state: str, *, seconds: float = 1, **fields: Any
) -> ConnectionChange:
    values: dict[str, Any] = {
        "account_id": account.pk,
        "user_id": account.user_id,
        "account_name": account.name,
        "reason": "no_answer" if to_state == "error" else "",
        "message": "The terminal does not answer." if to_state == "error" else "",
        "at": at(seconds),
        "retries": 0,
        "next_attempt_at": None,
    }
    return ConnectionChange(from_state=from_state, to_state=to_state, **{**values, **fields})


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.django_db
class TestWriting:
    def test_it_writes_state_and_log_of_each_change_once(self) -> None:
        account = make_account(make_user(), state="connecting")
        store = ConnectionStore()
        store.add(
            [
                change(account, "connecting", "connected"),
                change(account, "connected", "error", seconds=2, retries=0, next_attempt_at=at(9)),
            ],
            [],
        )
        assert store.flush() == 2
        row = AccountConnection.objects.get()
        assert (row.state, row.since, row.reason) == ("error", at(2), "no_answer")
        assert (row.last_error, row.next_attempt_at) == ("The terminal does not answer.", at(9))
        logged = ConnectionLog.objects.order_by("id").values_list("from_state", "to_state")
        assert list(logged) == [("connecting", "connected"), ("connected", "error")]
        assert store.flush() == 0
        assert ConnectionLog.objects.count() == 2

    def test_it_asks_nothing_when_there_is_nothing(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            assert ConnectionStore().flush() == 0

    def test_it_takes_the_same_number_of_queries_for_many(
        self, django_assert_num_queries: Any
    ) -> None:
        alice = make_user()
        for count in (2, 20):
            accounts = [make_account(alice, state="connecting") for _ in range(count)]
            store = ConnectionStore()
            store.add([change(each, "connecting", "connected") for each in accounts], [])
            with django_assert_num_queries(5):  # savepoint, select, upsert, log, release
                assert store.flush() == count

    def test_it_leaves_what_people_want_alone(self) -> None:
        account = make_account(make_user(), state="connecting")
        store = ConnectionStore()
        store.add([change(account, "connecting", "connected")], [])
        AccountConnection.objects.update(is_wanted=False)
        store.flush()
        assert not AccountConnection.objects.get().is_wanted

    def test_it_does_not_overwrite_a_newer_wish(self) -> None:
        account = make_account(make_user(), state="connecting")
        AccountConnection.objects.update(since=at(5))
        store = ConnectionStore()
        store.add([change(account, "connected", "error", seconds=4)], [])
        store.flush()
        assert AccountConnection.objects.get().state == "connecting"
        assert ConnectionLog.objects.get().to_state == "error"

    def test_a_failed_retry_only_counts(self) -> None:
        account = make_account(make_user(), state="error")
        store = ConnectionStore()
        store.add([], [FailedRetry(account.pk, at(3), 4, at(20))])
        assert store.flush() == 0
        row = AccountConnection.objects.get()
        assert (row.state, row.since, row.retries, row.next_attempt_at) == ("error", NOW, 4, at(20))
        assert not ConnectionLog.objects.exists()

    def test_a_failed_retry_of_a_session_that_was_asked_anew_does_not_count(self) -> None:
        account = make_account(make_user(), state="connecting")
        store = ConnectionStore()
        store.add([], [FailedRetry(account.pk, at(3), 4, at(20))])
        store.flush()
        assert AccountConnection.objects.get().retries == 0

    def test_it_tells_in_the_same_transaction(self) -> None:
        account = make_account(make_user(), state="connecting")
        store = ConnectionStore()
        lost = change(account, "connected", "error")
        store.add([lost], [])

        def fail(changes: Any) -> None:
            assert list(changes) == [lost]
            raise IntegrityError

        with pytest.raises(IntegrityError), transaction.atomic():
            store.flush(fail)
        assert not ConnectionLog.objects.exists()
        assert store.flush() == 1

    def test_the_log_outlives_an_account_and_nobody_is_told(self) -> None:
        account = make_account(make_user(), state="connecting")
        gone = change(account, "connected", "error", account_id=uuid4())
        told: list[Any] = []
        store = ConnectionStore()
        store.add([gone], [])
        assert store.flush(told.extend) == 1
        assert told == []
        assert ConnectionLog.objects.get().account_id == gone.account_id
        assert AccountConnection.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_changes_wait_for_a_database_that_is_away_and_keep_their_order() -> None:
    account = make_account(make_user(), state="connecting")
    store = ConnectionStore()
    store.add([change(account, "connecting", "connected")], [])

    def away(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away):
        assert store.flush() == 0
        store.add([change(account, "connected", "error", seconds=2)], [])
        assert store.flush() == 0
    assert not ConnectionLog.objects.exists()
    assert store.flush() == 2
    assert list(ConnectionLog.objects.order_by("id").values_list("to_state", flat=True)) == [
        "connected",
        "error",
    ]


@pytest.mark.django_db
def test_inside_a_transaction_it_raises_and_keeps_the_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = make_account(make_user(), state="connecting")
    store = ConnectionStore()
    store.add([change(account, "connecting", "connected")], [])

    def away(*arguments: Any) -> int:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(stores, "_write", away)
        with pytest.raises(OperationalError):
            store.flush()
    assert store.flush() == 1
