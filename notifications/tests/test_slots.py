from collections.abc import Callable
from datetime import datetime

import pytest

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.delivering.slots import Slots
from notifications.services import deliveries, routing
from notifications.services.deliveries import SENDERS_PER_TRANSPORT, send_while_due
from notifications.tests.carrier import Carrier
from notifications.tests.factories import make_delivery


def clock_at(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def test_each_transport_has_slots_of_its_own() -> None:
    slots = Slots(2)
    assert [slots.enter("email") for _ in range(3)] == [True, True, False]
    assert slots.enter("sms")


def test_who_was_called_while_inside_looks_once_more() -> None:
    slots = Slots(1)
    assert slots.enter("email")
    assert not slots.enter("email")
    assert not slots.leave("email")
    assert slots.leave("email")
    assert slots.enter("email")


def test_an_error_frees_the_slot() -> None:
    slots = Slots(1)
    assert slots.enter("email")
    assert not slots.enter("email")
    slots.abandon("email")
    assert slots.enter("email")
    assert slots.leave("email")


def test_a_sender_takes_up_what_it_is_called_for_while_it_leaves(
    alice: User, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots(1)
    monkeypatch.setattr(deliveries, "_slots", slots)
    rounds: list[int] = []

    def deliver(**_given: object) -> int:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            assert send_while_due("email", clock=clock_at(NOW)) == 0
        return 1

    monkeypatch.setattr(deliveries, "deliver_due", deliver)
    assert send_while_due("email", clock=clock_at(NOW)) == 2


def test_a_sender_that_fails_leaves_its_slot(
    alice: User, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_given: object) -> None:
        raise KeyboardInterrupt

    carrier.on_send = interrupt
    for _ in range(SENDERS_PER_TRANSPORT + 1):
        make_delivery(alice)
        with pytest.raises(KeyboardInterrupt):
            send_while_due("email", clock=clock_at(NOW))
    carrier.on_send = lambda *_given: None
    make_delivery(alice)
    assert send_while_due("email", clock=clock_at(NOW)) == 1


def test_one_router_of_a_process_takes_up_what_others_are_called_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds: list[int] = []

    def route(**_given: object) -> int:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            assert routing.route_while_due(clock=clock_at(NOW)) == 0
        return 3

    monkeypatch.setattr(routing, "route_due", route)
    assert routing.route_while_due(clock=clock_at(NOW)) == 6
    assert routing.route_while_due(clock=clock_at(NOW)) == 3


def test_a_router_that_fails_leaves_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_given: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(routing, "route_due", fail)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            routing.route_while_due(clock=clock_at(NOW))
