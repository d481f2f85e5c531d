import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from accounts.models import User
from accounts.tests.factories import NOW, make_user
from notifications.delivering.letters import Letter
from notifications.delivering.transport import Credentials, TransportError
from notifications.models import Channel, Delivery
from notifications.services import roads, sending
from notifications.services.claiming import CLAIM_LASTS
from notifications.services.deliveries import (
    FALLS_BACK_AFTER,
    deliver_due,
    fall_back_late,
    send_again,
)
from notifications.services.outcomes import (
    JITTER,
    LONGEST_RETRY_AFTER,
    MAX_ATTEMPTS,
    RETRY_AFTER,
)
from notifications.tests.carrier import Carrier
from notifications.tests.factories import make_channel, make_delivery

AWAY = "The server is away."
MOMENT = timedelta(microseconds=1)


def clock_at(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def reload(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(pk=delivery.pk)


def state_of(delivery: Delivery) -> tuple[str, int, str]:
    stored = reload(delivery)
    return stored.state, stored.attempts, stored.error


def temporary(seconds: float | None = None) -> TransportError:
    return TransportError(AWAY, permanent=False, retry_after_seconds=seconds)


def test_it_sends_what_is_due_once(alice: User, carrier: Carrier) -> None:
    delivery = make_delivery(alice)

    assert deliver_due(clock=clock_at(NOW)) == 1
    assert deliver_due(clock=clock_at(NOW + timedelta(days=1))) == 0

    assert [letter.id for letter in carrier.sent] == [delivery.notification_id]
    stored = reload(delivery)
    assert (stored.state, stored.attempts, stored.next_attempt_at) == ("sent", 1, None)
    assert (stored.sent_at, stored.letter_id) == (NOW, delivery.notification_id)
    assert Channel.objects.get(user=alice).last_sent_at == NOW


@pytest.mark.parametrize(("early", "sent"), [(MOMENT, 0), (timedelta(), 1), (-MOMENT, 1)])
def test_it_waits_until_the_next_attempt_is_due(
    alice: User, carrier: Carrier, early: timedelta, sent: int
) -> None:
    make_delivery(alice)

    assert deliver_due(clock=clock_at(NOW - early)) == sent
    assert len(carrier.tried) == sent


def test_it_sends_by_one_transport_when_asked(alice: User, carrier: Carrier, hook: Carrier) -> None:
    make_delivery(alice)
    make_delivery(alice, channel=make_channel(alice, "webhook"))

    assert deliver_due(clock=clock_at(NOW), transport="webhook") == 1
    assert (len(carrier.tried), len(hook.tried)) == (0, 1)


def test_it_claims_before_it_sends(alice: User, carrier: Carrier) -> None:
    delivery = make_delivery(alice)
    seen: list[int] = []

    def look(_letter: Letter, _credentials: Credentials) -> None:
        carrier.on_send = lambda _letter, _credentials: None
        seen.append(deliver_due(clock=clock_at(NOW + CLAIM_LASTS - MOMENT)))

    carrier.on_send = look

    assert deliver_due(clock=clock_at(NOW)) == 1
    assert seen == [0]
    assert state_of(delivery) == ("sent", 1, "")


def test_it_takes_up_what_a_dead_sender_left(alice: User, carrier: Carrier) -> None:
    delivery = make_delivery(alice, attempts=1, next_attempt_at=NOW + CLAIM_LASTS)

    assert deliver_due(clock=clock_at(NOW + CLAIM_LASTS - MOMENT)) == 0
    assert deliver_due(clock=clock_at(NOW + CLAIM_LASTS)) == 1
    assert state_of(delivery) == ("sent", 2, "")


def test_what_a_dead_sender_left_takes_nothing_else_with_it(alice: User, carrier: Carrier) -> None:
    left = make_delivery(alice, attempts=1)
    others = [make_delivery(alice), make_delivery(alice)]

    def die(letter: Letter, _credentials: Credentials) -> None:
        if letter.id == left.notification_id:
            raise KeyboardInterrupt

    carrier.on_send = die
    with pytest.raises(KeyboardInterrupt):
        deliver_due(clock=clock_at(NOW))

    assert state_of(left) == ("pending", 2, "")
    assert [reload(other).attempts for other in others] == [0, 0]
    assert deliver_due(clock=clock_at(NOW + MOMENT)) == 2


def test_it_gives_up_what_kills_every_sender(alice: User, carrier: Carrier) -> None:
    delivery = make_delivery(alice, attempts=MAX_ATTEMPTS)

    deliver_due(clock=clock_at(NOW))

    assert carrier.tried == []
    assert reload(delivery).state == Delivery.State.FAILED
    assert Channel.objects.get(user=alice).failures_in_a_row == 0


def test_it_retries_a_temporary_error_with_growing_pauses(alice: User, carrier: Carrier) -> None:
    delivery = make_delivery(alice)
    carrier.error = temporary()
    now = NOW
    for pause in RETRY_AFTER:
        deliver_due(clock=clock_at(now))
        stored = reload(delivery)
        assert (stored.state, stored.error) == ("pending", AWAY)
        assert stored.next_attempt_at is not None
        assert now + pause <= stored.next_attempt_at <= now + pause * (1 + JITTER)
        now = stored.next_attempt_at
        roads.breaker.forget_all()

    deliver_due(clock=clock_at(now))

    assert state_of(delivery) == ("failed", MAX_ATTEMPTS, AWAY)
    assert list(RETRY_AFTER) == sorted(RETRY_AFTER)
    assert len({letter.id for letter in carrier.tried}) == 1
    assert len(carrier.tried) == MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("asked_for", "waits"),
    [
        (300.0, timedelta(seconds=300)),
        (-5.0, RETRY_AFTER[0]),
        (1e9, LONGEST_RETRY_AFTER),
    ],
)
def test_it_waits_as_long_as_it_is_asked_to(
    alice: User, carrier: Carrier, asked_for: float, waits: timedelta
) -> None:
    delivery = make_delivery(alice)
    carrier.error = temporary(asked_for)

    deliver_due(clock=clock_at(NOW))

    until = reload(delivery).next_attempt_at
    assert until is not None
    assert NOW + waits <= until <= NOW + max(waits, RETRY_AFTER[0] * (1 + JITTER))


def test_it_forgets_the_error_once_it_is_sent(alice: User, carrier: Carrier) -> None:
    delivery = make_delivery(alice)
    carrier.error = temporary()
    deliver_due(clock=clock_at(NOW))
    carrier.error = None

    deliver_due(clock=clock_at(NOW + timedelta(minutes=1)))

    assert state_of(delivery) == ("sent", 2, "")
    channel = Channel.objects.get(user=alice)
    assert (channel.last_error, channel.failures_in_a_row) == ("", 0)


def test_it_does_not_retry_a_permanent_error(alice: User, carrier: Carrier) -> None:
    delivery = make_delivery(alice)
    carrier.error = TransportError("No such mailbox.\n" + "x" * 300, permanent=True)

    deliver_due(clock=clock_at(NOW))
    deliver_due(clock=clock_at(NOW + timedelta(days=2)))

    stored = reload(delivery)
    assert (stored.state, stored.attempts) == ("failed", 1)
    assert len(stored.error) == 255
    assert "\n" not in stored.error
    assert len(carrier.tried) == 1


def test_it_goes_on_after_a_defect_and_tells_no_secret(
    alice: User, carrier: Carrier, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = make_delivery(alice), make_delivery(alice)
    address = "https://example.com/" + "bot12:token"

    def break_down(letter: Letter, _credentials: Credentials) -> None:
        if letter.id == broken.notification_id:
            raise KeyError(address)

    carrier.on_send = break_down

    assert deliver_due(clock=clock_at(NOW)) == 1
    assert state_of(broken) == ("failed", 1, "TradeGuard could not send it (KeyError).")
    assert reload(sound).state == "sent"
    assert "KeyError" in caplog.text
    assert address not in caplog.text
    # Our defect, not the channel's.
    assert Channel.objects.get(user=alice).failures_in_a_row == 0


def test_credentials_that_a_transport_does_not_understand_stop_nobody(
    alice: User, hook: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = make_channel(alice, "webhook", credentials={"old": "form"})
    sound = make_channel(alice, "webhook", credentials={"host": "h.example"})
    monkeypatch.setattr(hook, "server", lambda credentials: credentials["host"])
    deliveries = [make_delivery(alice, channel=channel) for channel in (broken, sound)]

    assert deliver_due(clock=clock_at(NOW), transport="webhook") == 1
    assert [reload(delivery).state for delivery in deliveries] == ["failed", "sent"]


def test_a_channel_that_fails_rests_and_holds_up_nobody(
    alice: User, bob: User, carrier: Carrier
) -> None:
    first, second = make_delivery(alice), make_delivery(alice)
    other = make_delivery(bob)

    def refuse_alice(letter: Letter, _credentials: Credentials) -> None:
        if letter.recipient.username == "alice":
            raise temporary(60.0)

    carrier.on_send = refuse_alice
    assert deliver_due(clock=clock_at(NOW)) == 1

    assert reload(other).state == "sent"
    tried = [letter.id for letter in carrier.tried]
    assert first.notification_id in tried
    assert second.notification_id not in tried
    stored = reload(second)
    assert (stored.state, stored.attempts) == ("pending", 0)
    assert stored.next_attempt_at is not None
    assert stored.next_attempt_at >= NOW + timedelta(seconds=60)


def test_it_does_not_try_everything_on_a_server_that_is_away(carrier: Carrier, db: None) -> None:
    for number in range(6):
        make_delivery(make_user(f"user{number}"))
    carrier.error = temporary()

    deliver_due(clock=clock_at(NOW))
    assert len(carrier.tried) == 3
    assert Delivery.objects.filter(attempts=0, next_attempt_at=NOW).count() == 3

    # Half a minute later one letter tries, and as it arrives, everything goes.
    carrier.error = None
    assert deliver_due(clock=clock_at(NOW + timedelta(seconds=30) - MOMENT)) == 0
    assert deliver_due(clock=clock_at(NOW + timedelta(minutes=1))) == 6


def test_one_letter_tries_a_server_that_was_away(carrier: Carrier, db: None) -> None:
    for number in range(6):
        make_delivery(make_user(f"user{number}"))
    carrier.error = temporary()
    deliver_due(clock=clock_at(NOW))
    carrier.tried.clear()

    deliver_due(clock=clock_at(NOW + timedelta(seconds=31)))

    assert len(carrier.tried) == 1


def test_a_dead_host_closes_itself_and_no_other(alice: User, hook: Carrier) -> None:
    dead = [
        make_channel(make_user(f"dead{number}"), "webhook", credentials={"host": "dead.example"})
        for number in range(4)
    ]
    sound = make_channel(alice, "webhook", credentials={"host": "sound.example"})
    waiting = [make_delivery(channel.user, channel=channel) for channel in dead]
    arriving = make_delivery(alice, channel=sound)

    def refuse(_letter: Letter, credentials: Credentials) -> None:
        if credentials["host"] == "dead.example":
            raise temporary()

    hook.on_send = refuse
    assert deliver_due(clock=clock_at(NOW)) == 1

    assert reload(arriving).state == "sent"
    assert [reload(delivery).attempts for delivery in waiting] == [1, 1, 1, 0]
    last = reload(waiting[-1])
    assert last.next_attempt_at == NOW + timedelta(seconds=30)
    assert last.error == sending.WAITS_FOR_SERVER


def test_a_test_passes_although_the_server_was_away(alice: User, hook: Carrier) -> None:
    channel = make_channel(alice, "webhook", credentials={"host": "dead.example"})
    for _ in range(3):
        roads.breaker.note_failure(("webhook", "dead.example"), now=NOW)
    test = make_delivery(alice, channel=channel, dedupe_key="test:1")

    assert deliver_due(clock=clock_at(NOW)) == 1
    assert reload(test).state == "sent"


def test_it_does_not_undo_the_result_of_a_sender_that_took_over(
    alice: User, carrier: Carrier
) -> None:
    delivery = make_delivery(alice)

    def stall_then_fail(_letter: Letter, _credentials: Credentials) -> None:
        Delivery.objects.update(attempts=2, next_attempt_at=NOW + 2 * CLAIM_LASTS)
        raise TransportError("Too late.", permanent=True)

    carrier.on_send = stall_then_fail
    deliver_due(clock=clock_at(NOW))

    assert state_of(delivery) == ("pending", 2, "")
    assert Channel.objects.get(user=alice).failures_in_a_row == 0


def test_it_writes_what_was_sent_whoever_has_claimed_it_since(
    alice: User, carrier: Carrier
) -> None:
    delivery = make_delivery(alice)

    def stall(_letter: Letter, _credentials: Credentials) -> None:
        Delivery.objects.update(attempts=2, next_attempt_at=NOW + 2 * CLAIM_LASTS)

    carrier.on_send = stall

    assert deliver_due(clock=clock_at(NOW)) == 1
    assert reload(delivery).state == "sent"


def test_a_sender_that_is_told_to_end_gives_back_what_it_has_not_begun(
    alice: User, carrier: Carrier
) -> None:
    deliveries = [make_delivery(alice) for _ in range(3)]
    carrier.on_send = lambda _letter, _credentials: sending.stopping.set()

    assert deliver_due(clock=clock_at(NOW)) == 1

    assert [reload(delivery).state for delivery in deliveries] == ["sent", "pending", "pending"]
    assert [reload(delivery).attempts for delivery in deliveries] == [1, 0, 0]
    assert reload(deliveries[1]).next_attempt_at == NOW


def test_it_begins_no_letter_that_another_sender_could_claim_meanwhile(
    alice: User, carrier: Carrier
) -> None:
    deliveries = [make_delivery(alice) for _ in range(3)]
    moments = iter([NOW] * 5)

    def late(_letter: Letter, _credentials: Credentials) -> None:
        nonlocal moments
        moments = iter([])

    def clock() -> datetime:
        return next(moments, NOW + CLAIM_LASTS - timedelta(seconds=59))

    carrier.on_send = late
    deliver_due(clock=clock, transport="email")

    # The others were given back and claimed anew: each was tried once.
    assert [reload(delivery).attempts for delivery in deliveries] == [1, 1, 1]
    assert len(carrier.sent) == 3


def test_it_opens_credentials_for_the_transport(alice: User, hook: Carrier) -> None:
    channel = make_channel(alice, "webhook", credentials={"host": "h.example", "token": "t"})
    make_delivery(alice, channel=channel)

    deliver_due(clock=clock_at(NOW))

    assert hook.seen == [{"host": "h.example", "token": "t"}]


LATE = NOW + FALLS_BACK_AFTER


@pytest.fixture
def hooked(alice: User) -> Channel:
    return make_channel(alice, "webhook", credentials={"host": "h.example"})


@pytest.mark.parametrize("asked_for", [None, 6 * 3600.0])
@pytest.mark.parametrize(("early", "count"), [(MOMENT, 0), (timedelta(), 1), (-MOMENT, 1)])
def test_what_is_urgent_goes_by_email_when_its_channel_stays_silent(
    hooked: Channel,
    carrier: Carrier,
    hook: Carrier,
    asked_for: float | None,
    early: timedelta,
    count: int,
) -> None:
    make_delivery(hooked.user, channel=hooked)
    make_delivery(hooked.user, channel=hooked, type="order_filled", priority="low")
    hook.error = temporary(asked_for)
    deliver_due(clock=clock_at(NOW))

    assert fall_back_late(now=LATE - early) == count
    assert fall_back_late(now=LATE - early) == 0

    deliver_due(clock=clock_at(LATE + MOMENT), transport="email")
    assert carrier.titles == ["Daily loss limit broken: Alpha 3"] * count


def test_what_is_urgent_goes_by_email_though_others_try_a_server_that_is_away(
    carrier: Carrier, hook: Carrier, db: None
) -> None:
    users = [make_user(f"user{number}") for number in range(6)]
    for user in users:
        make_delivery(user, channel=make_channel(user, "webhook"))
    hook.error = temporary()
    for seconds in (0, 10):
        deliver_due(clock=clock_at(NOW + timedelta(seconds=seconds)), transport="webhook")
    assert len(hook.tried) == 3
    assert not Delivery.objects.filter(error="").exists()

    assert fall_back_late(now=LATE) == 6
    assert deliver_due(clock=clock_at(LATE), transport="email") == 6


def test_what_waits_behind_a_letter_that_did_not_arrive_falls_back_with_it(
    hooked: Channel, carrier: Carrier, hook: Carrier
) -> None:
    for _ in range(2):
        make_delivery(hooked.user, channel=hooked)
    hook.error = temporary(6 * 3600.0)
    deliver_due(clock=clock_at(NOW), transport="webhook")
    assert len(hook.tried) == 1

    assert fall_back_late(now=LATE) == 2


def test_what_nobody_came_to_try_goes_by_its_own_channel_first(
    hooked: Channel, carrier: Carrier, hook: Carrier
) -> None:
    make_delivery(hooked.user, channel=hooked)
    make_delivery(hooked.user, channel=hooked, attempts=1, next_attempt_at=LATE + MOMENT)

    assert fall_back_late(now=LATE) == 0
    assert deliver_due(clock=clock_at(LATE)) == 1
    assert carrier.tried == []


def test_many_letters_share_queries_and_a_connection(
    alice: User, carrier: Carrier, django_assert_max_num_queries: Any
) -> None:
    for _ in range(50):
        make_delivery(alice)

    # Per letter one write of its result; per batch of 25 a claim, its rows and channels, locked.
    with django_assert_max_num_queries(50 + 2 * 7 + 4):
        assert deliver_due(clock=clock_at(NOW), transport="email") == 50
    assert carrier.sessions == 1


def test_it_sends_again_what_ended(alice: User, carrier: Carrier) -> None:
    ended = [
        make_delivery(alice, state=state, next_attempt_at=None, attempts=6, error="Old.")
        for state in ("sent", "failed", "cancelled")
    ]
    waiting = make_delivery(alice, next_attempt_at=NOW + timedelta(hours=1))

    assert send_again(deliveries=Delivery.objects.all(), now=NOW) == 3
    assert deliver_due(clock=clock_at(NOW)) == 3

    assert [state_of(delivery) for delivery in ended] == [("sent", 1, "")] * 3
    assert state_of(waiting) == ("pending", 0, "")
    # Nobody takes it for the letter before.
    ids: set[UUID] = {letter.id for letter in carrier.sent}
    assert len(ids) == 3
    assert ids.isdisjoint({delivery.notification_id for delivery in ended})


def test_it_sends_nothing_again_by_a_channel_that_is_off(alice: User, carrier: Carrier) -> None:
    channel = make_channel(alice)
    delivery = make_delivery(alice, state="failed", next_attempt_at=None)
    Channel.objects.filter(pk=channel.pk).update(switched_off_at=NOW)

    assert send_again(deliveries=[delivery], now=NOW) == 0
    assert state_of(delivery) == ("failed", 0, "")


def test_it_warns_in_the_log_of_what_failed_for_good(
    alice: User, carrier: Carrier, caplog: pytest.LogCaptureFixture
) -> None:
    make_delivery(alice)
    carrier.error = TransportError("No such mailbox.", permanent=True)
    with caplog.at_level(logging.WARNING):
        deliver_due(clock=clock_at(NOW))
    assert "No such mailbox." in caplog.text
