"""What a violation that nobody acknowledged holds, staff cannot loosen or delete either."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import ConnectedAccount, User
from accounts.tests.admin_pages import admin_url, errors_of, messages_of, submit
from accounts.tests.factories import NOW, make_account, make_user, sign_in_staff
from groups.models import AccountGroup, Membership
from risk.models import RiskRule, RuleBreach


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


def make_rule(user: User) -> RiskRule:
    return RiskRule.objects.create(
        user=user, name="Five", rule_type=RiskRule.Type.POSITION_LIMIT, limit=5
    )


def violate(rule: RiskRule, account: ConnectedAccount) -> None:
    RuleBreach.objects.create(
        user_id=rule.user_id,
        rule_id=rule.pk,
        account_id=account.pk,
        rule_name=rule.name,
        rule_type=rule.rule_type,
        account_name=account.name,
        observed=6.0,
        limit=5.0,
        unit="positions",
        message="6 positions of 5",
        latched_at=NOW,
    )


def make_held_account(user: User) -> ConnectedAccount:
    account = make_account(user, with_key=True)
    rule = make_rule(user)
    rule.accounts.add(account)
    violate(rule, account)
    return account


def make_held_group(user: User) -> AccountGroup:
    account = make_account(user)
    group = AccountGroup.objects.create(user=user, name="Desk")
    Membership.objects.create(group=group, account=account)
    rule = make_rule(user)
    rule.groups.add(group)
    violate(rule, account)
    return group


@pytest.mark.parametrize(
    "changes", [{"initial_balance": "200000"}, {"server": "Other"}, {"is_active": ""}]
)
def test_it_does_not_loosen_an_account_that_a_violation_holds(
    staff: Client, alice: User, changes: dict[str, str]
) -> None:
    account = make_held_account(alice)
    before = ConnectedAccount.objects.values().get()

    answer = submit(staff, admin_url(ConnectedAccount, "change", account.pk), changes)

    assert "locked" in errors_of(answer)[""][0]
    assert ConnectedAccount.objects.values().get() == before


def test_it_does_not_delete_an_account_that_a_violation_holds(staff: Client, alice: User) -> None:
    account = make_held_account(alice)

    one = staff.post(
        admin_url(ConnectedAccount, "delete", account.pk), {"post": "yes"}, follow=True
    )
    many = staff.post(
        admin_url(ConnectedAccount, "changelist"),
        {"action": "delete_selected", "_selected_action": [account.pk], "post": "yes"},
        follow=True,
    )
    owner = staff.post(admin_url(User, "delete", alice.pk), {"post": "yes"}, follow=True)

    for answer in (one, many, owner):
        assert "locked" in messages_of(answer)[0]
    assert ConnectedAccount.objects.filter(pk=account.pk).exists()
    assert User.objects.filter(pk=alice.pk).exists()
    assert not LogEntry.objects.exists()


def test_it_lets_no_account_leave_that_a_rule_of_the_group_holds(
    staff: Client, alice: User
) -> None:
    group = make_held_group(alice)

    answer = submit(
        staff, admin_url(AccountGroup, "change", group.pk), {"memberships-0-DELETE": "on"}
    )

    [inline] = answer.context["inline_admin_formsets"]
    assert "cannot leave the group" in str(inline.formset.non_form_errors())
    assert group.accounts.count() == 1


def test_it_does_not_delete_a_group_that_holds_an_account(staff: Client, alice: User) -> None:
    group = make_held_group(alice)

    answer = staff.post(admin_url(AccountGroup, "delete", group.pk), {"post": "yes"}, follow=True)

    assert "cannot leave the group" in messages_of(answer)[0]
    assert group.accounts.count() == 1
    assert not LogEntry.objects.exists()
