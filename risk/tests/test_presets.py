"""The firms' programs: every one of them builds, and says what its page says."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.models import User
from accounts.refusals import Refusal
from accounts.tests.factories import make_account
from groups.tests.factories import make_group
from risk.core.parameters import LossParameters, MaxDrawdown, ProfitTarget
from risk.core.rule_types import ARMED_ACTIONS, Comparison, DrawdownKind, Lock
from risk.dry_run import GivenNumbers, rule_answers
from risk.models import RiskRule, RulePreset
from risk.presentation.rules import stored_sentence
from risk.presets.catalogue import Preset, firm_presets, left_out
from risk.services.presets import (
    apply_preset,
    left_out_sentences,
    preset_of,
    presets_for,
    save_preset,
    update_preset,
)
from risk.services.rules import create_rule
from risk.tests.factories import make_preset, make_rule

PROGRAMS = firm_presets()
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def program(key: str) -> Preset:
    return next(preset for preset in PROGRAMS if preset.key == key)


def daily_floor(user: User, key: str, **numbers: Any) -> float | None:
    """Return the floor of the program's daily loss for 105,000 balance, 107,000 equity at reset."""
    terms = next(each for _, each in program(key).rules if each.rule_type == "MAX_DAILY_LOSS")
    given = GivenNumbers(
        initial_balance=100_000.0,
        balance=105_000.0,
        day_balance=105_000.0,
        day_equity=107_000.0,
        **numbers,
    )
    return rule_answers(user=user, fields=terms.fields(), numbers=given, now=NOW)[0].floor


@pytest.mark.parametrize("preset", PROGRAMS, ids=lambda preset: preset.key)
def test_it_creates_every_rule_of_every_phase(alice: User, preset: Preset) -> None:
    for number, phase in enumerate(preset.phases or (None,)):
        size = preset.account_size or Decimal(100_000)
        account = make_account(alice, f"Alpha {number}", initial_balance=size)
        group = make_group(alice, f"Desk {number}", account)
        wanted = preset.rules_in(phase)
        rules = apply_preset(
            user=alice, preset=preset, groups=[group], phase=phase.key if phase else None
        )
        assert [rule.name for rule in rules] == [terms.name for terms in wanted]
        for rule in rules:
            assert rule.is_firm_rule
            assert list(rule.groups.all()) == [group]
            assert not rule.armings.exists()
            assert "can't be read" not in stored_sentence(rule)


@pytest.mark.parametrize("preset", PROGRAMS, ids=lambda preset: preset.key)
def test_it_says_where_it_is_from(preset: Preset) -> None:
    assert preset.checked_on == date(2026, 10, 4)
    assert preset.source
    assert "check with the firm" in preset.advice
    assert preset.copying
    assert len({terms.name for _, terms in preset.rules}) == len(preset.rules)
    for _, terms in preset.rules:
        parsed = terms.parsed
        if isinstance(parsed, LossParameters):
            assert not parsed.withdrawals_move_floor
            below = preset.breach == "equity below the floor"
            assert (parsed.comparison is Comparison.BELOW) is below
        assert terms.action in (*ARMED_ACTIONS, "ALERT", "BLOCK")


def test_its_keys_are_its_own_and_gaps_have_reasons() -> None:
    keys = [preset.key for preset in PROGRAMS]
    assert len(keys) == len(set(keys)) == 21
    assert all(each.program and each.part and each.reason for each in left_out())


@pytest.mark.parametrize(
    ("key", "floor"),
    [
        ("ftmo-2-step", 100_000.0),
        ("fundednext-stellar-2-step", 100_000.0),
        ("the5ers-high-stakes", 101_650.0),
        ("alpha-capital-pro-10", 99_750.0),
        ("blue-guardian-2-step-standard", 103_000.0),
        ("ftmo-1-step", 102_000.0),
        ("e8-one", 101_000.0),
        ("fundingpips-2-step-standard", 101_650.0),
        ("fundingpips-2-step-standard-3-percent", 103_790.0),
        ("alpha-capital-pro-8", 100_800.0),
        ("apex-eod-50k", 104_000.0),
    ],
)
def test_the_worked_examples_of_daily_losses_come_out(alice: User, key: str, floor: float) -> None:
    assert daily_floor(alice, key) == pytest.approx(floor)


@pytest.mark.parametrize(
    ("key", "equity", "status"),
    [
        ("ftmo-2-step", 100_000.0, "critical"),  # exactly at the floor is allowed
        ("ftmo-2-step", 99_999.99, "violated"),
        ("the5ers-high-stakes", 101_650.01, "critical"),
        ("the5ers-high-stakes", 101_650.0, "violated"),
    ],
)
def test_each_firm_compares_in_its_own_way(
    alice: User, key: str, equity: float, status: str
) -> None:
    terms = next(each for _, each in program(key).rules if each.rule_type == "MAX_DAILY_LOSS")
    given = GivenNumbers(
        initial_balance=100_000.0, balance=105_000.0, day_balance=105_000.0,
        day_equity=107_000.0, equity=equity,
    )  # fmt: skip
    answer = rule_answers(user=alice, fields=terms.fields(), numbers=given, now=NOW)[0]
    assert answer.status == status


@pytest.mark.parametrize(
    ("key", "kind", "lock", "limit"),
    [
        ("ftmo-2-step", DrawdownKind.STATIC, Lock.NONE, "0.10"),
        ("ftmo-1-step", DrawdownKind.TRAILING_END_OF_DAY, Lock.NONE, "0.10"),
        ("e8-one", DrawdownKind.TRAILING_CLOSED_BALANCE, Lock.AT_INITIAL, "0.06"),
        ("topstep-combine-150k", DrawdownKind.TRAILING_END_OF_DAY, Lock.AT_INITIAL, "4500"),
        ("apex-intraday-100k", DrawdownKind.TRAILING_INTRADAY_EQUITY, Lock.NONE, "3000"),
        ("alpha-capital-pro-8", DrawdownKind.STATIC, Lock.NONE, "0.08"),
    ],
)
def test_maximum_losses_are_as_the_page_says(
    key: str, kind: DrawdownKind, lock: Lock, limit: str
) -> None:
    drawdown = next(
        each.parsed for _, each in program(key).rules if isinstance(each.parsed, MaxDrawdown)
    )
    assert (drawdown.kind, drawdown.lock, drawdown.limit) == (kind, lock, Decimal(limit))


@pytest.mark.parametrize(
    ("phase", "target"), [(None, "0.10"), ("phase-1", "0.10"), ("phase-2", "0.05")]
)
def test_a_phase_has_its_own_target(alice: User, phase: str | None, target: str) -> None:
    rules = apply_preset(
        user=alice, preset=program("ftmo-2-step"), accounts=[make_account(alice)], phase=phase
    )
    targets = [rule for rule in rules if rule.rule_type == ProfitTarget.rule_type]
    assert [rule.limit for rule in targets] == [Decimal(target)]
    assert len(rules) == 4


def test_money_fits_accounts_of_its_size_and_currency_only(alice: User) -> None:
    preset = program("apex-eod-50k")
    for name, size, currency in (("Big", 100_000, "USD"), ("Euro", 50_000, "EUR")):
        account = make_account(alice, name, initial_balance=Decimal(size), currency=currency)
        group = make_group(alice, name, account)
        attempts: list[dict[str, Any]] = [{"accounts": [account]}, {"groups": [group]}]
        for targets in attempts:
            with pytest.raises(Refusal, match=f"{name} began with"):
                apply_preset(user=alice, preset=preset, **targets)
    assert not RiskRule.objects.exists()
    right = make_account(alice, "Right", initial_balance=Decimal(50_000))
    assert apply_preset(user=alice, preset=preset, accounts=[right])


def test_what_looks_across_accounts_comes_along_onto_groups_only(alice: User) -> None:
    preset = program("topstep-combine-50k")
    account = make_account(alice, initial_balance=Decimal(50_000))
    assert left_out_sentences(preset, groups=[])
    assert len(apply_preset(user=alice, preset=preset, accounts=[account])) == 2
    group = make_group(alice, "Desk", account)
    assert not left_out_sentences(preset, groups=[group])
    rules = apply_preset(user=alice, preset=preset, groups=[group])
    assert "NO_CROSS_HEDGING" in {rule.rule_type for rule in rules}


def test_it_is_put_on_a_target_once(alice: User) -> None:
    first, second = make_account(alice, "First"), make_account(alice, "Second")
    preset = program("ftmo-2-step")
    apply_preset(user=alice, preset=preset, accounts=[first])
    before = RiskRule.objects.count()
    with pytest.raises(Refusal, match="on First already"):
        apply_preset(user=alice, preset=preset, accounts=[first, second])
    assert RiskRule.objects.count() == before
    assert apply_preset(user=alice, preset=preset, accounts=[second])


def test_it_names_what_is_wrong(alice: User, bob: User) -> None:
    mine, theirs, preset = make_account(alice), make_account(bob), program("ftmo-2-step")
    attempts: list[tuple[dict[str, Any], str]] = [
        ({}, "accounts"),
        ({"accounts": [theirs]}, "accounts"),
        ({"groups": [make_group(bob)]}, "groups"),
        ({"accounts": [mine], "phase": "phase-9"}, "phase"),
    ]
    for targets, field in attempts:
        with pytest.raises(ValidationError) as error:
            apply_preset(user=alice, preset=preset, **targets)
        assert set(error.value.message_dict) == {field}
    assert not RiskRule.objects.exists()


def test_a_user_saves_rules_and_uses_them_again(alice: User, bob: User) -> None:
    account = make_account(alice)
    rule = create_rule(
        user=alice,
        name="Size",
        rule_type="MAX_POSITION_SIZE",
        limit=Decimal("1.5"),
        parameters={"symbols": ["EURUSD"]},
        action="REDUCE_SIZE",
        magic=7,
        act_after_seconds=Decimal("2.5"),
        losers_only=True,
        accounts=[account],
    )
    row = save_preset(user=alice, name="Mine", rules=[rule])
    preset = preset_of(alice, str(row.pk))
    assert preset is not None
    assert preset.is_own
    assert preset_of(bob, str(row.pk)) is None
    assert preset_of(bob, "nothing") is None
    assert [each.name for each in presets_for(alice)][-1] == "Mine"
    other = make_account(alice, "Other")
    again = apply_preset(user=alice, preset=preset, accounts=[other])[0]
    for name in (
        "name", "rule_type", "limit", "parameters", "action", "magic", "act_after_seconds",
        "losers_only", "closing_order", "close_fraction", "caution", "is_firm_rule",
    ):  # fmt: skip
        assert getattr(again, name) == getattr(rule, name)
    assert list(again.accounts.all()) == [other]


def test_the_cutoff_is_no_part_of_a_preset(alice: User) -> None:
    cutoff = make_rule(alice, "Cut-off", rule_type="MARGIN_LEVEL", limit=10, is_cutoff=True)
    row = save_preset(user=alice, name="Mine", rules=[cutoff, make_rule(alice, "Loss")])
    assert [rule["name"] for rule in row.rules] == ["Loss"]
    with pytest.raises(ValidationError, match="at least one rule"):
        save_preset(user=alice, name="Empty", rules=[cutoff])


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"rule_type": "MAX_LEVERAGE", "limit": 5}, "name"),
        ({"name": "A", "limit": 5}, "rule_type"),
        ({"name": "A", "rule_type": "MAX_LEVERAGE"}, "limit"),
        ({"name": "A", "rule_type": "MAX_LEVERAGE", "limit": -5}, "greater than zero"),
        ({"name": "A", "rule_type": "MAX_LEVERAGE", "limit": 5, "colour": 1}, "colour"),
        ({"name": "A", "rule_type": "MAX_LEVERAGE", "limit": 5, "act_at_fraction": 2}, "act_at"),
        ({"name": "A", "rule_type": "MAX_LEVERAGE", "limit": 5, "losers_only": 1}, "losers_only"),
        ({"name": "A", "rule_type": "INACTIVITY", "limit": 5, "action": "BLOCK"}, "only alert"),
        ({"name": "A", "rule_type": "MARGIN_LEVEL", "limit": 5, "magic": 3}, "whole account"),
        ({"name": "A\n", "rule_type": "MARGIN_LEVEL", "limit": 5}, "one line"),
        ("text", "object"),
        (None, "object"),
    ],
)
def test_it_says_what_is_wrong_with_a_stored_rule(alice: User, rule: Any, text: str) -> None:
    with pytest.raises(ValidationError, match=text) as error:
        save_preset(user=alice, name="Mine", rules=[rule])
    assert set(error.value.message_dict) == {"rules"}
    assert not RulePreset.objects.exists()


def test_names_are_the_users_own(alice: User, bob: User) -> None:
    rule = {"name": "A", "rule_type": "MAX_LEVERAGE", "limit": 5}
    first = save_preset(user=alice, name="Mine", rules=[rule])
    save_preset(user=bob, name="Mine", rules=[rule])
    with pytest.raises(ValidationError, match="already have a preset"):
        save_preset(user=alice, name="Mine", rules=[rule])
    assert update_preset(preset=first, name="Mine", description="x").description == "x"
    with pytest.raises(ValidationError, match="Two rules"):
        update_preset(preset=first, rules=[rule, rule])


def test_an_own_preset_that_makes_no_sense_is_in_nobodys_way(alice: User) -> None:
    broken = make_preset(alice, "Old")
    broken.rules = [{"name": "Luck", "rule_type": "LUCK", "limit": "1"}]
    broken.save(update_fields=["rules"])
    make_preset(alice, "New")
    assert [each.name for each in presets_for(alice) if each.is_own] == ["New"]
    assert preset_of(alice, str(broken.pk)) is None
