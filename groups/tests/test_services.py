from collections.abc import Collection
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError

from accounts.models import User
from accounts.refusals import Refusal
from accounts.services.accounts import delete_account
from accounts.tests.factories import NOW, make_account
from groups import services
from groups.models import AccountGroup, Membership
from groups.selectors import groups_of, members_of
from groups.tests.factories import make_group


def test_it_creates_a_group_of_the_users_own_accounts(alice: User, bob: User) -> None:
    accounts = [make_account(alice, name) for name in ("Beta", "Alpha")]
    group = services.create_group(user=alice, name="Desk", accounts=accounts)
    assert [account.name for account in members_of(group)] == ["Alpha", "Beta"]
    with pytest.raises(ValidationError) as caught:
        services.create_group(user=alice, name="Other", accounts=[make_account(bob)])
    assert set(caught.value.message_dict) == {"accounts"}
    assert list(groups_of(alice)) == [group]


@pytest.mark.parametrize("name", ["", "n" * 65])
def test_it_needs_a_name_of_sensible_length(alice: User, name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        services.create_group(user=alice, name=name)
    assert set(caught.value.message_dict) == {"name"}


def test_it_has_one_group_of_a_name_per_user(alice: User, bob: User) -> None:
    make_group(alice, "Desk")
    other = make_group(alice, "Other")
    with pytest.raises(ValidationError, match="already have"):
        services.create_group(user=alice, name="Desk")
    with pytest.raises(ValidationError, match="already have"):
        services.update_group(group=other, name="Desk")
    services.update_group(group=other, name="Other", description="The same name is fine")
    services.create_group(user=bob, name="Desk")


def test_it_lets_an_account_be_in_several_groups_and_in_each_once(alice: User) -> None:
    account = make_account(alice)
    first, second = make_group(alice, "First"), make_group(alice, "Second", account)
    for group in (first, first, second):
        services.add_accounts(group=group, accounts=[account])
    assert Membership.objects.filter(account=account).count() == 2


def test_it_replaces_the_members_only_when_told(alice: User) -> None:
    one, two, three = (make_account(alice, name) for name in ("1", "2", "3"))
    group = make_group(alice, "Desk", one, two)
    services.update_group(group=group, description="No word about members")
    assert list(members_of(group)) == [one, two]
    services.update_group(group=group, accounts=[two, three])
    assert list(members_of(group)) == [two, three]


def test_it_moves_the_time_of_the_group_with_its_members(alice: User) -> None:
    account = make_account(alice)
    group = make_group(alice)
    times = [group.updated_at]
    for move in (services.add_accounts, services.remove_accounts):
        move(group=group, accounts=[account])
        group.refresh_from_db()
        times.append(group.updated_at)
    assert times == sorted(set(times))


def test_it_removes_members_and_keeps_the_accounts(alice: User) -> None:
    account = make_account(alice)
    group = make_group(alice, "Desk", account)
    services.remove_accounts(group=group, accounts=[account])
    assert not members_of(group).exists()
    services.delete_group(group=group)
    assert not AccountGroup.objects.exists()
    account.refresh_from_db()


def test_it_refuses_what_an_app_above_objects_to(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, free = make_account(alice, "Held"), make_account(alice, "Free")
    group = make_group(alice, "Desk", held, free)

    def check(_group: AccountGroup, account_ids: Collection[UUID]) -> str | None:
        return "Held stays." if held.pk in account_ids else None

    monkeypatch.setattr(services, "_departure_checks", [check])
    services.remove_accounts(group=group, accounts=[free])
    with pytest.raises(Refusal, match="Held stays"):
        services.remove_accounts(group=group, accounts=[held])
    with pytest.raises(Refusal, match="Held stays"):
        services.update_group(group=group, accounts=[])
    with pytest.raises(Refusal, match="Held stays"):
        services.delete_group(group=group)
    assert list(members_of(group)) == [held]


def test_a_deleted_account_leaves_its_groups(alice: User) -> None:
    account, other = make_account(alice, "Alpha"), make_account(alice, "Beta")
    group = make_group(alice, "Desk", account, other)
    delete_account(account=account, now=NOW)
    assert list(group.memberships.values_list("account_id", flat=True)) == [other.pk]
    group.refresh_from_db()
    assert group.updated_at == NOW
