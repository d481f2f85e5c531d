"""What was kept of a round of the gate says later, word for word, what it would have said then."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import chain
from typing import Any
from unittest import mock
from uuid import UUID

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.symbol_terms import SymbolTradeMode
from risk.core.gate import deciding, findings
from risk.core.gate.book import Book, RuleLabel
from risk.core.gate.deciding import Round, decide
from risk.core.gate.intents import Intents
from risk.core.gate.packed_findings import pack, unpack
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.core.gate.wording import word
from risk.core.rule_types import Action, Importance, RuleType
from risk.core.statuses import Status
from risk.core.surroundings import Calendar, CalendarEvent, Surroundings
from risk.tests.core_cases import NOON, rule
from risk.tests.gate_cases import (
    CURRENCIES,
    EURUSD,
    account_row,
    book_of,
    flying,
    intent,
    position,
)

DAY = {"kind": "daily", "from_time": "12:05", "until_time": "13:00", "zone": "UTC"}
RULES = (
    rule(RuleType.MAX_DAILY_LOSS, "0.05"),
    rule(RuleType.MAX_DRAWDOWN, "0.02"),
    rule(RuleType.MARGIN_LEVEL, "150"),
    rule(RuleType.MAX_POSITION_SIZE, "2"),
    rule(RuleType.MAX_POSITION_SIZE, "3", symbols=["GBPUSD"]),
    rule(RuleType.MAX_POSITION_SIZE, "0.01", magic=7),
    rule(RuleType.POSITION_LIMIT, "2"),
    rule(RuleType.MAX_LEVERAGE, "4"),
    rule(RuleType.MAX_EXPOSURE, "3"),
    rule(RuleType.MAX_EXPOSURE, "3", exposure_of="currency"),
    rule(RuleType.MAX_CORRELATION, "0.5"),
    rule(RuleType.RISK_PER_TRADE, "0.03"),
    rule(RuleType.STOP_LOSS_REQUIRED, "5"),
    rule(RuleType.MAX_DAILY_TRADES, "3"),
    rule(RuleType.TRADING_WINDOW, "15", **DAY),
    rule(RuleType.TRADING_WINDOW, "2", kind="news"),
    rule(RuleType.NO_CROSS_HEDGING, "1"),
)
FORMS = (
    intent(),
    intent(selling=True),
    intent(stop_loss=None, commission_per_lot=None),
    intent(stop_loss=1.2),
    intent(terms=None, price=None),
    intent(is_expected=False),
    intent(price=1.09, is_market=False),
    intent(terms=replace(EURUSD, trade_mode=SymbolTradeMode.CLOSE_ONLY)),
    intent(terms=replace(EURUSD, volume_limit=2.0, calc_mode=99)),
)
ACCOUNTS: tuple[dict[str, object], ...] = (
    {},
    {"margin_mode": 0},
    {"leverage": 1},
    {"balance": 2_000.0, "margin_free": 900.0, "currency_digits": 0},
    {"balance": -5.0, "margin_free": 0.0},
    {"trade_allowed": False, "algo_trading_allowed": False},
)
VOLUMES = ("0.01", "0.015", "0.10", "1", "1.50", "2", "2.01", "9", "60", "0.001", "0")
HELD = st.tuples(
    st.integers(0, len(ACCOUNTS) - 1),
    st.integers(0, 2),
    st.integers(1, 300),
    st.booleans(),
    st.booleans(),
)


PLACES = st.sets(st.integers(0, 8 * len(ACCOUNTS) - 1), max_size=12)
SEEN = st.lists(st.sampled_from([True, True, True, False]), min_size=6, max_size=6)
SCENES = st.fixed_dictionaries(
    {
        "rules": st.lists(st.sampled_from(RULES), max_size=8),
        "held": st.lists(HELD, max_size=6),
        "action": st.sampled_from([Action.BLOCK, Action.REDUCE_SIZE, Action.ALERT]),
        "moment": st.sampled_from([NOON, NOON + 600, float("nan")]),
        "news_after": st.integers(-600, 1200),
        "violated": PLACES,
        "unknown": PLACES,
        "known": SEEN,
        "connected": SEEN,
        "ages": st.lists(st.sampled_from([0.5, 7.25, np.inf]), min_size=6, max_size=6),
        "locks": st.sampled_from([{}, {1: "L" * 300}]),
        "is_preview": st.booleans(),
    }
)


def book_at(scene: dict[str, Any]) -> Book:
    held = [
        position(lots / 100, selling=selling, account=row, symbol=symbol, sl=1.1 * has_stop)
        for row, symbol, lots, selling, has_stop in sorted(scene["held"])
    ]
    news = CalendarEvent(NOON + scene["news_after"], "USD", Importance.HIGH)
    book = book_of(
        scene["rules"],
        scene["action"],
        account=[account_row(**fields) for fields in ACCOUNTS],
        positions=held,
        surroundings=Surroundings(
            moment=scene["moment"],
            currencies={"Demo": CURRENCIES},
            users=np.array([1, 1, 1, 2, 2, 2]),
            calendars={1: Calendar(NOON - 9000, NOON + 9000, (news,))},
        ),
    )
    return altered(book, scene)


def altered(book: Book, scene: dict[str, Any]) -> Book:
    """Let something stand in the way that no reading shows."""
    status, known = book.standing.status.copy(), np.array(scene["known"])
    for code, places in ((Status.VIOLATED, "violated"), (Status.UNKNOWN, "unknown")):
        status[[place for place in scene[places] if place < len(status)]] = code
    return replace(
        book,
        accounts=replace(
            book.accounts,
            known=known,
            is_connected=np.array(scene["connected"]) | known,
            age_seconds=np.array(scene["ages"]),
            currencies=("USD", "EUR", "USD", "JPY", "USD", "USD"),
            lock_reasons=scene["locks"],
        ),
        standing=replace(book.standing, status=status, latched=status == Status.VIOLATED),
        is_preview=scene["is_preview"],
    )


ORDERS = st.lists(
    st.tuples(
        st.integers(0, len(FORMS) - 1),
        st.integers(0, len(ACCOUNTS) - 1),
        st.sampled_from(VOLUMES).map(Decimal),
    ),
    min_size=1,
    max_size=8,
)


def intents_of(orders: Sequence[tuple[int, int, Decimal]]) -> Intents:
    return Intents(
        FORMS,
        np.array([form for form, _, _ in orders], dtype=np.int64),
        np.array([row for _, row, _ in orders], dtype=np.int64),
        [volume for _, _, volume in orders],
        [UUID(int=number + 1) for number in range(len(orders))],
    )


def decided(book: Book, orders: Any) -> tuple[list[GateDecision], list[Round]]:
    rounds: list[Round] = []
    return decide(book, intents_of(orders), [flying(0.5)], rounds), rounds


@given(scene=SCENES, orders=ORDERS, length=st.integers(1, 8))
def test_what_is_kept_says_word_for_word_what_was_found(
    scene: dict[str, Any], orders: Any, length: int
) -> None:
    book = book_at(scene)
    with mock.patch.object(deciding, "NOTED_TOGETHER", length):
        decisions, rounds = decided(book, orders)
        kept: dict[UUID, list[Check]] = {}
        for part in chain.from_iterable(each.parts() for each in rounds):
            unpacked = unpack(pack(part))
            for place, order_id in enumerate(unpacked.order_ids):
                assert order_id not in kept
                kept[order_id] = unpacked.checks(place)
        assert kept == {decision.order_id: list(decision.checks) for decision in decisions}


@given(scene=SCENES, orders=ORDERS)
def test_one_check_alone_says_what_decided(scene: dict[str, Any], orders: Any) -> None:
    decisions, _ = decided(book_at(scene), orders)
    for decision in decisions:
        with mock.patch.object(findings, "word", side_effect=word) as worded:
            sentence = decision.sentence
        assert worded.call_count == (decision.verdict is not Verdict.ALLOW)
        assert sentence == replace(decision, decisive=None).sentence


def test_a_rule_that_was_renamed_keeps_its_name_there() -> None:
    book = book_of([rule(RuleType.MAX_POSITION_SIZE, "2")])
    _, (first,) = decided(book, [(0, 0, Decimal(1))])
    packed = pack(first.part(0))
    label = book.labels[0]
    object.__setattr__(book, "labels", (RuleLabel(label.id, "Renamed", label.action),))
    object.__setattr__(book.accounts, "currencies", ("EUR",))
    checks = {check.name: check for check in unpack(packed).checks(0)}
    assert checks["MAX_POSITION_SIZE"].rule_name == "Rule 0"
    assert checks["MAX_POSITION_SIZE"].rule_id == label.id
    assert checks["free_margin"].unit == "USD"


def test_a_thousand_alike_take_no_more_room_than_a_few_words() -> None:
    rows = [account_row() for _ in range(1000)]
    book = book_of([rule(RuleType.MAX_DAILY_LOSS, "0.05")], account=rows)
    count = len(rows)
    intents = Intents(
        FORMS[:1],
        np.zeros(count, dtype=np.int64),
        np.arange(count),
        [Decimal(1)] * count,
        [UUID(int=number + 1) for number in range(count)],
    )
    rounds: list[Round] = []
    decide(book, intents, [], rounds)
    packed = [pack(part) for part in rounds[0].parts()]
    assert sum(map(len, packed)) < 40 * count  # of which 16 are the id


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"none",
        zlib.compress(b""),
        zlib.compress(b"\xc1"),
        zlib.compress(msgpack.packb([1])),
        zlib.compress(msgpack.packb({"version": 1})),
        zlib.compress(msgpack.packb({"version": 2})),
    ],
)
def test_anything_else_is_no_findings(packed: bytes) -> None:
    with pytest.raises(ValueError, match="findings"):
        unpack(packed)
