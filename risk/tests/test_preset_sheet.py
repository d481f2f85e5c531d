"""Every program against the sheet that was read from the firms' pages, field by field."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeVar

import pytest

from risk.core.parameters import (
    Consistency,
    MaxDailyLoss,
    MaxDrawdown,
    MinTradingDays,
    NoCrossHedging,
    ProfitTarget,
    RuleParameters,
)
from risk.presets.catalogue import Preset, firm_presets, left_out

BELOW, AT = "below", "at_or_below"
INITIAL, REFERENCE, MONEY = "fraction_of_initial", "fraction_of_reference", "money"
HIGHER = "higher_of_balance_and_equity"
SERVER = "America/New_York+7h"
OWN_ONLY = "between your own accounts only"
SILENT = "The source says nothing about copying"

Kind = TypeVar("Kind", bound=RuleParameters)

Daily = tuple[str, str, str, str, str | None]  # amount, kind, reference, reset, zone
Maximum = tuple[str, str, str, str]  # amount, kind of amount, kind, lock


@dataclass(frozen=True)
class Line:
    """A line of the sheet; targets by phase, "" where there is one phase only."""

    daily: Daily | None
    maximum: Maximum
    breach: str
    source: str
    copying: str = SILENT
    targets: dict[str, str] = field(default_factory=dict)
    days: str | None = None
    best_day: str | None = None
    size: int | None = None
    no_opposites: bool = False
    pauses: bool = False
    trails_at: tuple[str, str] | None = None  # reset of an end-of-day maximum


PRAGUE = ("00:00", "Europe/Prague")
STATIC_10 = ("0.10", INITIAL, "static", "none")
STATIC_8 = ("0.08", INITIAL, "static", "none")
FTMO = "ftmo.com/en/trading-objectives"
FUNDED_NEXT = "help.fundednext.com articles 8019811, 8019812"
FIVERS = "help.the5ers.com, general rules of High Stakes"
E8 = "help.e8markets.com articles 11769446, 11782996"
PIPS = "help.fundingpips.com, 2 Step Standard"
ALPHA = "help.alphacapitalgroup.uk articles 6934210, 8420429"
GUARDIAN = "help.blueguardian.com article 14062291"
TOPSTEP = "help.topstep.com article 8284204"
APEX = "rule data set of July 2026"

SHEET: dict[str, Line] = {
    "ftmo-2-step": Line(
        ("0.05", INITIAL, "balance", *PRAGUE), STATIC_10, BELOW, FTMO, OWN_ONLY,
        targets={"phase-1": "0.10", "phase-2": "0.05"}, days="4",
    ),
    "ftmo-1-step": Line(
        ("0.03", INITIAL, "balance", *PRAGUE), ("0.10", INITIAL, "trailing_end_of_day", "none"),
        BELOW, FTMO, OWN_ONLY, targets={"": "0.10"}, best_day="0.50", trails_at=PRAGUE,
    ),
    "fundednext-stellar-2-step": Line(
        ("0.05", INITIAL, "balance", "00:00", SERVER), STATIC_10, BELOW, FUNDED_NEXT,
        "Only challenge accounts may be copied, 300,000 together; cloud copiers are banned,"
        " one on a VPS is allowed.",
        targets={"phase-1": "0.08", "phase-2": "0.05"}, days="5",
    ),
    "the5ers-high-stakes": Line(
        ("0.05", REFERENCE, HIGHER, "00:00", SERVER), STATIC_10, AT, FIVERS, OWN_ONLY
    ),
    "e8-one": Line(
        # 00:00 of the server: the zone is that of the account.
        ("0.04", INITIAL, "balance", "00:00", None),
        ("0.06", INITIAL, "trailing_closed_balance", "at_initial"), AT, E8, OWN_ONLY,
    ),
    "fundingpips-2-step-standard": Line(
        ("0.05", REFERENCE, HIGHER, "00:00", "UTC+3h"), STATIC_10, AT, PIPS
    ),
    "fundingpips-2-step-standard-3-percent": Line(
        ("0.03", REFERENCE, HIGHER, "00:00", "UTC+3h"), STATIC_10, AT, PIPS
    ),
    "alpha-capital-pro-10": Line(
        ("0.05", REFERENCE, "balance", "00:00", "UTC+3h"), STATIC_10, AT, ALPHA
    ),
    "alpha-capital-pro-8": Line(
        ("0.04", REFERENCE, "balance", "00:00", "UTC+3h"), STATIC_8, AT, ALPHA
    ),
    "blue-guardian-2-step-standard": Line(
        ("0.04", INITIAL, HIGHER, "17:00", "America/New_York"), STATIC_8, AT, GUARDIAN, OWN_ONLY
    ),
    **{
        f"topstep-combine-{size}k": Line(
            None, (amount, MONEY, "trailing_end_of_day", "at_initial"), AT, TOPSTEP,
            targets={"": "0.06"}, size=size * 1000, no_opposites=True,
            trails_at=("17:00", "America/Chicago"),
        )
        for size, amount in ((50, "2000"), (100, "3000"), (150, "4500"))
    },
    **{
        f"apex-eod-{size}k": Line(
            (daily, MONEY, "balance", "18:00", "America/New_York"),
            (amount, MONEY, "trailing_end_of_day", "none"), AT, APEX,
            targets={"": "0.06"}, size=size * 1000, pauses=True,
            trails_at=("18:00", "America/New_York"),
        )
        for size, daily, amount in (
            (25, "500", "1000"), (50, "1000", "2000"), (100, "1500", "3000"), (150, "2000", "4000")
        )
    },
    **{
        f"apex-intraday-{size}k": Line(
            None, (amount, MONEY, "trailing_intraday_equity", "none"), AT, APEX,
            targets={"": "0.06"}, size=size * 1000,
        )
        for size, amount in ((25, "1000"), (50, "2000"), (100, "3000"), (150, "4000"))
    },
}  # fmt: skip


def one_of(preset: Preset, kind: type[Kind]) -> Kind | None:
    found = [terms.parsed for _, terms in preset.rules if isinstance(terms.parsed, kind)]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("preset", firm_presets(), ids=lambda preset: preset.key)
def test_it_says_what_the_sheet_says_and_no_more(preset: Preset) -> None:
    line = SHEET[preset.key]
    daily, maximum = one_of(preset, MaxDailyLoss), one_of(preset, MaxDrawdown)
    assert (daily is None) == (line.daily is None)
    if daily is not None and line.daily is not None:
        reset = f"{daily.reset_time:%H:%M}" if daily.reset_time else ""
        told = (daily.amount_kind, daily.reference, reset, daily.reset_zone)
        assert told == line.daily[1:]
        assert daily.limit == Decimal(line.daily[0])
        assert daily.comparison == line.breach
    assert maximum is not None
    assert maximum.limit == Decimal(line.maximum[0])
    assert (maximum.amount_kind, maximum.kind, maximum.lock) == line.maximum[1:]
    assert maximum.comparison == line.breach
    reset_of_maximum = (
        (f"{maximum.reset_time:%H:%M}", maximum.reset_zone) if maximum.reset_time else None
    )
    assert reset_of_maximum == line.trails_at
    days, best = one_of(preset, MinTradingDays), one_of(preset, Consistency)
    assert (days and days.limit) == (Decimal(line.days) if line.days else None)
    assert (best and best.limit) == (Decimal(line.best_day) if line.best_day else None)
    assert best is None or best.basis == "positive_days"
    assert (one_of(preset, NoCrossHedging) is not None) == line.no_opposites
    targets = {
        phase: terms.parsed
        for phase, terms in preset.rules
        if isinstance(terms.parsed, ProfitTarget)
    }
    assert {phase: each.limit for phase, each in targets.items()} == {
        phase: Decimal(target) for phase, target in line.targets.items()
    }
    assert {each.amount_kind for each in targets.values()} <= {INITIAL}


@pytest.mark.parametrize("preset", firm_presets(), ids=lambda preset: preset.key)
def test_it_says_where_it_is_from_and_what_may_be_copied(preset: Preset) -> None:
    line = SHEET[preset.key]
    assert (preset.source, preset.checked_on) == (line.source, date(2026, 10, 4))
    assert line.copying in preset.copying
    word = "at or below" if line.breach == AT else "below"
    assert preset.breach == f"equity {word} the floor"
    assert preset.account_size == (Decimal(line.size) if line.size else None)
    assert (preset.currency == "USD") == (line.size is not None)
    assert {phase.key for phase in preset.phases} == set(line.targets) - {""}
    losses = [t for _, t in preset.rules if isinstance(t.parsed, MaxDailyLoss | MaxDrawdown)]
    pausing = [t for t in losses if t.action == "BLOCK"]
    assert [t.rule_type for t in pausing] == (["MAX_DAILY_LOSS"] if line.pauses else [])
    assert {t.action for t in losses} - {"BLOCK"} == {"CLOSE_ALL"}
    assert all(t.is_firm_rule for _, t in preset.rules)


def test_nothing_of_the_sheet_is_missing_without_a_reason() -> None:
    assert {preset.key for preset in firm_presets()} == set(SHEET)
    reasons = {(each.program, each.part): each.reason for each in left_out()}
    assert ("E8 One", "other percentages") in reasons
    assert ("Topstep Combine", "daily loss") in reasons
    assert ("Apex", "30 days") in reasons
    (programs,) = (program for program, part in reasons if part.startswith("profit targets"))
    for firm in ("The5ers", "E8", "FundingPips", "Alpha Capital", "Blue Guardian"):
        assert firm in programs
    assert all(reason.endswith(".") for reason in reasons.values())
