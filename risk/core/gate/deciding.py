"""The decision on orders, in rounds: each account's next order sees those decided before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

import numpy as np

from risk.core.arrays import Codes, Floats, Integers
from risk.core.gate.account_checks import account_lines
from risk.core.gate.book import Book, InFlight, Intent
from risk.core.gate.cases import Cases, cases_of
from risk.core.gate.findings import Findings, findings_of
from risk.core.gate.intents import Intents
from risk.core.gate.lines import BLOCKS, REDUCES, VOLUME_NOISE, WARNS, Lines, joined
from risk.core.gate.rule_checks import rule_lines
from risk.core.gate.verdicts import VERDICTS, Check, GateDecision, Verdict

# The tables of a round grow with the orders times the symbols of the host.
_MOST_PER_ROUND = 1_000
# Of so many orders it is noted together what was found: few enough to look at one of them.
NOTED_TOGETHER = 100
_WARN, _REDUCE, _BLOCK = (
    VERDICTS.index(each) for each in (Verdict.WARN, Verdict.REDUCE, Verdict.BLOCK)
)


@dataclass(frozen=True, slots=True)
class Round:
    """The checks of some orders, at most one of each account, and what they decided."""

    cases: Cases
    lines: Lines
    allowed: Floats
    verdicts: Codes  # of each check
    volumes: tuple[Decimal, ...]  # of each order, what may be sent
    by_case: Integers = field(repr=False)  # the lines of each order behind one another
    starts: Integers = field(repr=False)
    noted: dict[int, Findings] = field(default_factory=dict, repr=False)  # by part

    def explain(self, case: int) -> list[Check]:
        """Word the checks of one order, those of the account before those of the rules."""
        part, place = divmod(case, NOTED_TOGETHER)
        return self.part(part).checks(place)

    def decisive(self, case: int, verdict: Verdict) -> Check:
        """Word the check of one order that decided so."""
        part, place = divmod(case, NOTED_TOGETHER)
        return self.part(part).decisive(place, verdict)

    def parts(self) -> Iterator[Findings]:
        """Give what the checks of the orders found, a part of the orders at a time."""
        return map(self.part, range(self.part_count))

    @property
    def part_count(self) -> int:
        return -(-len(self.cases) // NOTED_TOGETHER)

    def part(self, number: int) -> Findings:
        if number not in self.noted:
            first = number * NOTED_TOGETHER
            end = min(first + NOTED_TOGETHER, len(self.cases))
            mine = self.by_case[self.starts[first] : self.starts[end]]
            self.noted[number] = findings_of(
                self.cases,
                range(first, end),
                self.lines.taken(mine),
                allowed=self.allowed[mine],
                verdicts=self.verdicts[mine],
                volumes=self.volumes,
            )
        return self.noted[number]


def decide(
    book: Book,
    intents: Sequence[Intent],
    in_flight: Sequence[InFlight],
    rounds: list[Round] | None = None,
) -> list[GateDecision]:
    """Decide on orders that open something, in their order.

    An order that passes counts as filled, with what may be sent of it, for its account's next.
    `rounds` gets the rounds in which that is done, with all that was looked at.
    """
    decisions: dict[int, GateDecision] = {}
    aloft = list(in_flight)
    orders = Intents.of(intents)
    rows: list[int] = orders.rows.tolist()
    waiting = list(range(len(orders)))
    while waiting:
        chosen, waiting = _next_of_each(rows, waiting)
        result = decide_round(book, orders.taken(chosen), aloft)
        if rounds is not None:
            rounds.append(result)
        for case, (place, decision) in enumerate(zip(chosen, _decisions(result), strict=True)):
            decisions[place] = decision
            if waiting and decision.is_allowed and decision.volume:
                aloft.append(flown(result.cases, case, decision.volume))
    return [decisions[place] for place in range(len(intents))]


def decide_round(book: Book, intents: Intents, in_flight: Sequence[InFlight]) -> Round:
    """Decide on at most one order of each account."""
    cases = cases_of(book, intents, in_flight)
    lines = joined(account_lines(cases), rule_lines(cases))
    allowed = lines.allowed()
    volumes = _reduced(cases, lines, allowed)
    sent = np.array([float(volume) for volume in volumes])
    exceeds = cases.volume[lines.case] > allowed + VOLUME_NOISE
    stays = exceeds & (sent[lines.case] > allowed + VOLUME_NOISE)
    verdicts = np.zeros(len(lines), dtype=np.int8)
    verdicts[exceeds & (lines.effect == WARNS)] = _WARN
    verdicts[exceeds & (lines.effect == REDUCES)] = _REDUCE
    nothing_left = sent[lines.case] <= 0
    verdicts[exceeds & (lines.effect == REDUCES) & nothing_left] = _BLOCK
    # What blocks the whole order may let pass what another rule has made of it.
    verdicts[stays & (lines.effect == BLOCKS)] = _BLOCK
    verdicts[exceeds & (lines.effect == BLOCKS) & nothing_left] = _BLOCK
    by_case = np.argsort(lines.case, kind="stable")
    starts = np.searchsorted(lines.case[by_case], np.arange(len(cases) + 1))
    return Round(cases, lines, allowed, verdicts, tuple(volumes), by_case, starts)


def flown(cases: Cases, case: int, volume: Decimal) -> InFlight:
    """Return an order that was let pass as one that may be filled any moment."""
    intent = cases.intents[case]
    opened = max(float(volume) - float(cases.closing_lots[case]), 0.0)
    return InFlight(
        row=intent.row,
        symbol=intent.symbol,
        is_buy=intent.is_buy,
        opens=opened > 0,
        lots=opened or float(volume),
        # An order without a stop passed where no rule on losses acts.
        loss_per_lot=intent.loss_per_lot if intent.stop_loss else 0.0,
        notional_per_lot=float(cases.notional_per_lot[case]),
        margin_per_lot=float(cases.margin_per_lot[case]),
    )


def _next_of_each(rows: Sequence[int], waiting: Sequence[int]) -> tuple[list[int], list[int]]:
    """Take the next order of each account, and return the places of the others too."""
    seen: set[int] = set()
    chosen: list[int] = []
    later: list[int] = []
    for place in waiting:
        row = rows[place]
        if row in seen or len(chosen) >= _MOST_PER_ROUND:
            later.append(place)
            seen.add(row)
        else:
            chosen.append(place)
            seen.add(row)
    return chosen, later


def _reduced(cases: Cases, lines: Lines, allowed: Floats) -> list[Decimal]:
    """Return what the rules that reduce leave of each order, in whole steps."""
    volumes = list(cases.intents.volumes)
    reduces = (lines.effect == REDUCES) & (cases.volume[lines.case] > allowed + VOLUME_NOISE)
    if not reduces.any():
        return volumes
    smallest = np.full(len(cases), np.inf)
    np.minimum.at(smallest, lines.case[reduces], allowed[reduces])
    for case in np.flatnonzero(np.isfinite(smallest)).tolist():
        terms = cases.intents.form_of(case).terms
        volumes[case] = Decimal(0) if terms is None else terms.floored(float(smallest[case]))
    return volumes


def _decisions(result: Round) -> Iterator[GateDecision]:
    worst = np.zeros(len(result.cases), dtype=np.int8)
    np.maximum.at(worst, result.lines.case, result.verdicts)
    for case, code in enumerate(worst.tolist()):
        verdict = VERDICTS[code]
        volume = Decimal(0) if verdict is Verdict.BLOCK else result.volumes[case]
        order_id = result.cases.intents.order_ids[case]
        explain, decisive = partial(result.explain, case), partial(result.decisive, case, verdict)
        yield GateDecision(order_id, verdict, volume, explain, decisive)
