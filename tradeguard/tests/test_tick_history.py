"""What the tick records: every deal once, whatever dies in between, and the equity of minutes."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from accounts.history import recorder as recorders
from accounts.history.deals import write_deals
from accounts.models import ConnectedAccount, Deal, EquitySnapshot
from accounts.notices import NoticeKind, notices_of
from accounts.selectors import last_states
from accounts.services.accounts import delete_account, update_account
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import make_user
from risk.models import RuleState
from tradeguard.tests.stage import Stage, daily_loss, staged
from tradeguard.tick.cursors import needed_cursors

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def tickets_at_broker(stage: Stage, account: ConnectedAccount) -> list[int]:
    rows = stage.server.call("history_deals", account.login, 0, 4_000_000_000, None, None, None)
    return sorted(int(row[0]) for row in rows)


def stored(account: ConnectedAccount) -> list[int]:
    return sorted(Deal.objects.filter(account=account).values_list("ticket", flat=True))


def test_it_records_every_deal_of_an_account_that_it_meets(stage: Stage) -> None:
    account = stage.open(make_user(), "Alpha")
    stage.buy(account, 0.1)
    stage.run(4)
    assert stored(account) == tickets_at_broker(stage, account)
    deposit = Deal.objects.get(account=account, type=2)
    assert (deposit.profit, deposit.symbol) == (Decimal(100_000), "")
    bought = Deal.objects.get(account=account, type=0)
    assert (bought.symbol, bought.volume_lots) == ("EURUSD", Decimal("0.1"))
    assert abs((stage.now - bought.time).total_seconds()) < 3 * 86_400
    assert bought.time_msc / 1000 - bought.time.timestamp() == pytest.approx(2 * 3600)


def test_no_deal_is_lost_when_the_worker_dies_before_it_is_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user()
    account, plain = stage.open(alice, "Alpha"), stage.open(alice, "Beta")
    daily_loss(alice, applies_to_all_accounts=False).accounts.add(account)
    stage.run(4)
    before = stored(account)

    def is_away(*_new: object) -> None:
        raise OperationalError("no database")

    monkeypatch.setattr(recorders, "write_deals", is_away)
    for each in (account, plain):
        stage.buy(each, 0.1)
    stage.run(3)
    # The baselines have counted the deal; the history has not got it.
    assert RuleState.objects.get().last_deal == tickets_at_broker(stage, account)[-1]
    assert stored(account) == before
    stage.kill_worker()
    monkeypatch.setattr(recorders, "write_deals", write_deals)
    stage.run(4)
    for each in (account, plain):
        assert stored(each) == tickets_at_broker(stage, each)
    assert RuleState.objects.get().last_deal == tickets_at_broker(stage, account)[-1]


def test_it_asks_for_deals_from_where_both_know_them(stage: Stage) -> None:
    alice = make_user()
    account, plain = stage.open(alice, "Alpha"), stage.open(alice, "Beta")
    daily_loss(alice, applies_to_all_accounts=False).accounts.add(account)
    stage.run(4)
    stage.buy(account, 0.1)
    stage.run(2)
    newest = stored(account)[-1]
    assert needed_cursors([account.pk, plain.pk]) == {account.pk: newest}
    Deal.objects.filter(account=account, ticket=newest).delete()
    assert needed_cursors([account.pk])[account.pk] == stored(account)[-1] < newest
    Deal.objects.all().delete()
    assert needed_cursors([account.pk, plain.pk]) == {}


def test_it_takes_a_snapshot_each_minute_and_none_of_stale_readings(stage: Stage) -> None:
    account = stage.open(make_user(), "Alpha")
    stage.run(4)
    stage.buy(account, 1.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    stage.run()
    stage.server.set_prices("EURUSD", 1.10000, 1.10002)
    stage.run(2, seconds=30.0)
    [minute] = EquitySnapshot.objects.all()
    assert minute.at == stage.now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    assert minute.equity_low < minute.equity <= minute.equity_high
    assert minute.equity_low == pytest.approx(Decimal(99_000), abs=50)
    stage.server.set_fault(account.login, FaultKind.CUT_FROM_BROKER)
    stage.run(8, seconds=30.0)
    count = EquitySnapshot.objects.count()
    stage.run(8, seconds=30.0)
    assert EquitySnapshot.objects.count() == count


def test_nothing_is_recorded_of_an_account_that_was_deleted(stage: Stage) -> None:
    alice = make_user()
    account, other = stage.open(alice, "Alpha"), stage.open(alice, "Beta")
    stage.run(4)
    before = stored(account)
    delete_account(account=account, now=stage.now)
    stage.run(8)  # the sessions look into the database each second
    stage.buy(account, 0.1)
    stage.buy(other, 0.1)
    stage.run(20)
    assert stored(account) == before
    assert stored(other) == tickets_at_broker(stage, other)
    assert last_states([account]) == {}


def test_it_notices_a_broker_that_keeps_another_time(stage: Stage) -> None:
    account = stage.open(make_user(), "Alpha")

    def watch(seconds: int) -> list[str]:
        for number in range(seconds):
            bid = 1.1 + (number % 2) * 0.0001
            stage.server.set_prices("EURUSD", bid, bid + 0.00002)
            stage.run(seconds=1.0)
        account.refresh_from_db()
        state = last_states([account]).get(account.pk)
        notices = notices_of(account, state, stage.now)
        return [each.sentence for each in notices if each.kind is NoticeKind.CLOCK]

    assert watch(20) == []
    update_account(account=account, broker_time_zone="Europe/Prague", now=stage.now)
    [sentence] = watch(20)
    assert "1 h ahead of Europe/Prague" in sentence
