"""Group templates: rules and tags that new groups begin with."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Tag, User
from accounts.tests.factories import make_account
from groups.models import AccountGroup, Membership
from groups.tests.factories import make_group
from risk.models import GroupTemplate, RiskRule
from risk.services.templates import (
    apply_template,
    save_template,
    template_of_group,
    update_template,
)
from risk.tests.factories import make_rule, make_template

HEDGING = {"name": "No hedging", "rule_type": "NO_CROSS_HEDGING", "limit": 1, "action": "BLOCK"}
SIZE = {"name": "Size", "rule_type": "MAX_POSITION_SIZE", "limit": "2.5"}


def test_it_makes_a_group_with_rules_and_tags(alice: User) -> None:
    accounts = [make_account(alice, name) for name in ("First", "Second")]
    accounts[0].tags.add(Tag.objects.create(user=alice, name="old"))
    template = save_template(user=alice, name="Desk", rules=[HEDGING, SIZE], tags=["eval", "eval"])

    group = apply_template(user=alice, template=template, group_name="October", accounts=accounts)

    assert (group.name, set(group.accounts.all())) == ("October", set(accounts))
    rules = {rule.name: rule for rule in group.risk_rules.all()}
    assert set(rules) == {"No hedging", "Size"}
    assert rules["Size"].limit == Decimal("2.5")
    tags = [sorted(tag.name for tag in account.tags.all()) for account in accounts]
    assert tags == [["eval", "old"], ["eval"]]


def test_it_is_applied_whole_or_not_at_all(alice: User, bob: User) -> None:
    template = make_template(alice)
    make_group(alice, "Desk")
    mine = make_account(alice)
    full = make_account(alice, "Full")
    full.tags.set(Tag.objects.create(user=alice, name=str(number)) for number in range(20))
    for name, accounts, field in (
        ("Desk", [mine], "name"),
        ("", [mine], "name"),
        ("New", [make_account(bob)], "accounts"),
        ("New", [mine, full], "accounts"),
    ):
        with pytest.raises(ValidationError) as error:
            apply_template(user=alice, template=template, group_name=name, accounts=accounts)
        assert set(error.value.message_dict) == {field}
    assert AccountGroup.objects.count() == 1
    assert not RiskRule.objects.exists()
    assert not mine.tags.exists()


def test_it_is_taken_from_a_group(alice: User) -> None:
    accounts = [make_account(alice, name) for name in ("First", "Second")]
    shared, single = (Tag.objects.create(user=alice, name=name) for name in ("eval", "one"))
    accounts[0].tags.set([shared, single])
    accounts[1].tags.set([shared])
    group = make_group(alice, "Desk", *accounts)
    make_rule(alice, "Loss", groups=[group])
    make_rule(alice, "Elsewhere", accounts=[accounts[0]])

    template = template_of_group(user=alice, group=group, name="Like the desk")

    assert template.tags == ["eval"]
    assert [rule["name"] for rule in template.rules] == ["Loss"]
    assert template_of_group(user=alice, group=make_group(alice, "Bare"), name="Bare").rules == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Taken"}, "name"),
        ({"name": ""}, "name"),
        ({"tags": ["x" * 33]}, "tags"),
        ({"tags": [7]}, "tags"),
        ({"tags": [str(number) for number in range(21)]}, "tags"),
        ({"rules": [SIZE, SIZE]}, "rules"),
        ({"rules": [{"name": "Size"}]}, "rules"),
    ],
)
def test_it_names_what_is_wrong(alice: User, change: dict[str, object], field: str) -> None:
    make_template(alice, "Taken")
    template = make_template(alice, "Mine")
    with pytest.raises(ValidationError) as error:
        update_template(template=template, **change)  # type: ignore[arg-type]  # some of the fields
    assert set(error.value.message_dict) == {field}
    assert GroupTemplate.objects.get(pk=template.pk).rules == template.rules
    assert update_template(template=template, tags=[]).tags == []


def test_it_tags_200_accounts_with_as_many_queries_as_2(alice: User) -> None:
    template, counts = save_template(user=alice, name="Desk", rules=[SIZE], tags=["eval"]), []
    for name, size in (("Small", 2), ("Large", 200)):
        accounts = [make_account(alice, f"{name} {number}") for number in range(size)]
        with CaptureQueriesContext(connection) as queries:
            apply_template(user=alice, template=template, group_name=name, accounts=accounts)
        members = Membership.objects.filter(group__name=name, account__tags__name="eval")
        assert members.count() == size
        counts.append(len(queries))
    assert counts[0] == counts[1]
