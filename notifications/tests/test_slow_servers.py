"""Servers that take their time, or say no: nobody else waits for them."""

from datetime import datetime, timedelta

import pytest

from accounts.models import User
from accounts.tests.factories import NOW, make_user
from notifications.delivering.letters import Letter
from notifications.delivering.transport import Credentials, TransportError
from notifications.models import Channel, Delivery
from notifications.services import sending
from notifications.services.deliveries import deliver_due
from notifications.services.outcomes import WAITS_FOR_CHANNEL
from notifications.services.roads import pace
from notifications.tests.carrier import Carrier
from notifications.tests.factories import make_channel, make_delivery

TIME_OUT = timedelta(seconds=12)
SHARED_HOST = "hooks.example"


class Watch:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def silent() -> TransportError:
    return TransportError("The receiver did not answer in time.", permanent=False)


def said(status: int, seconds: float | None = None) -> TransportError:
    return TransportError(
        f"The receiver answered {status}.",
        permanent=False,
        retry_after_seconds=seconds,
        was_answered=True,
    )


def make_hook(user: User, host: str = SHARED_HOST) -> Channel:
    return make_channel(user, "webhook", credentials={"host": host})


def send_tests(user: User, count: int) -> list[Delivery]:
    """Have a user test as many channels, each to a server of its own."""
    return [
        make_delivery(
            user,
            channel=make_hook(user, f"slow{number}.example"),
            dedupe_key=f"test:{number}",
            type="system_alert",
            priority="low",
        )
        for number in range(count)
    ]


def names_of(letters: list[Letter]) -> list[str]:
    return [letter.recipient.username for letter in letters]


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("is_there", [True, False])
def test_slow_servers_of_one_hold_up_another_for_one_time_out(
    alice: User, bob: User, hook: Carrier, watch: Watch, is_there: bool, arrives: bool
) -> None:
    send_tests(alice, 5)
    good = make_hook(bob, "good.example")
    sent_at: list[datetime] = []
    if is_there:
        make_delivery(bob, channel=good, type="order_rejected", priority="medium")

    def drip(letter: Letter, credentials: Credentials) -> None:
        if credentials["host"] == "good.example":
            sent_at.append(watch.now)
            return
        if watch.now == NOW and not is_there:
            make_delivery(bob, channel=good, type="order_rejected", priority="medium")
        watch.now += TIME_OUT
        if not arrives:
            raise silent()

    hook.on_send = drip
    deliver_due(clock=watch, transport="webhook")

    assert sent_at == [NOW + TIME_OUT]
    assert names_of(hook.tried) == ["alice", "bob", "alice", "alice", "alice", "alice"]


def test_one_sender_alone_works_for_slow_servers(
    alice: User, bob: User, hook: Carrier, watch: Watch
) -> None:
    send_tests(alice, 3)
    during: list[list[str]] = []

    def drip(letter: Letter, _credentials: Credentials) -> None:
        if letter.recipient.username == "bob":
            return
        if len(hook.tried) == 2:
            make_delivery(bob, channel=make_hook(bob, "good.example"))
            before = len(hook.tried)
            deliver_due(clock=watch, transport="webhook")  # as another sender does
            during.append(names_of(hook.tried[before:]))
        watch.now += TIME_OUT

    hook.on_send = drip
    deliver_due(clock=watch, transport="webhook")

    assert during == [["bob"]]
    assert len(hook.sent) == 4


def test_a_server_that_all_share_makes_nobody_slow(
    alice: User, bob: User, charlie: User, carrier: Carrier, watch: Watch
) -> None:
    for _ in range(3):
        make_delivery(alice)
    make_delivery(bob)
    make_delivery(charlie)

    def drip(_letter: Letter, _credentials: Credentials) -> None:
        watch.now += TIME_OUT

    carrier.on_send = drip
    assert deliver_due(clock=watch, transport="email") == 5
    assert pace.slow("email", now=watch.now) == []
    # They take turns although it is planned anew after each.
    assert names_of(carrier.sent) == ["alice", "bob", "charlie", "alice", "alice"]


@pytest.mark.parametrize("error", [silent(), said(503), said(429, 60.0)])
def test_a_test_is_tried_once(
    alice: User, hook: Carrier, watch: Watch, error: TransportError
) -> None:
    [test] = send_tests(alice, 1)
    hook.error = error

    deliver_due(clock=watch)

    test.refresh_from_db()
    assert (test.state, test.attempts, test.error) == ("failed", 1, str(error))
    channel = Channel.objects.get(user=alice)
    assert (channel.failures_in_a_row, channel.switched_off_at) == (0, None)


def test_a_test_waits_for_a_server_that_is_silent_to_its_user(
    alice: User, bob: User, hook: Carrier, watch: Watch
) -> None:
    channel = make_hook(alice)
    hook.error = silent()
    for number in range(4):
        make_delivery(alice, channel=channel, dedupe_key=f"test:{number}")
        deliver_due(clock=watch)
    assert len(hook.tried) == 3
    last = Delivery.objects.get(notification__dedupe_key="test:3")
    assert (last.state, last.error) == ("pending", sending.WAITS_FOR_SERVER)
    assert last.next_attempt_at == NOW + timedelta(seconds=30)

    # To somebody else it may answer.
    hook.error = None
    make_delivery(bob, channel=make_hook(bob))
    assert deliver_due(clock=watch) == 1

    watch.now += timedelta(seconds=30)
    assert deliver_due(clock=watch) == 1


@pytest.mark.parametrize("error", [said(500), said(429), said(503, 60.0)])
def test_a_host_that_refuses_several_stays_open_to_others(
    alice: User, hook: Carrier, watch: Watch, error: TransportError
) -> None:
    refused = [make_user(f"user{number}") for number in range(6)]
    for user in refused:
        make_delivery(user, channel=make_hook(user))
    make_delivery(alice, channel=make_hook(alice))

    def answer(letter: Letter, _credentials: Credentials) -> None:
        if letter.recipient.username != "alice":
            raise error

    hook.on_send = answer
    assert deliver_due(clock=watch) == 1
    assert len(hook.tried) == 7


def test_one_user_whose_end_is_silent_closes_the_host_for_nobody_else(
    alice: User, bob: User, hook: Carrier, watch: Watch
) -> None:
    for _ in range(5):
        make_delivery(alice, channel=make_hook(alice))
    make_delivery(bob, channel=make_hook(bob), type="order_rejected", priority="medium")

    def ignore_alice(letter: Letter, _credentials: Credentials) -> None:
        if letter.recipient.username == "alice":
            raise silent()

    hook.on_send = ignore_alice
    assert deliver_due(clock=watch) == 1
    assert names_of(hook.tried).count("alice") == 3


@pytest.mark.parametrize(("early_seconds", "sent"), [(1, 0), (0, 1), (-1, 1)])
@pytest.mark.parametrize("host", [SHARED_HOST, ""])
def test_a_channel_rests_as_long_as_it_is_asked_to_with_what_comes_later(
    alice: User, hook: Carrier, watch: Watch, early_seconds: int, sent: int, host: str
) -> None:
    channel = make_hook(alice, host)
    make_delivery(alice, channel=channel)
    hook.error = said(429, 600.0)
    deliver_due(clock=watch)
    hook.error = None
    Delivery.objects.all().delete()
    later = make_delivery(alice, channel=channel)

    watch.now = NOW + timedelta(seconds=1)
    deliver_due(clock=watch)
    later.refresh_from_db()
    assert (later.state, later.attempts, later.error) == ("pending", 0, WAITS_FOR_CHANNEL)
    assert later.next_attempt_at == NOW + timedelta(seconds=600)

    watch.now = NOW + timedelta(seconds=600 - early_seconds)
    assert deliver_due(clock=watch) == sent
