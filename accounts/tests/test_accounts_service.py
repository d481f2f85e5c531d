from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings

from accounts.models import AccountConnection, ApiKey, ConnectedAccount, TerminalHost, User
from accounts.origin import SYSTEM
from accounts.refusals import Refusal
from accounts.services import locks, watching
from accounts.services.accounts import (
    create_account,
    delete_account,
    update_account,
)
from accounts.services.connections import request_connect, request_disconnect
from accounts.services.default_account import set_default
from accounts.services.keys import LONGEST_SECRET, create_key, revoke_key, rotate_secret
from accounts.services.watching import (
    connect_account,
    connect_all,
    disconnect_account,
    disconnect_all,
)
from accounts.tests.factories import NOW, SECRET, make_account, make_key

LATER = NOW + timedelta(minutes=1)


def create(user: User, **fields: Any) -> ConnectedAccount:
    given: dict[str, Any] = {
        "name": "Alpha 1",
        "broker": "Example Brokers",
        "server": "Example-Demo",
        "login": 50012345,
        "currency": "USD",
        "initial_balance": Decimal(100_000),
        "now": NOW,
    }
    if "api_key" not in fields:
        given["password"] = SECRET
    return create_account(user=user, **{**given, **fields})


def wrong_fields(caught: pytest.ExceptionInfo[ValidationError]) -> set[str]:
    return set(caught.value.message_dict)


def connection_of(account: ConnectedAccount) -> AccountConnection:
    return AccountConnection.objects.get(account=account)


class StubLock:
    """Locks the accounts in `held`, and notes which the apps above were told to forget."""

    def __init__(self) -> None:
        self.held: dict[UUID, str] = {}
        self.forgotten: list[UUID] = []

    def reasons(self, *, account_ids: object) -> Mapping[UUID, str]:
        return self.held

    def forget(self, *, account_id: UUID, now: datetime) -> None:
        assert now == LATER
        self.forgotten.append(account_id)


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubLock]:
    stub = StubLock()
    monkeypatch.setattr(locks, "_locks", [stub])
    monkeypatch.setattr(locks, "_forgets", [stub.forget])
    return stub  # type: ignore[return-value]  # pytest hands the value on


def test_it_creates_an_account_with_its_secret_and_asks_for_the_connection(alice: User) -> None:
    account = create(alice, tags=["swing", " swing ", "", "eu"])
    assert account.api_key is not None
    assert ApiKey.objects.get(pk=account.api_key.pk).secret == SECRET
    assert sorted(tag.name for tag in account.tags.all()) == ["eu", "swing"]
    connection = connection_of(account)
    assert (connection.is_wanted, connection.state) == (True, "connecting")


def test_it_leaves_an_inactive_account_alone(alice: User) -> None:
    connection = connection_of(create(alice, is_active=False))
    assert (connection.is_wanted, connection.state) == (False, "disconnected")


def test_it_makes_the_first_account_of_each_user_the_default(alice: User, bob: User) -> None:
    assert create(alice).is_default
    assert not create(alice, login=2).is_default
    assert create(bob).is_default


def test_it_takes_a_key_instead_of_a_password(alice: User, bob: User) -> None:
    key = make_key(alice)
    assert create(alice, api_key=key).api_key == key
    with pytest.raises(ValidationError) as caught:
        create(bob, api_key=key)
    assert wrong_fields(caught) == {"api_key"}
    ApiKey.objects.filter(pk=key.pk).update(status=ApiKey.Status.REVOKED, secret=None)
    with pytest.raises(ValidationError) as caught:
        create(alice, login=2, api_key=ApiKey.objects.get(pk=key.pk))
    assert wrong_fields(caught) == {"api_key"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"password": None}, "password"),
        ({"password": ""}, "password"),
        ({"password": "x" * (LONGEST_SECRET + 1)}, "password"),
        ({"password": "a\x00b"}, "password"),
        ({"login": 0}, "login"),
        ({"login": "letters"}, "login"),
        ({"login": 2**63}, "login"),
        ({"initial_balance": Decimal(0)}, "initial_balance"),
        ({"initial_balance": Decimal("0.009")}, "initial_balance"),
        ({"initial_balance": Decimal(10) ** 16}, "initial_balance"),
        ({"broker_time_zone": "Mars/Olympus"}, "broker_time_zone"),
        ({"day_reset_zone": "Europe/Prague+99h"}, "day_reset_zone"),
        ({"name": ""}, "name"),
        ({"server": "s" * 65}, "server"),
        ({"role": "king"}, "role"),
        ({"terminal_host": "elsewhere"}, "terminal_host"),
        ({"tags": ["t" * 33]}, "tags"),
        ({"tags": [str(number) for number in range(21)]}, "tags"),
    ],
)
def test_it_names_the_field_that_is_wrong_and_creates_nothing(
    alice: User, fields: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        create(alice, **fields)
    assert wrong_fields(caught) == {wrong}
    assert not ConnectedAccount.objects.exists()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("balance", [Decimal("0.01"), Decimal("9999999999999999.99")])
def test_it_takes_balances_up_to_the_ends_of_their_range(alice: User, balance: Decimal) -> None:
    assert create(alice, initial_balance=balance).initial_balance == balance


def test_it_watches_a_login_once_per_user(alice: User, bob: User) -> None:
    create(alice)
    with pytest.raises(ValidationError) as caught:
        create(alice, name="Again")
    assert wrong_fields(caught) == {"login"}
    assert create(alice, server="Example-Live").login == create(bob).login


@override_settings(TERMINAL_HOSTS=["local", "second"])
def test_it_puts_an_account_on_a_host_that_exists(alice: User) -> None:
    assert create(alice, terminal_host="second").terminal_host_id == "second"
    assert TerminalHost.objects.filter(name="second").exists()


def test_it_changes_only_what_it_was_told(alice: User) -> None:
    account = create(alice, tags=["eu"])
    connection = connection_of(account)
    changed = update_account(account=account, now=LATER, name="Beta", day_reset_time=time(17))
    stored = ConnectedAccount.objects.get(pk=account.pk)
    assert (changed.name, stored.name, stored.day_reset_time) == ("Beta", "Beta", time(17))
    assert stored.updated_at > account.updated_at
    assert [tag.name for tag in stored.tags.all()] == ["eu"]
    assert (
        connection_of(account).since == connection.since
    )  # a new name is no reason to log in again


def test_other_tags_are_a_change_that_is_seen_and_the_same_ones_are_none(alice: User) -> None:
    account = create(alice, tags=["gold", "eu"])
    before = account.updated_at
    assert update_account(account=account, tags=["eu", "gold"]).updated_at == before
    assert update_account(account=account, tags=["eu"]).updated_at > before


def test_it_takes_no_new_password_together_with_another_key(alice: User) -> None:
    account, other = create(alice), make_key(alice)
    with pytest.raises(ValidationError) as caught:
        update_account(account=account, api_key=other, password="another", now=LATER)
    assert wrong_fields(caught) == {"password"}
    other.refresh_from_db()
    assert other.secret == SECRET


def test_a_new_password_for_a_revoked_key_makes_a_new_key(alice: User) -> None:
    account = create(alice)
    revoked = account.api_key
    assert revoked is not None
    revoke_key(key=revoked, origin=SYSTEM, now=NOW)
    key = update_account(account=account, password="another", now=LATER).api_key
    assert key is not None
    assert key.pk != revoked.pk
    assert ApiKey.objects.get(pk=key.pk).secret == "another"
    revoked.refresh_from_db()
    assert (revoked.status, revoked.secret) == ("revoked", None)


def test_it_refuses_another_accounts_login(alice: User) -> None:
    create(alice, login=1)
    second = create(alice, login=2)
    with pytest.raises(ValidationError) as caught:
        update_account(account=second, login=1, now=NOW)
    assert wrong_fields(caught) == {"login"}
    second.refresh_from_db()
    assert second.login == 2


def test_it_rotates_the_secret_and_logs_every_connected_account_of_the_key_in(alice: User) -> None:
    key = make_key(alice)
    first, second, idle = (
        create(alice, login=1, api_key=key),
        create(alice, login=2, api_key=key),
        create(alice, login=3, api_key=key, is_active=False),
    )
    AccountConnection.objects.update(state="connected")
    update_account(account=first, password="another", now=LATER)
    assert ApiKey.objects.get(pk=key.pk).secret == "another"
    assert [connection_of(each).state for each in (first, second)] == ["connecting"] * 2
    assert connection_of(idle).state == "connected"


def test_it_gives_a_key_to_an_account_that_had_none(alice: User) -> None:
    account = make_account(alice, state="error")
    updated = update_account(account=account, password=SECRET, now=LATER)
    assert updated.api_key is not None
    assert ApiKey.objects.get(pk=updated.api_key.pk).secret == SECRET
    assert connection_of(account).state == "connecting"


@pytest.mark.parametrize("changes", [{"server": "Example-Live"}, {"login": 77}])
def test_it_logs_in_again_when_it_is_another_login(alice: User, changes: dict[str, Any]) -> None:
    account = create(alice)
    AccountConnection.objects.update(state="connected")
    update_account(account=account, now=LATER, **changes)
    assert connection_of(account).state == "connecting"


def test_it_connects_on_activating_and_disconnects_on_deactivating(alice: User) -> None:
    account = create(alice)
    update_account(account=account, is_active=False, now=LATER)
    assert not connection_of(account).is_wanted
    update_account(account=account, is_active=True, now=LATER)
    assert connection_of(account).is_wanted


def test_it_passes_the_default_on_to_the_oldest_active_account(alice: User) -> None:
    first = create(alice, login=1)
    create(alice, login=2, is_active=False)
    third, fourth = create(alice, login=3), create(alice, login=4)
    delete_account(account=first, now=LATER)
    third.refresh_from_db()
    fourth.refresh_from_db()
    assert (third.is_default, fourth.is_default) == (True, False)
    delete_account(account=fourth, now=LATER)
    third.refresh_from_db()
    assert third.is_default


def test_it_leaves_no_default_with_the_last_account(alice: User) -> None:
    delete_account(account=create(alice), now=LATER)
    assert not ConnectedAccount.objects.exists()
    assert create(alice).is_default


def test_it_destroys_the_secret_with_its_last_account(alice: User, lock: StubLock) -> None:
    key = make_key(alice)
    first, second = create(alice, login=1, api_key=key), create(alice, login=2, api_key=key)
    delete_account(account=first, now=LATER)
    assert ApiKey.objects.get(pk=key.pk).secret == SECRET
    delete_account(account=second, now=LATER)
    key.refresh_from_db()
    assert (key.status, key.secret) == ("revoked", None)
    assert lock.forgotten == [first.pk, second.pk]


def test_it_keeps_one_default(alice: User, bob: User) -> None:
    first, second, others = create(alice, login=1), create(alice, login=2), create(bob)
    assert set_default(account=second).is_default
    defaults = ConnectedAccount.objects.filter(is_default=True)
    assert set(defaults) == {second, others}
    assert set_default(account=second).is_default
    assert not ConnectedAccount.objects.get(pk=first.pk).is_default


@pytest.mark.parametrize(
    "changes",
    [
        {"is_active": False},
        {"server": "Example-Live"},
        {"login": 9},
        {"currency": "EUR"},
        {"initial_balance": Decimal(50_000)},
        {"broker_time_zone": "UTC"},
        {"day_reset_time": time(17)},
        {"day_reset_zone": "UTC"},
    ],
)
def test_it_loosens_no_locked_account(alice: User, lock: StubLock, changes: Any) -> None:
    account = create(alice)
    lock.held = {account.pk: "the rule “Daily loss” is violated"}
    with pytest.raises(Refusal, match="Daily loss") as caught:
        update_account(account=account, now=LATER, **changes)
    assert caught.value.code == "locked"
    stored = ConnectedAccount.objects.get(pk=account.pk)
    assert all(getattr(stored, name) != value for name, value in changes.items())
    assert connection_of(account).is_wanted


def test_it_lets_a_locked_account_have_another_name_and_password(
    alice: User, lock: StubLock
) -> None:
    account = create(alice)
    lock.held = {account.pk: "the rule “Daily loss” is violated"}
    updated = update_account(
        account=account, name="Beta", password="another", initial_balance=Decimal(100_000)
    )
    assert updated.name == "Beta"
    assert updated.api_key is not None
    assert ApiKey.objects.get(pk=updated.api_key.pk).secret == "another"


def test_it_disconnects_no_locked_account(alice: User, lock: StubLock) -> None:
    held, free = create(alice, name="Held", login=1), create(alice, name="Free", login=2)
    lock.held = {held.pk: "the rule “Daily loss” is violated"}
    with pytest.raises(Refusal, match="cannot be disconnected"):
        disconnect_account(account=held, now=LATER)
    results = {result.name: result for result in disconnect_all(user=alice, now=LATER)}
    assert "Daily loss" in str(results["Held"].refusal)
    assert connection_of(held).is_wanted
    assert not connection_of(free).is_wanted


def test_it_deletes_no_locked_account(alice: User, lock: StubLock) -> None:
    account = create(alice)
    lock.held = {account.pk: "the rule “Daily loss” is violated"}
    with pytest.raises(Refusal, match="cannot be deleted"):
        delete_account(account=account, now=LATER)
    assert ConnectedAccount.objects.filter(pk=account.pk).exists()
    assert connection_of(account).is_wanted
    assert lock.forgotten == []


def test_it_connects_no_account_whose_key_opens_nothing(alice: User) -> None:
    account = create(alice)
    request_disconnect(account=account, now=LATER)
    account.user.api_keys.update(status=ApiKey.Status.INACTIVE)
    with pytest.raises(Refusal, match="is switched off"):
        connect_account(account=account, now=LATER)
    assert not AccountConnection.objects.get(account=account).is_wanted


def test_it_connects_no_inactive_account_and_none_without_a_password(alice: User) -> None:
    inactive = create(alice, is_active=False)
    with pytest.raises(Refusal, match="inactive"):
        connect_account(account=inactive, now=LATER)
    keyless = make_account(alice, "Keyless")
    with pytest.raises(Refusal, match="password"):
        connect_account(account=keyless, now=LATER)
    assert not AccountConnection.objects.filter(is_wanted=True).exists()


def test_it_connects_all_that_can_be_connected(alice: User, bob: User) -> None:
    ready = make_account(alice, "Alpha", with_key=True)
    keyless = make_account(alice, "Beta")
    make_account(alice, "Inactive", with_key=True, is_active=False)
    foreign = make_account(bob, "Gamma", with_key=True)
    results = {result.name: result for result in connect_all(user=alice, now=LATER)}
    assert set(results) == {"Alpha", "Beta"}
    assert (results["Alpha"].state, results["Alpha"].refusal) == ("connecting", None)
    assert results["Beta"].state is None
    assert "password" in str(results["Beta"].refusal)
    assert connection_of(ready).is_wanted
    assert not connection_of(keyless).is_wanted
    assert not connection_of(foreign).is_wanted
    disconnect_all(user=alice, now=LATER)
    assert not connection_of(ready).is_wanted


def test_an_account_that_fails_unforeseen_stops_no_other(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, broken, last = (
        make_account(alice, name, with_key=True) for name in ("Alpha", "Beta", "Gamma")
    )

    def request(*, account: ConnectedAccount, now: datetime) -> AccountConnection:
        if account == broken:
            AccountConnection.objects.filter(account=account).update(is_wanted=True)
            raise ZeroDivisionError
        return request_connect(account=account, now=now)

    monkeypatch.setattr(watching, "request_connect", request)
    with caplog.at_level("CRITICAL", "accounts.services.watching"):
        results = connect_all(user=alice, now=LATER)
    assert [result.state for result in results] == ["connecting", None, "connecting"]
    assert results[1].refusal == watching.UNFORESEEN
    assert connection_of(first).is_wanted
    assert connection_of(last).is_wanted
    assert not connection_of(broken).is_wanted


def test_it_keeps_the_old_secret_when_the_new_one_is_wrong(alice: User) -> None:
    key = create_key(user=alice, name="Login", secret=SECRET)
    with pytest.raises(ValidationError) as caught:
        rotate_secret(key=key, secret="", now=NOW)
    assert wrong_fields(caught) == {"secret"}
    assert ApiKey.objects.get(pk=key.pk).secret == SECRET
