import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.selectors import breaches_of, latched_breaches, rules_by_account, rules_of
from risk.tests.factories import make_breach, make_rule


def test_it_finds_every_rule_of_an_account_once(alice: User) -> None:
    named, grouped, alone = (make_account(alice, name) for name in ("1", "2", "3"))
    first, second = make_group(alice, "First", named, grouped), make_group(alice, "Second", grouped)
    everywhere = make_rule(alice, "A everywhere")
    several_ways = make_rule(alice, "B several ways", accounts=[named], groups=[first, second])
    both = make_rule(alice, "C all and named", accounts=[alone], applies_to_all_accounts=True)
    make_rule(alice, "D inactive", is_active=False)
    make_rule(alice, "E nowhere", groups=[make_group(alice, "Empty")])
    found = rules_by_account([named, grouped, alone])
    assert found == {
        named.pk: [everywhere, several_ways, both],
        grouped.pk: [everywhere, several_ways, both],
        alone.pk: [everywhere, both],
    }


def test_it_keeps_the_rules_of_users_apart(alice: User, bob: User) -> None:
    mine, theirs = make_account(alice), make_account(bob)
    rule, foreign = make_rule(alice), make_rule(bob)
    # A link that no service would write must not carry a rule to a stranger either.
    foreign.accounts.add(mine)
    foreign.groups.add(make_group(alice, "Desk", mine))
    assert rules_by_account([mine, theirs]) == {mine.pk: [rule], theirs.pk: [foreign]}


@pytest.mark.parametrize("count", [2, 20])
def test_it_asks_three_times_however_many_there_are(
    alice: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    accounts = [make_account(alice, f"Account {number}") for number in range(count)]
    for number in range(count):
        group = make_group(alice, f"Group {number}", *accounts)
        make_rule(alice, f"Rule {number}", accounts=accounts, groups=[group])
    with django_assert_num_queries(3):
        found = rules_by_account(accounts)
    assert {len(rules) for rules in found.values()} == {count}


def test_it_has_no_rules_for_no_accounts(alice: User) -> None:
    make_rule(alice)
    assert rules_by_account([]) == {}


def test_it_tells_violations_in_force_from_past_ones(alice: User, bob: User) -> None:
    account, theirs = make_account(alice), make_account(bob)
    rule = make_rule(alice)
    past = make_breach(rule, account, cleared_at=NOW)
    present = make_breach(rule, account)
    make_breach(make_rule(bob), theirs)
    assert set(breaches_of(alice)) == {past, present}
    assert list(latched_breaches([account])) == [present]


def test_it_says_which_rules_a_violation_holds(alice: User) -> None:
    account = make_account(alice)
    held, acknowledged = make_rule(alice, "1"), make_rule(alice, "2")
    make_breach(held, account)
    make_breach(acknowledged, account, acknowledged_at=NOW)
    assert [vars(rule)["is_locked"] for rule in rules_of(alice)] == [True, False]
