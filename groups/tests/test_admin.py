from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.admin_pages import admin_url, errors_of, submit
from accounts.tests.factories import make_account, make_user, sign_in_staff
from groups.models import AccountGroup, Membership


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


def inline_errors(answer: Any) -> str:
    [inline] = answer.context["inline_admin_formsets"]
    return str(inline.formset.errors) + str(inline.formset.non_form_errors())


def test_it_creates_a_group_with_its_members(staff: Client, alice: User) -> None:
    account = make_account(alice)

    answer = submit(
        staff,
        admin_url(AccountGroup, "add"),
        {"user": alice.pk, "name": "Desk", "memberships-0-account": account.pk},
    )

    assert answer.status_code == 302
    group = AccountGroup.objects.get()
    assert (group.user, list(group.accounts.all())) == (alice, [account])


@pytest.mark.parametrize("page", ["add", "change"])
def test_it_refuses_an_account_of_somebody_else(
    staff: Client, alice: User, bob: User, page: str
) -> None:
    foreign = make_account(bob)
    group = AccountGroup.objects.create(user=alice, name="Old")
    url = admin_url(AccountGroup, page, *([group.pk] if page == "change" else []))
    user = {"user": alice.pk} if page == "add" else {}

    answer = submit(staff, url, {**user, "name": "Desk", "memberships-0-account": foreign.pk})

    assert "Choose an account of the group's user." in inline_errors(answer)
    assert not Membership.objects.exists()
    assert list(AccountGroup.objects.all()) == [group]


def test_it_adds_and_removes_members(staff: Client, alice: User) -> None:
    old, new = make_account(alice), make_account(alice, "Beta")
    group = AccountGroup.objects.create(user=alice, name="Desk")
    Membership.objects.create(group=group, account=old)

    answer = submit(
        staff,
        admin_url(AccountGroup, "change", group.pk),
        {"memberships-0-DELETE": "on", "memberships-1-account": new.pk},
    )

    assert answer.status_code == 302
    assert list(group.accounts.all()) == [new]


def test_it_refuses_a_second_group_of_the_same_name(staff: Client, alice: User) -> None:
    AccountGroup.objects.create(user=alice, name="Desk")

    answer = submit(staff, admin_url(AccountGroup, "add"), {"user": alice.pk, "name": "Desk"})

    assert "already have a group of this name" in str(errors_of(answer))


def test_it_leaves_a_group_with_its_user(staff: Client, alice: User, bob: User) -> None:
    group = AccountGroup.objects.create(user=alice, name="Desk")

    submit(staff, admin_url(AccountGroup, "change", group.pk), {"user": bob.pk, "name": "New"})

    group.refresh_from_db()
    assert (group.user, group.name) == (alice, "New")
