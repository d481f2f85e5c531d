"""What the checks of a round found, in columns: for a thousand orders without a word about any."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.gate.account_checks import AccountCheck
from risk.core.gate.account_wording import fault_of
from risk.core.gate.cases import Cases
from risk.core.gate.lines import WARNS, Lines
from risk.core.gate.numbers import finite, numbers_of
from risk.core.gate.rule_checks import is_named
from risk.core.gate.times import minutes_to_window
from risk.core.gate.told import Facts, Found, Told
from risk.core.gate.verdicts import VERDICTS, Check, Verdict
from risk.core.gate.wording import word
from risk.core.pairs import RULE_TYPES
from risk.core.rule_types import RuleType
from risk.core.statuses import Status

Kind = RuleType | AccountCheck

_ALLOW, _WARN = VERDICTS.index(Verdict.ALLOW), VERDICTS.index(Verdict.WARN)
_FIRST_ACCOUNT_CHECK: Final = min(AccountCheck)
_TRADING_WINDOW: Final = RULE_TYPES.index(RuleType.TRADING_WINDOW)
_NO_RULE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The checks of some orders, those of each behind one another from its place in `starts` on.

    `fact`, `asked` and `sent` go by order: its place among `facts`, and its volumes as text. The
    arrays go by check: `kind`, `verdict` and `rule` are places among `kinds`, VERDICTS and `rules`,
    and NaN is no number. What few checks have goes by their places.
    """

    order_ids: tuple[UUID, ...]
    starts: tuple[int, ...]
    facts: tuple[Facts, ...]
    fact: tuple[int, ...]
    asked: tuple[str, ...]
    sent: tuple[str, ...]
    kinds: tuple[Kind, ...]
    rules: tuple[tuple[UUID, str], ...]
    kind: Codes
    verdict: Codes
    rule: npt.NDArray[np.int16]
    found: npt.NDArray[np.int16]
    value: Floats
    limit: Floats
    allowed: Floats
    largest: Mapping[int, str]
    faults: Mapping[int, str]
    minutes: Mapping[int, float]
    is_preview: bool

    def checks(self, place: int) -> list[Check]:
        """Word the checks of the order in a place."""
        lines = range(self.starts[place], self.starts[place + 1])
        return [word(self._told(place, line)) for line in lines]

    def decisive(self, place: int, verdict: Verdict) -> Check:
        """Word the check that decided so; of several, the one that allows the least."""
        first, end = self.starts[place], self.starts[place + 1]
        found = np.flatnonzero(self.verdict[first:end] == VERDICTS.index(verdict))
        # What has no limit by number lets nothing pass.
        allowed = np.nan_to_num(self.allowed[first + found], nan=0.0)
        return word(self._told(place, first + int(found[np.argmin(allowed)])))

    def _told(self, place: int, line: int) -> Told:
        verdict, rule = VERDICTS[int(self.verdict[line])], int(self.rule[line])
        rule_id, rule_name = (None, "") if rule == _NO_RULE else self.rules[rule]
        # What made the order smaller, or stopped it, is told of what was asked for.
        is_of_asked = verdict in (Verdict.REDUCE, Verdict.BLOCK)
        return Told(
            kind=self.kinds[int(self.kind[line])],
            verdict=verdict,
            facts=self.facts[self.fact[place]],
            found=Found(int(self.found[line])),
            lots=self.asked[place] if is_of_asked else self.sent[place],
            value=_number(self.value[line]),
            limit=_number(self.limit[line]),
            allowed=_number(self.allowed[line]),
            largest=self.largest.get(line, ""),
            fault=self.faults.get(line, ""),
            minutes=self.minutes.get(line, math.nan),
            rule_id=rule_id,
            rule_name=rule_name,
            is_preview=self.is_preview,
        )


def findings_of(
    cases: Cases,
    chosen: Sequence[int],
    lines: Lines,
    *,
    allowed: Floats,
    verdicts: Codes,
    volumes: Sequence[Decimal],
) -> Findings:
    """Note what `lines`, the checks of the chosen cases in their order, found.

    `allowed` and `verdicts` go with the lines; `volumes` are what may be sent of every case.
    """
    asked = [cases.intents.volumes[case] for case in chosen]
    # Of what is not sent at all, everything is told of what was asked for.
    sent = [volumes[case] or wanted for case, wanted in zip(chosen, asked, strict=True)]
    place = _places_of(lines.case, chosen)
    of_asked = (verdicts != _ALLOW) & (verdicts != _WARN)
    lots = np.where(of_asked, _doubles(asked)[place], _doubles(sent)[place])
    numbers = numbers_of(cases, lines, lots)
    kinds, kind = np.unique(lines.kind, return_inverse=True)
    rules, rule = _rules(cases, lines)
    facts, fact = _facts(cases, chosen)
    texts = {volume: f"{volume.normalize():f}" for volume in {*asked, *sent}}
    return Findings(
        order_ids=tuple(cases.intents.order_ids[case] for case in chosen),
        starts=tuple(np.searchsorted(place, np.arange(len(chosen) + 1)).tolist()),
        facts=facts,
        fact=fact,
        asked=tuple(texts[volume] for volume in asked),
        sent=tuple(texts[volume] for volume in sent),
        kinds=tuple(_kind(int(code)) for code in kinds),
        rules=rules,
        kind=kind.astype(np.int8),
        verdict=verdicts,
        rule=rule,
        found=_found(cases, lines, numbers.is_unknown),
        value=numbers.value,
        limit=numbers.limit,
        allowed=finite(allowed),
        largest=_largest(cases, lines, allowed, of_asked),
        faults=_faults(cases, lines, verdicts),
        minutes=_minutes(cases, lines),
        is_preview=cases.book.is_preview,
    )


def _kind(code: int) -> Kind:
    return AccountCheck(code) if code >= _FIRST_ACCOUNT_CHECK else RULE_TYPES[code]


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def _doubles(volumes: Sequence[Decimal]) -> Floats:
    return np.array([float(volume) for volume in volumes], dtype=np.float64)


def _places_of(case: Integers, chosen: Sequence[int]) -> Integers:
    """Return the place of each line's case among the chosen ones, of which every one has lines."""
    starts = np.flatnonzero(np.r_[True, case[1:] != case[:-1]]) if len(case) else case
    place: Integers = np.repeat(np.arange(len(chosen)), np.diff(np.r_[starts, len(case)]))
    return place


def _rules(
    cases: Cases, lines: Lines
) -> tuple[tuple[tuple[UUID, str], ...], npt.NDArray[np.int16]]:
    """Return the rules of the lines by id and name, and the place of each line's among them."""
    book, rule = cases.book, np.full(len(lines), _NO_RULE, dtype=np.int16)
    ruled = np.flatnonzero(lines.pair >= 0)
    numbers, places = np.unique(book.table.rule_index[lines.pair[ruled]], return_inverse=True)
    rule[ruled] = places
    labels = [book.labels[number] for number in numbers.tolist()]
    return tuple((label.id, label.name) for label in labels), rule


def _facts(cases: Cases, chosen: Sequence[int]) -> tuple[tuple[Facts, ...], tuple[int, ...]]:
    sheet, intents = cases.book.accounts, cases.intents
    rows, forms = cases.row.tolist(), intents.form.tolist()
    digits = sheet.digits.tolist()
    known: dict[tuple[int, str, int], int] = {}
    facts: list[Facts] = []
    fact = []
    for case in chosen:
        row = rows[case]
        key = forms[case], sheet.currencies[row], int(digits[row])
        place = known.get(key)
        if place is None:
            place = known[key] = len(facts)
            form = intents.form_of(case)
            facts.append(
                Facts(
                    symbol=form.symbol,
                    is_buy=form.is_buy,
                    has_stop=bool(form.stop_loss),
                    knows_commission=form.commission_per_lot is not None,
                    currency=key[1],
                    digits=key[2],
                )
            )
        fact.append(place)
    return tuple(facts), tuple(fact)


def _found(cases: Cases, lines: Lines, is_unknown: Flags) -> npt.NDArray[np.int16]:
    book, case = cases.book, lines.case
    ruled = np.flatnonzero(lines.pair >= 0)
    pair = lines.pair[ruled]
    of_rule = np.zeros((4, len(lines)), dtype=np.bool_)
    of_rule[0, ruled] = book.rules.is_narrow[book.table.rule_index[pair]]
    of_rule[1, ruled] = book.standing.status[pair] == Status.VIOLATED
    of_rule[2, ruled] = book.table.by_currency[pair]
    of_rule[3, ruled] = _named(cases, lines, ruled)
    flags = (
        (Found.IS_NARROWED, of_rule[0]),
        (Found.IS_VIOLATED, of_rule[1]),
        (Found.BY_CURRENCY, of_rule[2]),
        (Found.IS_NAMED, of_rule[3]),
        (Found.IS_BARRED, lines.is_barred),
        (Found.ONLY_CLOSES, cases.volume[case] <= cases.closing_lots[case]),
        (Found.IS_UNKNOWN, is_unknown),
        (Found.WARNS, lines.effect == WARNS),
        (Found.KNOWS_NO_MARGIN, np.isnan(cases.margin_per_lot[case])),
    )
    found = np.zeros(len(lines), dtype=np.int16)
    for flag, is_so in flags:
        found |= np.where(is_so, np.int16(flag), np.int16(0))
    return found


def _named(cases: Cases, lines: Lines, ruled: Integers) -> Flags:
    """Tell of the lines of rules which look at the symbol of their order."""
    table = cases.book.table
    number = table.symbol_filter[lines.pair[ruled]]
    is_open = np.array([not named for named in table.symbol_filters], dtype=np.bool_)
    named: Flags = is_open[number]
    for place in np.flatnonzero(~named).tolist():
        named[place] = is_named(lines, cases, int(ruled[place]))
    return named


def _largest(cases: Cases, lines: Lines, allowed: Floats, stands: Flags) -> dict[int, str]:
    """Say for the checks that stand in the way of their orders how much would pass."""
    found = {}
    for line in np.flatnonzero(stands & np.isfinite(allowed) & ~lines.is_barred).tolist():
        terms = cases.intents.form_of(int(lines.case[line])).terms
        volume = Decimal(0) if terms is None else terms.floored(float(allowed[line]))
        if volume > 0:
            found[line] = f"{volume.normalize():f}"
    return found


def _faults(cases: Cases, lines: Lines, verdicts: Codes) -> dict[int, str]:
    """Word what an account, a terminal or a symbol forbids: only they can tell why."""
    # A volume that no broker takes is told of whatever comes of it.
    is_volume = lines.kind == AccountCheck.VOLUME
    told = np.where(is_volume, lines.is_barred, verdicts != _ALLOW)
    told &= lines.kind >= _FIRST_ACCOUNT_CHECK
    faults = {}
    for line in np.flatnonzero(told).tolist():
        fault = fault_of(AccountCheck(int(lines.kind[line])), cases, int(lines.case[line]))
        if fault:
            faults[line] = fault
    return faults


def _minutes(cases: Cases, lines: Lines) -> dict[int, float]:
    table, users = cases.book.table, cases.book.surroundings.users
    first = table.slice_of(RuleType.TRADING_WINDOW).start
    known: dict[tuple[int, int, int | None], float] = {}
    minutes = {}
    for line in np.flatnonzero((lines.kind == _TRADING_WINDOW) & (lines.pair >= 0)).tolist():
        case, pair = int(lines.case[line]), int(lines.pair[line])
        user = int(users[cases.row[case]]) if len(users) else None
        key = int(table.window_index[pair - first]), int(cases.intents.form[case]), user
        if key not in known:
            known[key] = minutes_to_window(cases, case, pair)
        minutes[line] = known[key]
    return minutes
