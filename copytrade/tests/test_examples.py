"""The wizard's example, asked of the simulated broker: "1.00 lot there = 0.23 lot here"."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.market_terms import TermsBook
from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.tests.factories import make_account, make_host
from accounts.tests.simulated_desk import PASSWORD, SERVER, START, Desk
from copytrade.models import CopyRelationship
from copytrade.selectors.examples import ExampleSize
from copytrade.services.relationships import example_size
from risk.tests.live_state import leave_readings

NOW = datetime.fromtimestamp(START, UTC)
ELSEWHERE = "Southwind-Live"


@pytest.fixture
def served(db: None) -> Iterator[Desk]:
    """Two hosts that tell the terms of one broker's two servers."""
    desk = Desk(seed=7)
    desk.server.create_server(ELSEWHERE, suffix=".r")
    for login, server in ((1001, SERVER), (1002, ELSEWHERE)):
        desk.server.create_account(login, PASSWORD, server, "A trader", deposit=10_000.0)
        desk.server.call("authorise", login, PASSWORD, server)
    desk.server.set_prices("EURUSD", 1.10000, 1.10002)
    books = [TermsBook(desk.server, host) for host in ("local", "other")]
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.wait(0.01):
            for book in books:
                book.refresh_wanted()

    thread = threading.Thread(target=serve)
    thread.start()
    yield desk
    stopped.set()
    thread.join()


@pytest.fixture
def provider(alice: User) -> ConnectedAccount:
    account = make_account(alice, "Lead", login=1001, server=SERVER)
    leave_readings([account], [], read_at=START, left=5_000.0)  # 100,000.00 of equity
    return account


@pytest.fixture
def follower(alice: User) -> ConnectedAccount:
    host = make_host("other")
    return make_account(alice, "Second", login=1002, server=ELSEWHERE, terminal_host=host)


def example(provider: ConnectedAccount, follower: ConnectedAccount, **terms: Any) -> ExampleSize:
    return example_size(actor=follower.user, provider=provider, follower=follower, now=NOW, **terms)


def test_it_says_what_a_lot_becomes(
    served: Desk, provider: ConnectedAccount, follower: ConnectedAccount
) -> None:
    leave_readings([follower], [], read_at=START, left=-71_700.0)  # 23,300.00 of equity
    shown = example(provider, follower)

    assert (shown.provider_symbol, shown.follower_symbol) == ("EURUSD", "EURUSD.r")
    assert (shown.provider_lots, shown.lots) == (Decimal(1), Decimal("0.23"))
    assert shown.sentence == "1.00 lot there = 0.23 lot here."
    assert shown.is_known
    assert not CopyRelationship.objects.exists()


def test_it_turns_the_currencies_into_one(
    served: Desk, provider: ConnectedAccount, follower: ConnectedAccount
) -> None:
    leave_readings([follower], [], read_at=START, left=-75_000.0, currency="EUR")
    shown = example(provider, follower, lots=Decimal(2))

    assert shown.lots == Decimal("0.44")  # 2 * 20,000 * 1.10001 / 100,000


def test_it_follows_the_terms(
    served: Desk, provider: ConnectedAccount, follower: ConnectedAccount
) -> None:
    leave_readings([follower], [], read_at=START, left=-94_990.0)  # 10.00 of equity
    small = example(provider, follower)
    assert (small.lots, small.reason) == (None, "below_minimum")
    raised = example(provider, follower, below_minimum="use_minimum")
    assert raised.lots == Decimal("0.01")
    assert raised.sentence.startswith("1.00 lot there = 0.01 lot here. It would be")
    fixed = example(provider, follower, sizing="fixed_lot", fixed_lots=Decimal("0.3"))
    assert fixed.sentence == "1.00 lot there = 0.30 lot here."


@pytest.mark.parametrize("age", [2.0, 2.1])
def test_it_knows_nothing_of_old_readings(
    served: Desk, provider: ConnectedAccount, follower: ConnectedAccount, age: float
) -> None:
    leave_readings([follower], [], read_at=START - age)
    shown = example(provider, follower)
    assert (shown.lots is None) == (age > 2.0)
    assert shown.reason == ("no_reading" if age > 2.0 else "")


def test_it_names_a_symbol_that_is_not_there(
    served: Desk, provider: ConnectedAccount, follower: ConnectedAccount
) -> None:
    shown = example(provider, follower, symbol="EURUSD", symbol_map={"EURUSD": "EURUSD.x"})
    assert (shown.lots, shown.reason) == (None, "symbol_unknown")
    assert "EURUSD.x" in shown.sentence


def test_without_a_host_it_says_so(
    db: None, provider: ConnectedAccount, follower: ConnectedAccount
) -> None:
    shown = example(provider, follower)
    assert (shown.lots, shown.reason) == (None, "no_reading")
    assert "its host does not tell" in shown.sentence


def test_it_tells_nobody_elses_money(provider: ConnectedAccount, bob: User, alice: User) -> None:
    others = make_account(bob, "Bob's")
    with pytest.raises(Refusal) as caught:
        example_size(actor=alice, provider=provider, follower=others, now=NOW)
    assert caught.value.code == "not_yours"


def test_it_refuses_terms_that_make_no_sense(
    provider: ConnectedAccount, follower: ConnectedAccount
) -> None:
    with pytest.raises(ValidationError) as caught:
        example(provider, follower, sizing="fixed_lot")
    assert list(caught.value.message_dict) == ["fixed_lots"]
