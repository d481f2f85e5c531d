"""The checks of many orders, written together, are the rows that each order alone would get."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.db import IntegrityError

from copytrade.replication.checks import Notes, write_checks
from risk.core.gate.deciding import NOTED_TOGETHER, Round, decide
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.core.rule_types import RuleType
from risk.gate import check_rows
from risk.models import GateCheck, GateRound
from risk.tests.core_cases import rule
from risk.tests.gate_cases import account_row, book_of, intent

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 18, 12, 0, 0, 123456, tzinfo=UTC)
BARE = Check(name="reading", verdict=Verdict.ALLOW, sentence="Fresh.\tRead \\ now.")
FULL = Check(
    name="max_daily_loss",
    verdict=Verdict.REDUCE,
    sentence="S" * 300,
    value=0.1 + 0.2,
    limit=1e300,
    unit="percent of the balance",
    allowed_volume=0.07,
    rule_id=uuid4(),
    rule_name="R" * 80,
)


def decision(*checks: Check) -> GateDecision:
    return GateDecision(uuid4(), Verdict.REDUCE, Decimal("0.07"), lambda: checks)


def stored(order_id: UUID) -> list[dict[str, object]]:
    rows = GateCheck.objects.filter(order_id=order_id).order_by("number").values()
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def test_it_writes_what_the_rows_of_each_order_say() -> None:
    decisions = [decision(BARE, FULL), decision(), decision(FULL)]
    write_checks(decisions, NOW)
    written = [stored(each.order_id) for each in decisions]
    GateCheck.objects.all().delete()
    GateCheck.objects.bulk_create(row for each in decisions for row in check_rows(each, NOW))
    assert written == [stored(each.order_id) for each in decisions]
    assert [len(rows) for rows in written] == [2, 0, 1]


def test_it_writes_all_or_none() -> None:
    known, new = decision(BARE), decision(FULL)
    write_checks([known], NOW)
    with pytest.raises(IntegrityError):
        write_checks([new, known], NOW)
    assert GateCheck.objects.count() == 1


def decided(count: int, **sheet: Any) -> tuple[Round, list[GateDecision]]:
    """Decide about one order of each of so many accounts, which are too large by half."""
    book = book_of(
        [rule(RuleType.MAX_POSITION_SIZE, "2")], account=[account_row()] * count, **sheet
    )
    rounds: list[Round] = []
    orders = [intent("3", order_id=uuid4(), row=row) for row in range(count)]
    decisions = decide(book, orders, [], rounds)
    return rounds[0], decisions


def test_a_hundred_orders_of_a_round_are_one_row() -> None:
    found, refusals = decided(NOTED_TOGETHER + 1)
    notes = Notes(lambda: NOW)
    notes.add([(found, NOW)], refusals)
    notes.write_all()
    rows = GateRound.objects.order_by("pk")
    assert [(row.order_count, row.gated_at) for row in rows] == [(NOTED_TOGETHER, NOW), (1, NOW)]
    ids = b"".join(bytes(row.order_ids) for row in rows)
    assert ids == b"".join(each.order_id.bytes for each in refusals)
    assert not GateCheck.objects.exists()
    assert not notes.are_there


def test_refusals_without_a_round_or_a_last_word_have_rows_of_their_own() -> None:
    found, (later,) = decided(1, known=np.array([False]))
    alone = decision(FULL)
    notes = Notes(lambda: NOW)
    notes.add([(found, NOW)], [later, alone])
    notes.write_all()
    assert {row.order_id for row in GateCheck.objects.all()} == {later.order_id, alone.order_id}


def test_notes_that_cannot_be_written_hold_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    alone, (found, _) = decision(FULL), decided(1)
    write_checks([alone], NOW)
    notes = Notes(lambda: NOW)
    notes.add([], [alone])
    notes.write_all()
    notes.add([(replace(found, starts=np.array([])), NOW)], [])
    notes.write_all()
    assert GateCheck.objects.count() == 1
    assert "Checks of the gate are lost." in caplog.text


@pytest.mark.parametrize(("parts", "are_many"), [(50, False), (51, True)])
def test_notes_are_many_before_they_are_too_many(parts: int, are_many: bool) -> None:
    found, _ = decided(1)
    notes = Notes(lambda: NOW)
    notes.add([(found, NOW)] * parts, [])
    assert notes.are_many is are_many
