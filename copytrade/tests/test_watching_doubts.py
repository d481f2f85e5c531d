"""What a watch makes of answers that prove nothing, and of an interrupted life."""

import threading
import uuid
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.simulated_desk import PASSWORD
from copytrade.models import CopyEvent
from copytrade.tests.watch_stage import LOGIN, NETTING, Stage, told
from copytrade.watching.watch import ProviderWatch
from copytrade.watching.watched import EXPLAINED_WITHIN_SECONDS

pytestmark = pytest.mark.django_db

LIMIT = mt5.ORDER_TYPE_BUY_LIMIT
DOUBTS = [
    FaultKind.NONE,
    FaultKind.EMPTY,
    FaultKind.CUT_FROM_BROKER,
    FaultKind.DISCONNECT_TERMINAL,
    FaultKind.TORN,
]


@pytest.mark.parametrize("kind", DOUBTS)
def test_a_doubtful_answer_closes_nothing_and_loses_nothing(kind: FaultKind) -> None:
    stage = Stage().ready()
    kept = stage.desk.buy(LOGIN, 0.3)
    ended = stage.desk.buy(LOGIN, 0.5)
    stage.desk.wait_for(LOGIN, LIMIT, 0.2, 1.095)
    assert len(stage.look()) == 3

    stage.desk.server.set_fault(LOGIN, kind)
    assert stage.looks(6) == []
    stage.close_by_hand(ended, 0.5)
    assert stage.looks(6) == []
    stage.desk.server.clear_faults()

    assert told(stage.looks()) == [("close", "buy", 0.5, 0.5)]
    assert [position["ticket"] for position in stage.desk.positions(LOGIN)] == [kept]


def test_after_a_break_one_reading_alone_proves_nothing() -> None:
    stage = Stage().ready()
    stage.desk.server.set_fault(LOGIN, FaultKind.DISCONNECT_TERMINAL)
    stage.look()
    stage.desk.server.clear_faults()
    stage.desk.buy(LOGIN, 0.3)

    assert stage.look() == []
    assert told(stage.look()) == [("open", "buy", 0.3, 0.0)]


def test_another_accounts_answer_is_nobodys_trade() -> None:
    stage = Stage().ready()
    stage.desk.open_account(2002)
    held = stage.desk.buy(LOGIN, 0.3)
    stage.look()

    stage.desk.buy(2002, 1.0)
    stage.desk.server.set_fault(LOGIN, FaultKind.WRONG_ACCOUNT, peer=2002)
    assert stage.looks(6) == []
    stage.desk.server.clear_faults()

    assert stage.looks(6) == []
    stage.close(held, 0.3)
    assert told(stage.looks()) == [("close", "buy", 0.3, 0.3)]


@pytest.mark.parametrize("wrong", [{"server": "Other-Live"}, {"currency": "EUR"}, {"login": 999}])
def test_an_account_that_is_not_the_one_expected_is_not_watched(wrong: dict[str, object]) -> None:
    stage = Stage()
    stage.sync(**wrong)

    stage.desk.buy(LOGIN, 0.3)

    assert stage.looks(6) == []


def test_a_broker_that_does_not_answer_at_all_is_asked_again() -> None:
    stage = Stage().ready()
    answering, stage.desk.server._methods["read_batch"] = (
        stage.desk.server._methods["read_batch"],
        _no_answer,
    )
    stage.desk.buy(LOGIN, 0.3)
    assert stage.looks() == []

    stage.desk.server._methods["read_batch"] = answering

    assert told(stage.looks()) == [("open", "buy", 0.3, 0.0)]


def _no_answer(*arguments: object) -> None:
    raise OSError("the line is cut")


def test_one_providers_trouble_holds_up_no_other() -> None:
    stage = Stage()
    stage.desk.open_account(2002)
    other = replace(stage.provider, account_id=uuid.UUID(int=8), name="Other", login=2002)
    stage.watch.sync([stage.provider, other])
    stage.looks()
    stage.desk.server.set_fault(LOGIN, FaultKind.NONE)

    stage.desk.buy(LOGIN, 0.3)
    stage.desk.buy(2002, 0.2)

    [event] = stage.looks()
    assert (event.provider_id, event.provider_name) == (other.account_id, "Other")


def test_events_that_could_not_be_stored_come_again() -> None:
    stage = Stage().ready()
    stage.fails = 2

    stage.desk.buy(LOGIN, 0.3)
    stage.desk.wait_for(LOGIN, LIMIT, 0.2, 1.095)

    seen = stage.looks(40)
    assert [event.kind for event in seen] == ["pending_placed", "open"]
    assert CopyEvent.objects.count() == 2


def test_a_restart_tells_what_happened_meanwhile_and_nothing_twice() -> None:
    stage = Stage().ready()
    halved = stage.desk.buy(LOGIN, 1.0)
    ended = stage.desk.sell(LOGIN, 0.4)
    moved = stage.desk.buy(LOGIN, 0.2, sl=1.08)
    changed = stage.desk.wait_for(LOGIN, LIMIT, 0.2, 1.095)
    removed = stage.desk.wait_for(LOGIN, LIMIT, 0.3, 1.094)
    filled = stage.desk.wait_for(LOGIN, LIMIT, 0.6, 1.0995)
    assert len(stage.looks()) == 6
    stage.restart()
    assert stage.looks() == []

    stage.close(halved, 0.25)
    stage.close(ended, 0.4, mt5.ORDER_TYPE_BUY)
    stage.stops(moved, 1.09)
    stage.desk.modify(LOGIN, changed, 1.096)
    stage.desk.remove(LOGIN, removed)
    stage.prices(1.0990)
    stage.desk.buy(LOGIN, 0.7)
    stage.desk.pass_time(120.0)
    stage.restart()
    seen = stage.looks(8)

    assert sorted(told(seen), key=str) == sorted(
        [
            ("pending_modified", "buy", 0.2, None),
            ("pending_cancelled", "buy", 0.3, None),
            ("pending_filled", "buy", 0.6, None),
            ("partial_close", "buy", 0.25, 1.0),
            ("close", "sell", 0.4, 0.4),
            ("open", "buy", 0.6, 0.0),
            ("open", "buy", 0.7, 0.0),
            ("stops", "buy", 0.2, None),
        ],
        key=str,
    )
    assert {event.order_ticket for event in seen if event.kind == "pending_filled"} == {filled}
    opened = next(event for event in seen if told([event]) == [("open", "buy", 0.7, 0.0)])
    assert (stage.now - opened.happened_at).total_seconds() > 100
    stage.restart()
    assert stage.looks(8) == []


def test_a_position_that_was_closed_in_parts_holds_up_no_restart() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 1.0)
    for lots in (0.29, 0.14, 0.57):
        stage.close(ticket, lots)
    assert len(stage.looks()) == 4
    stage.restart()

    stage.desk.buy(LOGIN, 0.1)

    assert told(stage.looks()) == [("open", "buy", 0.1, 0.0)]


@pytest.mark.parametrize("seed", range(4))
def test_random_trading_with_restarts_and_doubts_adds_up(seed: int) -> None:
    chance, terms = Random(seed), NETTING if seed % 2 else {}
    stage = Stage(deposit=1_000_000.0, **terms).ready()
    for _ in range(80):
        held = stage.desk.positions(LOGIN)
        if held and chance.random() < 0.5 and not seed % 2:
            position = chance.choice(held)
            lots = min(chance.choice((0.1, 0.29, 1.0)), position["volume"])
            stage.close(position["ticket"], lots, 1 - position["type"])
        else:
            trade = chance.choice((stage.desk.buy, stage.desk.sell))
            trade(LOGIN, chance.choice((0.1, 0.29, 0.57)))
        if chance.random() < 0.2:
            stage.restart()
        if chance.random() < 0.1:
            stage.desk.server.set_fault(LOGIN, chance.choice(DOUBTS))
        stage.looks(chance.randint(0, 3))
        stage.desk.server.clear_faults()
    stage.looks()

    held_lots: dict[int | None, Decimal] = defaultdict(Decimal)
    for event in CopyEvent.objects.all():
        sign = 1 if event.direction == "buy" else -1
        held_lots[event.position_ticket] += (event.volume or 0) * (
            sign if event.kind == "open" else -sign
        )
    shown = {
        position["identifier"]: Decimal(str(position["volume"])) * (1 - 2 * position["type"])
        for position in stage.desk.positions(LOGIN)
    }
    assert {ticket: lots for ticket, lots in held_lots.items() if lots} == shown
    assert CopyEvent.objects.count() >= 80


def test_a_restart_counts_on_with_moves_that_were_told() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.2)
    stage.look()
    seen: list[CopyEvent] = []

    for sl in (1.09, 1.08, 1.09, 1.08):
        stage.stops(ticket, sl)
        stage.restart()
        seen += stage.looks()

    assert [event.stop_loss for event in seen] == [1.09, 1.08, 1.09, 1.08]


def test_a_death_between_detecting_and_storing_loses_nothing() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.2)
    stage.stops(ticket, 1.08)
    stage.fails = 1
    assert stage.look() == []
    stage.restart()

    assert told(stage.looks()) == [("open", "buy", 0.2, 0.0)]


def test_another_login_of_the_account_begins_anew() -> None:
    stage = Stage().ready()
    stage.desk.buy(LOGIN, 0.2)
    assert len(stage.looks()) == 1
    stage.desk.server.create_account(2002, PASSWORD, stage.provider.server, "New", deposit=9_000.0)
    stage.sync(login=2002)
    stage.looks()

    stage.desk.buy(2002, 0.1)
    assert told(stage.looks()) == [("open", "buy", 0.1, 0.0)]
    stage.sync(login=LOGIN)

    assert stage.looks(8) == []


def test_a_provider_without_followers_is_not_read() -> None:
    stage = Stage().ready()
    stage.watch.sync([])

    stage.desk.buy(LOGIN, 0.1)

    assert stage.looks() == []


def test_deals_that_a_terminal_loads_late_are_waited_for() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 1.0)
    stage.look()
    stage.restart()
    stage.close(ticket, 0.4)
    reading = stage.desk.server._methods["read_batch"]

    def without_history(*arguments: Any) -> dict[str, Any]:
        batch: dict[str, Any] = reading(*arguments)
        batch["accounts"]["last_deal"] = 0
        return {**batch, "deals": batch["deals"][:0]}

    stage.desk.server._methods["read_batch"] = without_history
    assert stage.looks() == []
    stage.desk.server._methods["read_batch"] = reading

    assert told(stage.looks()) == [("partial_close", "buy", 0.4, 1.0)]


def test_a_look_that_is_shown_twice_tells_no_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage().ready()
    stage.desk.buy(LOGIN, 1.0)
    stage.look()
    stage.restart()
    reading, looks = stage.desk.server._methods["read_batch"], iter([1, 2, 2, 3])

    def numbered(*arguments: Any) -> dict[str, Any]:
        batch: dict[str, Any] = reading(*arguments)
        batch["accounts"]["look"] = next(looks)
        return batch

    monkeypatch.setitem(stage.desk.server._methods, "read_batch", numbered)
    stage.look()
    # As of a terminal whose positions are older than its deals.
    stage.desk.buy(LOGIN, 0.5)
    known = []
    for _ in range(3):
        stage.look()
        (watched,) = stage.watch._watched.values()
        known.append(watched._memory is not None)
    assert known == [False, False, True]


def test_deals_that_never_come_are_given_up_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage().ready()
    stage.desk.buy(LOGIN, 1.0)
    stage.look()
    CopyEvent.objects.update(volume="1.5")
    stage.restart()
    stage.desk.buy(LOGIN, 0.1)

    assert stage.looks(4, seconds=(EXPLAINED_WITHIN_SECONDS - 0.5) / 4) == []
    assert told(stage.looks(4, seconds=EXPLAINED_WITHIN_SECONDS / 2)) == [("open", "buy", 0.1, 0.0)]
    assert "than its deals add up to" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_thread_looks_by_itself_and_at_once_when_it_is_nudged() -> None:
    stage = Stage()
    stored, came = threading.Event(), []

    def store(events: list[CopyEvent]) -> None:
        CopyEvent.objects.bulk_create(events)
        came.extend(events)
        stored.set()

    watch = ProviderWatch(
        "local", stage.desk.server, on_events=store, is_inline=False, interval_seconds=0.01
    )
    watch.sync([stage.provider])
    watch.start()
    try:
        stage.desk.buy(LOGIN, 0.1)
        assert stored.wait(10.0)
    finally:
        watch.close()

    assert told(came) == [("open", "buy", 0.1, 0.0)]


@pytest.mark.django_db(transaction=True)
def test_a_nudge_ends_the_pause_between_two_looks() -> None:
    stage = Stage().ready()
    stored = threading.Event()
    watch = ProviderWatch(
        "local", stage.desk.server, on_events=lambda _: stored.set(), is_inline=False,
        interval_seconds=3600.0,
    )  # fmt: skip
    watch.sync([stage.provider])
    stage.desk.buy(LOGIN, 0.1)
    watch.start()
    try:
        # The first looks prove the account; none but nudged ones come within the hour.
        for _ in range(2000):
            watch.nudge(stage.provider.account_id)
            if stored.wait(0.005):
                break
        assert stored.is_set()
    finally:
        watch.close()
