"""Followers whose terminals are on another machine than their provider's."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from celery import current_app
from redis import RedisError

from accounts.models import ConnectedAccount, User
from accounts.task_messages import TaskMessage
from copytrade.core.kinds import SkipReason
from copytrade.models import CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication.arriving import Arrivals
from copytrade.replication.desk import CopyDesk
from copytrade.services.states import pause
from copytrade.tasks import serve
from risk.models import Order
from risk.orders.lane import Lane
from risk.orders.view import HostView
from risk.services.orders import expire_orders
from tradeguard.tests.copying_stage import follows
from tradeguard.tests.enforcement_stage import rule_on
from tradeguard.tests.two_hosts import TwoHosts, two_hosts

pytestmark = pytest.mark.django_db


@pytest.fixture
def hosts() -> Iterator[TwoHosts]:
    with two_hosts() as made:
        yield made


def states() -> list[tuple[str, str]]:
    return sorted((row.state, row.reason) for row in CopyOrder.objects.all())


def test_their_own_host_sends_their_orders_together(
    hosts: TwoHosts, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Lane] = []
    monkeypatch.setattr(Lane, "serve", served.append)
    provider = hosts.open(alice, "Provider", hosts.near)
    here = hosts.open(alice, "Here", hosts.near)
    there = [hosts.open(alice, f"There {number}", hosts.far) for number in range(3)]
    for each in (here, *there):
        follows(provider, each, multiplier="0.5")
    hosts.run(12)

    ticket = hosts.trade(provider, 1.0)
    hosts.run(7)

    assert hosts.held(hosts.near, [here]) == [[0.5]]
    assert hosts.held(hosts.far, there) == [[0.5]] * 3
    assert served == []
    orders = Order.objects.filter(host="far")
    assert {(one.state, one.attempts) for one in orders} == {("filled", 1)}
    assert all(one.gated_at and one.sent_at and one.next_attempt_at is None for one in orders)
    hosts.run(12)
    assert states() == [("done", "")] * 4
    assert all(row.sent_at and row.gated_at for row in CopyOrder.objects.all())

    hosts.trade(provider, 0.5, ticket)
    hosts.run(14)
    assert hosts.held(hosts.far, there) == [[0.25]] * 3
    hosts.trade(provider, 0.5, ticket)
    hosts.run(14)
    assert hosts.held(hosts.far, there) == [[]] * 3
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}
    assert CopyEvent.objects.filter(planned_at=None).count() == 0


def test_their_own_host_opens_nothing_after_a_pause(
    hosts: TwoHosts, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = hosts.open(alice, "Provider", hosts.near)
    there = [hosts.open(alice, f"There {number}", hosts.far) for number in range(2)]
    for each in there:
        follows(provider, each)
    hosts.run(12)
    take = Arrivals.take

    def paused(self: Arrivals, view: HostView) -> int:
        if Order.objects.filter(host="far").exists():
            row = CopyRelationship.objects.get(follower=there[0])
            pause(relationship=row, actor=alice, now=row.created_at)
        return take(self, view)

    monkeypatch.setattr(Arrivals, "take", paused)
    hosts.trade(provider, 1.0)
    hosts.run(14)
    assert hosts.held(hosts.far, there) == [[], [1.0]]
    assert states() == [("done", ""), ("failed", "refused")]


def test_they_are_sized_by_what_their_host_last_said(hosts: TwoHosts, alice: User) -> None:
    provider = hosts.open(alice, "Provider", hosts.near)
    follower = hosts.open(alice, "There", hosts.far, deposit=50_000.0)
    follows(provider, follower, sizing="equity_ratio")
    hosts.run(12)

    hosts.trade(provider, 1.0)
    hosts.run(7)

    assert hosts.held(hosts.far, [follower]) == [[0.5]]


def silent_desk(hosts: TwoHosts, user: User) -> tuple[ConnectedAccount, ...]:
    """Return a provider, a follower here, and one whose host has said nothing for a while."""
    provider = hosts.open(user, "Provider", hosts.near)
    here = hosts.open(user, "Here", hosts.near)
    there = hosts.open(user, "There", hosts.far)
    for each in (here, there):
        follows(provider, each, sizing="equity_ratio", open_deadline_seconds=15)
    hosts.run(12)
    hosts.far.go_down()
    hosts.run(12)
    return provider, here, there


@pytest.mark.parametrize("quote_seconds", [0.0, 60.0])
def test_a_host_that_says_nothing_more_gets_no_opens(
    hosts: TwoHosts, alice: User, monkeypatch: pytest.MonkeyPatch, quote_seconds: float
) -> None:
    # However long ago the same server said here what the symbol is.
    monkeypatch.setattr("copytrade.replication.markets.QUOTE_SECONDS", quote_seconds)
    monkeypatch.setattr("copytrade.replication.markets.ELSEWHERE_WAIT_SECONDS", 0.0)
    provider, here, there = silent_desk(hosts, alice)

    hosts.trade(provider, 1.0)
    hosts.run(7)
    assert hosts.held(hosts.near, [here]) == [[1.0]]
    hosts.run(10, seconds=2.0)
    hosts.far.come_back()
    hosts.run(12)

    assert hosts.held(hosts.far, [there]) == [[]]
    row = CopyOrder.objects.get(follower_id=there.pk)
    assert (row.state, row.reason) == ("skipped", SkipReason.NO_READING)
    assert "equity" in row.sentence


def test_a_host_that_speaks_again_in_time_gets_its_open(hosts: TwoHosts, alice: User) -> None:
    provider, here, there = silent_desk(hosts, alice)

    hosts.trade(provider, 1.0)
    hosts.run(7)
    hosts.far.come_back()
    hosts.run(30)

    assert hosts.held(hosts.near, [here]) == hosts.held(hosts.far, [there]) == [[1.0]]
    assert CopyOrder.objects.count() == Order.objects.count() == 2


def test_open_ledgers_hear_of_copies_that_were_left_out(
    hosts: TwoHosts, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[tuple[str, int]] = []

    def ring(provider_ids: list[UUID]) -> None:
        (one,) = ConnectedAccount.objects.filter(pk__in=provider_ids)
        rung.append((one.name, CopyOrder.objects.count()))

    monkeypatch.setattr("copytrade.replication.elsewhere.ring_ledgers", ring)
    provider = hosts.open(alice, "Provider", hosts.near)
    follows(provider, hosts.open(alice, "There", hosts.far), exclude_symbols=["EURUSD"])
    hosts.run(12)

    hosts.trade(provider, 1.0)
    hosts.run(2)

    assert rung == [("Provider", 1)]
    assert [state for state, _ in states()] == ["skipped"]


def test_without_redis_the_followers_of_this_host_are_served(
    hosts: TwoHosts, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, here, there = silent_desk(hosts, alice)

    def away(_: object) -> None:
        raise RedisError("nobody listens")

    monkeypatch.setattr("copytrade.replication.scene.read_accounts", away)
    hosts.trade(provider, 1.0)
    hosts.run(7)

    assert hosts.held(hosts.near, [here]) == [[1.0]]
    assert not CopyOrder.objects.filter(follower_id=there.pk).exists()


def test_an_open_that_waited_too_long_for_its_host_is_late(hosts: TwoHosts, alice: User) -> None:
    provider = hosts.open(alice, "Provider", hosts.near)
    there = hosts.open(alice, "There", hosts.far)
    follows(provider, there, open_deadline_seconds=10)
    hosts.run(12)

    hosts.far.go_down()
    hosts.trade(provider, 1.0)
    hosts.run(5)
    order = Order.objects.get(host="far")
    assert (order.state, order.attempts) == ("pending", 0)
    hosts.run(10, seconds=2.0)
    hosts.far.come_back()
    hosts.run(20)

    assert hosts.held(hosts.far, [there]) == [[]]
    order.refresh_from_db()
    assert (order.state, order.attempts) == ("expired", 0)
    assert states() == [("failed", SkipReason.LATE)]
    assert CopyPosition.objects.get().state == "closed"


def test_an_open_that_waits_for_a_dead_host_ends_without_it(hosts: TwoHosts, alice: User) -> None:
    provider = hosts.open(alice, "Provider", hosts.near)
    there = hosts.open(alice, "There", hosts.far)
    follows(provider, there, open_deadline_seconds=10)
    hosts.run(12)
    hosts.far.go_down()
    hosts.trade(provider, 1.0)
    hosts.run(5)

    expire_orders(now=hosts.now + timedelta(seconds=120))

    assert Order.objects.get(host="far").state == "expired"


def test_a_close_is_carried_out_when_the_host_is_back(hosts: TwoHosts, alice: User) -> None:
    provider = hosts.open(alice, "Provider", hosts.near)
    there = [hosts.open(alice, f"There {number}", hosts.far) for number in range(2)]
    for each in there:
        follows(provider, each)
    hosts.run(12)
    whole = hosts.trade(provider, 1.0)
    hosts.run()
    halved = hosts.trade(provider, 0.6)
    hosts.run(14)
    assert hosts.held(hosts.far, there) == [[1.0, 0.6]] * 2

    hosts.far.go_down()
    hosts.run(15)
    hosts.trade(provider, 1.0, whole)
    hosts.trade(provider, 0.3, halved)
    hosts.run(20, seconds=60.0)
    assert hosts.held(hosts.far, there) == [[1.0, 0.6]] * 2
    hosts.far.come_back()
    hosts.run(40)

    assert hosts.held(hosts.far, there) == [[0.3]] * 2
    assert {state for state, _ in states()} == {"done"}


def test_their_host_asks_its_gate(hosts: TwoHosts, alice: User) -> None:
    provider = hosts.open(alice, "Provider", hosts.near)
    there = hosts.open(alice, "There", hosts.far)
    follows(provider, there)
    rule_on(there, "MAX_POSITION_SIZE", "0.4", action="BLOCK")
    hosts.run(12)

    hosts.trade(provider, 1.0)
    hosts.run(14)

    assert hosts.held(hosts.far, [there]) == [[]]
    assert states() == [("failed", SkipReason.REFUSED)]
    assert CopyOrder.objects.get().sentence


def test_a_netting_follower_elsewhere_adds_up(hosts: TwoHosts, alice: User) -> None:
    provider = hosts.open(alice, "Provider", hosts.near)
    there = hosts.open(alice, "There", hosts.far, margin_mode=0)
    follows(provider, there)
    hosts.run(12)
    first = hosts.trade(provider, 1.0)
    hosts.run(14)
    hosts.trade(provider, 0.5)
    hosts.run(14)
    assert hosts.held(hosts.far, [there]) == [[1.5]]

    hosts.trade(provider, 1.0, first)
    hosts.run(14)

    assert hosts.held(hosts.far, [there]) == [[0.5]]


def test_symbols_of_another_server_are_told_by_its_host(
    hosts: TwoHosts, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A host whose ticks run in this thread answers only when nobody waits for it.
    monkeypatch.setattr("copytrade.replication.markets.ELSEWHERE_WAIT_SECONDS", 0.0)
    monkeypatch.setattr("copytrade.replication.markets.QUOTE_SECONDS", 0.0)
    monkeypatch.setattr("copytrade.replication.markets.ELSEWHERE_SECONDS", 0.0)
    provider = hosts.open(alice, "Provider", hosts.near)
    there = hosts.open(alice, "There", hosts.far, server="Other-Live")
    follows(provider, there)
    hosts.run(12)

    for lots in (0.1, 0.2, 0.3):
        hosts.trade(provider, lots)
        hosts.run(12)

    hosts.run(20)

    # What was not known at first was asked again.
    assert [sorted(each) for each in hosts.held(hosts.far, [there])] == [[0.1, 0.2, 0.3]]
    assert states() == [("done", "")] * 3


def test_their_host_is_told_at_once(
    hosts: TwoHosts, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[TaskMessage] = []
    monkeypatch.setattr("copytrade.replication.elsewhere.enqueue", sent.append)
    provider = hosts.open(alice, "Provider", hosts.near)
    follows(provider, hosts.open(alice, "There", hosts.far))
    hosts.run(12)
    assert sent == []

    hosts.trade(provider, 1.0)
    hosts.run(2)

    (message,) = sent
    assert (message.task, message.arguments, message.queue) == (
        "copytrade.serve", ["far"], "terminals.far",
    )  # fmt: skip
    assert message.task in current_app.tasks


def test_a_message_wakes_the_copying_of_its_host_alone(
    hosts: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.run()
    woken: list[str] = []

    def note(desk: CopyDesk) -> None:
        woken.append(desk.host)

    monkeypatch.setattr(CopyDesk, "wake", note)

    serve("far")
    serve("nowhere")

    assert woken == ["far"]
