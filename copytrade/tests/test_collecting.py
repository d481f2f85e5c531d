"""Answers are taken in late and together, and what the gate looked at is written after them."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, overload
from uuid import UUID

import pytest

from accounts.terminals import codes
from accounts.terminals.link import LinkError
from copytrade.replication import collecting
from copytrade.replication.collecting import MOST_TOGETHER, Collector, Sent, outcome_of
from risk.models import Order
from risk.tests.factories import make_order

NOW = datetime(2026, 11, 18, 12, 0, 0, tzinfo=UTC)


def filled(price: float = 1.1) -> tuple[Any, ...]:
    return (10009, 7, 8, 0.1, price, 1.1, 1.1002, "", 1, 0)


class Lazy(Sequence[Sent]):
    """Orders that are made when somebody asks for them."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._orders = orders
        self.made: list[int] = []

    def __len__(self) -> int:
        return len(self._orders)

    @overload
    def __getitem__(self, place: int) -> Sent: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Sent]: ...

    def __getitem__(self, place: int | slice) -> Sent | Sequence[Sent]:
        assert isinstance(place, int)
        self.made.append(place)
        return Sent(self._orders[place], None)


def collector_of(*, is_inline: bool = True, **callbacks: Any) -> Collector:
    given: dict[str, Any] = {
        "unfold": lambda _: None,
        "settled": lambda _: None,
        "release": lambda _: None,
        "begin": lambda: None,
        **callbacks,
    }
    ledger: Any = SimpleNamespace(is_behind=False)
    return Collector("desk", ledger, clock=lambda: NOW, is_inline=is_inline, **given)


@pytest.mark.django_db
def test_orders_are_made_once_and_when_their_answers_are_taken_in() -> None:
    count = MOST_TOGETHER + 20
    account = SimpleNamespace(
        pk=UUID(int=1), user_id=1, name="Follower", terminal_host_id="h", server="S", login=1
    )
    fields = {"state": "sent", "origin": "copy", "requested_by_id": None}
    orders = [make_order(account, **fields) for _ in range(count)]  # type: ignore[arg-type]
    sents, parts = Lazy(orders), list[int]()
    released: list[UUID] = []
    collector = collector_of(
        settled=lambda ended: parts.append(len(ended)), release=released.extend
    )
    come = collector.expect(sents)
    come([(place, filled()) for place in range(1, count)])
    come([(0, filled(1.2))], 0.25)
    assert sents.made == []
    collector.flush()
    assert sents.made == [*range(1, count), 0]
    assert parts == [MOST_TOGETHER, 20]
    assert len(released) == count
    assert set(Order.objects.values_list("state", flat=True)) == {Order.State.FILLED}
    assert Order.objects.get(pk=orders[0].pk).fill_price == 1.2
    assert Order.objects.get(pk=orders[1].pk).fill_price == 1.1
    # That of an answer is the moment at which it came in.
    came = [Order.objects.get(pk=order.pk).answered_at for order in orders[:2]]
    assert came == [NOW - timedelta(seconds=0.25), NOW]


ORDER = Order(kind="open", volume=Decimal("0.1"))


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (filled(), "filled"),
        (None, "unknown"),
        (("garbage",), "unknown"),
        (ValueError("garbage"), "unknown"),
        (LinkError(codes.IPC_TIMEOUT, "away"), "unknown"),
        (LinkError(codes.IPC_NO_CONNECTION, "not there"), "pending"),
    ],
)
def test_whatever_comes_for_an_order_ends_it(
    said: Any, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[Any] = []
    monkeypatch.setattr(Collector, "_write_outcomes", lambda _self, ended: came.extend(ended))
    collector, answer, sent = collector_of(), Future[Any](), Sent(ORDER, None)
    collector.take(sent, answer)
    if isinstance(said, Exception):
        answer.set_exception(said)
    else:
        answer.set_result(said)
    collector.flush()
    assert came == [(sent, said, NOW)]
    assert outcome_of(ORDER, said, NOW).state == state


class FakeNotes:
    """So many notes to be written; `many` of them come before any answer."""

    def __init__(self, count: int, many: int, told: list[str]) -> None:
        self._left, self._many, self._told = count, many, told

    @property
    def are_there(self) -> bool:
        return self._left > 0

    @property
    def are_many(self) -> bool:
        return self._left > self._many

    def add(self, _rounds: Any, _refusals: Any) -> None:
        pass

    def write_some(self) -> None:
        self._left -= 1
        self._told.append("note")

    def write_all(self) -> None:
        while self.are_there:
            self.write_some()


def test_notes_wait_for_answers_until_they_are_many_and_none_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    begun = threading.Event()
    monkeypatch.setattr(collecting, "Notes", lambda _: FakeNotes(5, 3, told))
    monkeypatch.setattr(Collector, "_write_outcomes", lambda _self, _ended: None)
    monkeypatch.setattr(collecting, "CALM_SECONDS", 60.0)
    collector = collector_of(
        is_inline=False, begin=begun.wait, settled=lambda _: told.append("answer")
    )
    come = collector.expect((Sent(ORDER, None),))
    collector.note(())
    come([(0, filled())])
    threading.Timer(0.05, begun.set).start()
    collector.close()
    assert told == ["note", "note", "answer", "note", "note", "note"]


def test_what_is_noted_after_the_end_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    notes = FakeNotes(0, 0, told)
    monkeypatch.setattr(collecting, "Notes", lambda _: notes)
    collector = collector_of(is_inline=False)
    collector.expect(())
    collector.close()
    notes._left = 2
    collector.note(())
    assert told == ["note", "note"]
