"""What a watch makes of lists and histories that fall short, and of what was there before it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from accounts.models import Deal, User
from accounts.tests.factories import make_account
from accounts.tests.history_rows import make_deal
from copytrade.tests.watch_stage import LOGIN, Stage, told
from copytrade.watching.changes import DIFFERS_FOR
from copytrade.watching.watched import EXPLAINED_WITHIN_SECONDS, OLD_SECONDS

pytestmark = pytest.mark.django_db

Batch = dict[str, Any]


def answering(stage: Stage, change: Callable[[Batch], Batch]) -> Callable[[], None]:
    """Let the broker's batches be changed on their way; return what ends that."""
    methods = stage.desk.server._methods
    before = methods["read_batch"]
    methods["read_batch"] = lambda *arguments: change(before(*arguments))

    def end() -> None:
        methods["read_batch"] = before

    return end


def without_positions(batch: Batch) -> Batch:
    return {**batch, "positions": batch["positions"][:0]}


def without_deals(batch: Batch) -> Batch:
    return {**batch, "deals": batch["deals"][:0]}


def test_positions_that_are_gone_without_deals_are_closed_by_nobody() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.5)
    stage.look()

    end = answering(stage, without_positions)
    assert stage.looks(20, seconds=DIFFERS_FOR.total_seconds() / 10) == []
    stage.restart()
    assert stage.looks(20, seconds=EXPLAINED_WITHIN_SECONDS / 10) == []
    end()

    assert stage.looks() == []
    stage.close(ticket, 0.5)
    assert told(stage.looks()) == [("close", "buy", 0.5, 0.5)]


def test_half_of_the_positions_closes_none_of_the_others() -> None:
    stage = Stage().ready()
    tickets = [stage.desk.buy(LOGIN, lots) for lots in (0.1, 0.2, 0.3, 0.4)]
    stage.looks()

    end = answering(stage, lambda batch: {**batch, "positions": batch["positions"][::2]})
    assert stage.looks(6) == []
    stage.close(tickets[1], 0.2)
    seen = stage.looks(6)
    end()

    assert told([*seen, *stage.looks()]) == [("close", "buy", 0.2, 0.2)]


def test_a_close_whose_deal_comes_before_the_lists_have_it_is_told_once() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.5)
    stage.look()
    held: list[Any] = []

    def keep(batch: Batch) -> Batch:
        held.append(batch["positions"])
        return {**batch, "positions": held[0]}

    end = answering(stage, keep)
    stage.look()
    stage.close(ticket, 0.5)
    seen = stage.looks(6)
    end()

    assert told([*seen, *stage.looks()]) == [("close", "buy", 0.5, 0.5)]


def test_a_history_that_is_shorter_for_a_while_repeats_and_loses_nothing() -> None:
    stage = Stage().ready()
    first = stage.desk.buy(LOGIN, 0.5)
    stage.look()

    def emptied(batch: Batch) -> Batch:
        accounts = batch["accounts"].copy()
        accounts["last_deal"] = 0
        return {**without_deals(batch), "accounts": accounts}

    end = answering(stage, emptied)
    stage.looks(3)
    stage.close(first, 0.5)
    stage.desk.buy(LOGIN, 0.7)
    assert stage.looks(6) == []
    end()

    assert told(stage.looks()) == [("close", "buy", 0.5, 0.5), ("open", "buy", 0.7, 0.0)]


def test_a_reading_that_is_older_than_the_last_one_is_not_taken_for_news() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.5)
    old: list[Batch] = []

    def kept(batch: Batch) -> Batch:
        old.append(batch)
        return batch

    end = answering(stage, kept)
    stage.look()
    end()
    stage.stops(ticket, 1.08)
    stage.close(ticket, 0.2)
    assert len(stage.looks()) == 2

    end = answering(stage, lambda _: old[0])
    assert stage.looks(1) == []
    end()

    assert stage.looks() == []


def test_a_terminal_that_is_behind_what_was_told_tells_nothing_for_a_long_while() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.5)
    old: list[Batch] = []

    def kept(batch: Batch) -> Batch:
        old.append(batch)
        return batch

    def behind(batch: Batch) -> Batch:
        accounts = old[0]["accounts"].copy()
        accounts["look"] = batch["accounts"]["look"]
        return {**without_deals(old[0]), "accounts": accounts}

    end = answering(stage, kept)
    stage.look()
    end()
    stage.stops(ticket, 1.08)
    stage.close(ticket, 0.2)
    assert len(stage.looks()) == 2

    end = answering(stage, behind)
    assert stage.looks(6) == []
    assert stage.looks(2, seconds=OLD_SECONDS / 2 - 1.0) == []
    # A broker that has put old deals away shows none of them ever again.
    assert [event.kind for event in stage.looks(2, seconds=2.0)] == ["stops"]
    end()


def halved(batch: Batch) -> Batch:
    positions = batch["positions"].copy()
    positions["volume"] = 0.5
    return {**batch, "positions": positions}


def test_one_look_after_a_break_does_not_settle_how_much_is_held() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 1.0)
    stage.looks()

    def away(batch: Batch) -> Batch:
        raise OSError("the broker is being started again")

    end = answering(stage, halved)
    stage.looks(2)
    end()
    end = answering(stage, away)
    stage.looks(2, seconds=DIFFERS_FOR.total_seconds())
    end()
    end = answering(stage, halved)
    stage.looks(2)
    end()

    stage.close(ticket, 0.5)
    assert told(stage.looks()) == [("partial_close", "buy", 0.5, 1.0)]


def test_a_deal_that_comes_long_after_a_restart_is_not_taken_off_twice() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 1.0)
    stage.looks()
    newest: list[Any] = []

    def late(batch: Batch) -> Batch:
        newest.append(batch["accounts"]["last_deal"].copy())
        accounts = batch["accounts"].copy()
        accounts["last_deal"] = newest[0]
        return {**without_deals(batch), "accounts": accounts}

    end = answering(stage, late)
    stage.looks(2)
    stage.close(ticket, 0.5)
    stage.restart()
    assert stage.looks(20, seconds=EXPLAINED_WITHIN_SECONDS / 10) == []
    end()

    assert told(stage.looks()) == [("partial_close", "buy", 0.5, 1.0)]
    stage.close(ticket, 0.5)
    assert told(stage.looks()) == [("close", "buy", 0.5, 0.5)]


def test_a_broker_that_was_away_brings_what_happened_meanwhile_in_order() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.5)
    stage.look()

    def away(batch: Batch) -> Batch:
        raise OSError("the broker is being started again")

    end = answering(stage, away)
    stage.looks(3)
    stage.close(ticket, 0.5)
    again = stage.desk.buy(LOGIN, 0.6)
    stage.close(again, 0.1)
    stage.desk.pass_time(120.0)
    stage.looks(3)
    end()

    events = stage.looks()
    assert told(events) == [
        ("close", "buy", 0.5, 0.5),
        ("open", "buy", 0.6, 0.0),
        ("partial_close", "buy", 0.1, 0.6),
    ]
    assert all(each.detected_at - each.happened_at > timedelta(seconds=100) for each in events)


def test_what_fails_again_and_again_is_tried_once_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage().ready()
    stage.desk.buy(LOGIN, 0.5)
    stage.fails = 10**6
    stage.looks(100)
    tries = 10**6 - stage.fails
    assert 4 <= tries <= 8
    assert len(caplog.records) == tries

    stage.fails = 0
    assert told(stage.looks(40)) == [("open", "buy", 0.5, 0.0)]


def test_what_fails_once_is_tried_again_at_once() -> None:
    stage = Stage().ready()
    stage.desk.buy(LOGIN, 0.5)
    stage.fails = 1
    assert told(stage.looks(6)) == [("open", "buy", 0.5, 0.0)]


def test_a_long_history_from_before_is_not_read_again(alice: User) -> None:
    stage = Stage()
    account = make_account(alice, login=LOGIN, server=stage.provider.server)
    for _ in range(20):
        stage.close(stage.desk.buy(LOGIN, 0.1), 0.1)
    kept = stage.desk.buy(LOGIN, 0.3)
    newest = int(stage.desk.server.call("history_deals", LOGIN, 0, 2**31, None, None, None)[-1][0])
    stage.desk.pass_time(60.0)
    make_deal(account, ticket=newest, time=stage.now - timedelta(seconds=60))
    stage.sync(started_at=stage.now, account_id=account.pk)
    asked: list[list[int]] = []
    came: list[int] = []
    methods = stage.desk.server._methods
    before = methods["read_batch"]

    def count(logins: Any, cursors: Any) -> Batch:
        asked.append(np.asarray(cursors).tolist())
        batch: Batch = before(logins, cursors)
        came.append(len(batch["deals"]))
        return batch

    methods["read_batch"] = count
    assert stage.looks() == []
    assert asked == [[newest]] * 4
    assert came == [0] * 4

    stage.close(kept, 0.1)
    assert told(stage.looks()) == [("partial_close", "buy", 0.1, 0.3)]
    assert Deal.objects.count() == 1
