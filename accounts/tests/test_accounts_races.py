"""What two requests at the same moment may do to the accounts of one user."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction

from accounts.models import AccountConnection, ApiKey, ConnectedAccount, Tag, User
from accounts.origin import SYSTEM
from accounts.refusals import Refusal
from accounts.services.accounts import update_account
from accounts.services.default_account import lock_accounts_of
from accounts.services.keys import lock_accounts_with, revoke_key
from accounts.services.watching import connect_account, deactivate_account
from accounts.tests.factories import NOW, make_account, make_key

LATER = NOW + timedelta(minutes=1)


def meanwhile(work: Callable[[], object]) -> BaseException | None:
    """Do something in another session, which waits for no lock; return what stopped it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '150ms'")
                work()
        except OperationalError as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return failures[0] if failures else None


@pytest.fixture
def _needs_postgresql(transactional_db: None) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one transaction write at a time")


@pytest.mark.usefixtures("_needs_postgresql")
def test_who_decides_about_the_default_waits_for_nobody_who_writes_a_tag(alice: User) -> None:
    # The one goes from the user to an account, the other from that account to the user's tags.
    with transaction.atomic():
        lock_accounts_of(user_id=alice.pk)
        assert meanwhile(lambda: Tag.objects.create(user=alice, name="eu")) is None
        assert meanwhile(lambda: lock_accounts_of(user_id=alice.pk)) is not None


@pytest.mark.usefixtures("_needs_postgresql")
def test_a_new_password_takes_the_accounts_of_a_key_in_the_order_of_the_key(alice: User) -> None:
    key = make_key(alice)
    accounts = [make_account(alice, name, api_key=key) for name in ("Alpha", "Beta")]
    first, last = sorted(accounts, key=lambda account: account.pk)

    def take(account: ConnectedAccount) -> None:
        ConnectedAccount.objects.select_for_update(nowait=True).get(pk=account.pk)

    with transaction.atomic():
        take(first)
        # Whoever changes the password of the last has to wait, and holds nothing meanwhile.
        changing = threading.Thread(target=_change_password, args=[last])
        changing.start()
        changing.join(0.1)
        lock_accounts_with(key.pk)
    changing.join()
    assert ApiKey.objects.get(pk=key.pk).secret == "another"


def _change_password(account: ConnectedAccount) -> None:
    try:
        update_account(account=account, password="another", now=LATER)
    finally:
        connection.close()


@pytest.mark.usefixtures("db")
def test_an_account_that_was_deactivated_meanwhile_is_not_connected(alice: User) -> None:
    account = make_account(alice, with_key=True)
    deactivate_account(account=ConnectedAccount.objects.get(pk=account.pk), now=NOW)
    with pytest.raises(Refusal, match="inactive"):
        connect_account(account=account, now=LATER)
    assert not AccountConnection.objects.filter(is_wanted=True).exists()


@pytest.mark.usefixtures("db")
def test_a_key_that_was_revoked_meanwhile_is_given_to_no_account(alice: User) -> None:
    account, key = make_account(alice, with_key=True), make_key(alice)
    stale = ApiKey.objects.get(pk=key.pk)
    revoke_key(key=key, origin=SYSTEM, now=NOW)
    with pytest.raises(ValidationError) as caught:
        update_account(account=account, api_key=stale, now=LATER)
    assert set(caught.value.message_dict) == {"api_key"}
