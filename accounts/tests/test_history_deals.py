from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.db import OperationalError, connection

from accounts.history.deals import (
    NewDeal,
    NewDeals,
    Tell,
    new_deals,
    stored_deals,
    write_deals,
)
from accounts.models import ConnectedAccount, Deal, User
from accounts.services.accounts import delete_account
from accounts.terminals.readings import POSITION_DTYPE
from accounts.tests.factories import NOW, make_account
from accounts.tests.history_rows import make_deal
from accounts.tests.polls import deal_rows, poll_of


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice)


def store(*accounts: ConnectedAccount, deals: list[dict[str, Any]], server: int = 0) -> int:
    new = new_deals(poll_of(accounts, NOW, deals=deal_rows(*deals), server=server))
    assert new is not None
    return write_deals(new)


def tickets() -> list[int]:
    return sorted(Deal.objects.values_list("ticket", flat=True))


def test_it_stores_a_deal_as_the_broker_has_it(account: ConnectedAccount) -> None:
    # The broker's clock shows 14:30 on a summer day: New York is at UTC-4, the broker at UTC+3.
    shown = datetime(2026, 7, 1, 14, 30, 0, 250_000, tzinfo=UTC)
    told = {"ticket": 2**40, "order": 5, "position": 6, "type": 1, "entry": 1, "reason": 4}
    money = {"commission": -0.07, "swap": -1.2345, "profit": 0.1 + 0.2, "fee": 0.0}
    msc = round(shown.timestamp() * 1000)
    store(account, deals=[{**told, **money, "time_msc": msc, "symbol": 1, "magic": 9}])
    deal = Deal.objects.get()
    assert {name: getattr(deal, name) for name in told} == told
    assert (deal.time_msc, deal.time) == (msc, shown.replace(hour=11))
    assert (deal.symbol, deal.volume_lots, deal.price) == ("GBPUSD", Decimal("0.1"), 1.1)
    assert (deal.commission, deal.swap) == (Decimal("-0.07"), Decimal("-1.2345"))
    assert (deal.profit, deal.fee, deal.magic) == (Decimal("0.3"), Decimal(0), 9)
    assert (deal.server, deal.login) == (account.server, account.login)


def test_a_balance_operation_has_no_symbol(account: ConnectedAccount) -> None:
    store(account, deals=[{"ticket": 1, "type": 2, "symbol": -1, "profit": 100.0}])
    assert Deal.objects.get().symbol == ""


def test_a_deal_that_is_told_twice_stays_one(account: ConnectedAccount, alice: User) -> None:
    other = make_account(alice, "Beta")
    deals = [{"ticket": ticket, "account": row} for row in (0, 1) for ticket in (1, 2)]
    assert store(account, other, deals=deals) == 4
    store(account, other, deals=[*deals, {"ticket": 3, "account": 1}])
    assert tickets() == [1, 1, 2, 2, 3]
    assert stored_deals([account.pk, other.pk]) == {account.pk: 2, other.pk: 3}


def test_another_login_has_other_deals(account: ConnectedAccount) -> None:
    store(account, deals=[{"ticket": 7}])
    account.login += 1
    account.save()
    assert stored_deals([account.pk]) == {}
    store(account, deals=[{"ticket": 5}])
    assert stored_deals([account.pk]) == {account.pk: 5}
    store(account, deals=[{"ticket": 4}], server=1)
    assert tickets() == [4, 5, 7]


@pytest.mark.parametrize(
    "untrue",
    [
        {"profit": np.nan},
        {"swap": -np.inf},
        {"fee": 1e13},
        {"price": 1e300},
        {"volume": 1e9},
        {"time_msc": -1},
        {"time_msc": 2**62},
    ],
)
def test_a_deal_that_cannot_be_true_stops_no_other(
    account: ConnectedAccount, caplog: pytest.LogCaptureFixture, untrue: dict[str, Any]
) -> None:
    store(account, deals=[{"ticket": 1, **untrue}, {"ticket": 2}])
    assert tickets() == [2]
    assert "Deal 1" in caplog.text


def test_an_account_that_is_gone_stops_no_other(account: ConnectedAccount, alice: User) -> None:
    gone, archived = make_account(alice, "Gone"), make_account(alice, "Archived")
    accounts = [gone, archived, account]
    deals = deal_rows(*({"ticket": row + 1, "account": row} for row in range(3)))
    new = new_deals(poll_of(accounts, NOW, deals=deals))
    gone.delete()
    delete_account(account=archived, now=NOW)
    assert new is not None
    write_deals(new)
    assert tickets() == [2, 3]


def test_a_poll_without_deals_brings_none(account: ConnectedAccount) -> None:
    assert new_deals(poll_of([account], NOW)) is None


def test_a_history_that_is_stored_is_not_written_again(account: ConnectedAccount) -> None:
    deals = [{"ticket": ticket} for ticket in range(1, 101)]
    assert store(account, deals=deals) == 100
    assert store(account, deals=[*deals, {"ticket": 101}]) == 1


def test_a_few_deals_are_written_without_a_look_at_the_history(
    account: ConnectedAccount, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2, info="the zones, and the deals in one statement"):
        store(account, deals=[{"ticket": 1}, {"ticket": 2}])


def test_it_keeps_many_in_order(account: ConnectedAccount) -> None:
    make_deal(account, ticket=10)
    store(account, deals=[{"ticket": ticket} for ticket in range(1, 2500)])
    assert tickets() == list(range(10, 2500))


def write(account: ConnectedAccount, tell: Tell, *tickets_read: int) -> None:
    rows = deal_rows(*({"ticket": ticket} for ticket in tickets_read))
    new = new_deals(poll_of([account], NOW, deals=rows))
    assert new is not None
    write_deals(new, tell)


def test_it_tells_what_is_stored_for_the_first_time(account: ConnectedAccount) -> None:
    told: list[int] = []

    def tell(new: NewDeals, deals: Sequence[NewDeal]) -> Callable[[], object]:
        assert new.read_at == NOW
        found = [deal.ticket for deal in deals]

        def say() -> None:
            stored = Deal.objects.filter(ticket__in=found)
            assert stored.count() == len(found)
            told.extend(found)

        return say

    for tickets_read in ((1, 2), (2, 3), (3,), (4, 4)):
        write(account, tell, *tickets_read)
    assert told == [1, 2, 3, 4]
    assert tickets() == [1, 2, 3, 4]


def test_it_finds_words_before_anybody_has_to_wait_for_it(account: ConnectedAccount) -> None:
    depths: list[int] = []

    def tell(_new: NewDeals, _deals: Sequence[NewDeal]) -> Callable[[], object]:
        depths.append(len(connection.savepoint_ids))
        return lambda: depths.append(len(connection.savepoint_ids))

    before = len(connection.savepoint_ids)
    write(account, tell, 1)
    assert depths[0] == before < depths[1]


@pytest.mark.parametrize("is_worded", [False, True])
@pytest.mark.parametrize(
    ("error", "is_stored"), [(ValueError("no words"), True), (OperationalError("away"), False)]
)
def test_telling_costs_no_deal_but_waits_for_the_database_with_it(
    account: ConnectedAccount, error: Exception, is_stored: bool, is_worded: bool
) -> None:
    def say() -> None:
        raise error

    def tell(_new: NewDeals, _deals: Sequence[NewDeal]) -> Callable[[], object]:
        if not is_worded:
            raise error
        return say

    with suppress(OperationalError):
        write(account, tell, 1)
    assert Deal.objects.exists() is is_stored


def test_what_another_worker_stores_meanwhile_is_told_by_that_one(
    account: ConnectedAccount,
) -> None:
    told: list[list[int]] = []

    def tell(_new: NewDeals, deals: Sequence[NewDeal]) -> Callable[[], object]:
        found = [deal.ticket for deal in deals]
        if 2 in found:
            make_deal(account, ticket=2)
        return lambda: told.append(found)

    write(account, tell, 1, 2, 3)
    assert told == [[1, 3]]
    assert tickets() == [1, 2, 3]


def test_it_knows_the_digits_of_what_is_open_on_any_account(account: ConnectedAccount) -> None:
    other = make_account(account.user, "Other")
    poll = poll_of([account, other], NOW, deals=deal_rows({"ticket": 1}))
    poll.batch.accounts["server"] = [0, 1]
    positions = np.zeros(4, POSITION_DTYPE)
    positions["account"], positions["symbol"] = [0, 1, 0, 1], [1, 0, 1, 1]
    positions["price_digits"] = [3, 5, 3, 2]
    batch = replace(poll.batch, positions=positions)
    new = new_deals(replace(poll, batch=batch))
    assert new is not None
    assert new.price_digits == {
        ("Example-Demo", "GBPUSD"): 3,
        ("Other-Live", "EURUSD"): 5,
        ("Other-Live", "GBPUSD"): 2,
    }
