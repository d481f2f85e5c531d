"""The programs of prop firms as dated data, and the presets that users saved themselves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from risk.models import RulePreset
from risk.presets.terms import RuleTerms, read_all_terms, read_terms

_FILE: Final = Path(__file__).with_name("programs.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    key: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A set of rules under a name; a firm's carries its source and the day it was checked.

    `account_size` is set where amounts are money: the preset then fits accounts of that initial
    balance in `currency` only. `phases` is empty where all rules hold all the time.
    """

    key: str
    name: str
    rules: tuple[tuple[str, RuleTerms], ...]  # the key of the phase, "" for every phase
    firm: str = ""
    program: str = ""
    description: str = ""
    account_size: Decimal | None = None
    currency: str = ""
    phases: tuple[Phase, ...] = ()
    checked_on: date | None = None
    source: str = ""
    breach: str = ""
    advice: str = ""
    copying: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        return not self.firm

    def phase(self, key: str | None) -> Phase | None:
        """Return the phase of this key, the first without one; None where there are none.

        Raises KeyError for a phase that the preset does not have.
        """
        if not self.phases:
            if key:
                raise KeyError(key)
            return None
        if not key:
            return self.phases[0]
        return {phase.key: phase for phase in self.phases}[key]

    def rules_in(self, phase: Phase | None) -> list[RuleTerms]:
        """Return the rules of a phase: its own and those that always hold."""
        keys = {"", phase.key if phase is not None else ""}
        return [terms for key, terms in self.rules if key in keys]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the firms' pages have and the presets have not, and why."""

    program: str
    part: str
    reason: str


@lru_cache(maxsize=1)
def firm_presets() -> tuple[Preset, ...]:
    """Read the programs of the firms; raises ValueError when one of them makes no sense."""
    data = _data()
    return tuple(
        _program(raw, date.fromisoformat(data["checked_on"]), data["advice"])
        for raw in data["programs"]
    )


@lru_cache(maxsize=1)
def left_out() -> tuple[LeftOut, ...]:
    return tuple(LeftOut(**each) for each in _data()["left_out"])


def own_preset(row: RulePreset) -> Preset:
    """Show a preset that a user saved; raises TermsError when its rules make no sense."""
    return Preset(
        key=str(row.pk),
        name=row.name,
        description=row.description,
        rules=tuple(("", terms) for terms in read_all_terms(row.rules)),
    )


def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return data


def _program(raw: Mapping[str, Any], checked_on: date, advice: str) -> Preset:
    size = raw.get("account_size")
    return Preset(
        key=raw["key"],
        name=f"{raw['firm']} {raw['program']}",
        firm=raw["firm"],
        program=raw["program"],
        account_size=Decimal(size) if size is not None else None,
        currency=raw.get("currency", ""),
        phases=tuple(Phase(**phase) for phase in raw["phases"]),
        rules=_rules(raw["key"], raw["rules"]),
        checked_on=checked_on,
        source=raw["source"],
        breach=raw["breach"],
        advice=advice,
        copying=raw["copying"],
        notes=tuple(raw["notes"]),
    )


def _rules(key: str, raw: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, RuleTerms], ...]:
    rules = []
    for each in raw:
        fields = dict(each)
        phase = str(fields.pop("phase", ""))
        try:
            rules.append((phase, read_terms(fields)))
        except ValueError as error:
            raise ValueError(f"The program {key} makes no sense: {error}") from error
    return tuple(rules)
