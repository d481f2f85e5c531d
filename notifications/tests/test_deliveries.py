import smtplib
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail

from accounts.models import User
from accounts.tests.factories import NOW
from notifications import tasks
from notifications.delivering.transport import TransportError
from notifications.models import Delivery
from notifications.services import deliveries as deliveries_module
from notifications.services.deliveries import (
    CLAIM_LASTS,
    FAILURES_IN_A_ROW,
    MAX_ATTEMPTS,
    RETRY_AFTER,
    Outcome,
    deliver_due,
    deliver_one,
    deliver_these,
)
from notifications.tests.factories import make_delivery


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A channel that remembers what it sent and fails with `error` when there is one."""
    channel = SimpleNamespace(sent=[], error=None)

    def send(delivery: Delivery) -> None:
        channel.sent.append(delivery.pk)
        if channel.error is not None:
            raise channel.error

    monkeypatch.setattr(deliveries_module, "TRANSPORTS", {"email": send})
    return channel


def clock_at(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def reload(delivery: Delivery) -> Delivery:
    return Delivery.objects.select_related("notification__user").get(pk=delivery.pk)


def test_it_sends_what_is_due_once(alice: User, transport: SimpleNamespace) -> None:
    delivery = make_delivery(alice)

    assert deliver_due(clock=clock_at(NOW)) == 1
    assert deliver_due(clock=clock_at(NOW + timedelta(days=1))) == 0

    assert transport.sent == [delivery.pk]
    stored = reload(delivery)
    assert (stored.state, stored.attempts, stored.next_attempt_at) == ("sent", 1, None)


@pytest.mark.parametrize(("early", "sent"), [(1, 0), (0, 1), (-1, 1)])
def test_it_waits_until_the_next_attempt_is_due(
    alice: User, transport: SimpleNamespace, early: int, sent: int
) -> None:
    make_delivery(alice)

    assert deliver_due(clock=clock_at(NOW - timedelta(microseconds=early))) == sent


def test_it_sends_the_given_deliveries_and_no_others(
    alice: User, transport: SimpleNamespace
) -> None:
    wanted, _other = make_delivery(alice), make_delivery(alice)

    assert deliver_these(delivery_ids=[wanted.pk, 999_999], clock=clock_at(NOW)) == 1
    assert transport.sent == [wanted.pk]


def test_it_leaves_a_delivery_to_the_worker_that_claimed_it(
    alice: User, transport: SimpleNamespace
) -> None:
    ours = reload(make_delivery(alice))
    theirs = reload(ours)

    assert deliver_one(theirs, now=NOW) is Outcome.SENT
    assert deliver_one(ours, now=NOW) is Outcome.NOT_OURS
    assert len(transport.sent) == 1


def test_it_claims_before_it_sends(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = reload(make_delivery(alice))
    seen: list[int] = []

    def send(_: Delivery) -> None:
        seen.append(deliver_due(clock=clock_at(NOW + CLAIM_LASTS - timedelta(microseconds=1))))

    monkeypatch.setattr(deliveries_module, "TRANSPORTS", {"email": send})

    assert deliver_one(delivery, now=NOW) is Outcome.SENT
    assert seen == [0]


def test_it_takes_up_what_a_dead_worker_left(alice: User, transport: SimpleNamespace) -> None:
    delivery = make_delivery(alice)
    Delivery.objects.update(attempts=1, next_attempt_at=NOW + CLAIM_LASTS)

    assert deliver_due(clock=clock_at(NOW + CLAIM_LASTS - timedelta(microseconds=1))) == 0
    assert deliver_due(clock=clock_at(NOW + CLAIM_LASTS)) == 1
    assert reload(delivery).attempts == 2


def test_it_gives_up_what_stops_every_worker(alice: User, transport: SimpleNamespace) -> None:
    delivery = make_delivery(alice)
    Delivery.objects.update(attempts=MAX_ATTEMPTS, next_attempt_at=NOW)

    deliver_due(clock=clock_at(NOW))

    assert transport.sent == []
    assert reload(delivery).state == Delivery.State.FAILED


def test_it_retries_a_temporary_error_with_growing_pauses(
    alice: User, transport: SimpleNamespace
) -> None:
    delivery = make_delivery(alice)
    transport.error = TransportError("The mail server is away.", permanent=False)
    now = NOW
    for pause in RETRY_AFTER:
        deliver_due(clock=clock_at(now))
        stored = reload(delivery)
        assert (stored.state, stored.error) == ("pending", "The mail server is away.")
        assert stored.next_attempt_at == now + pause
        now += pause

    deliver_due(clock=clock_at(now))

    stored = reload(delivery)
    assert (stored.state, stored.attempts, stored.next_attempt_at) == ("failed", MAX_ATTEMPTS, None)
    assert list(RETRY_AFTER) == sorted(RETRY_AFTER)
    assert len(transport.sent) == MAX_ATTEMPTS


def test_it_forgets_the_error_once_it_is_sent(alice: User, transport: SimpleNamespace) -> None:
    delivery = make_delivery(alice)
    transport.error = TransportError("Not now.", permanent=False)
    deliver_due(clock=clock_at(NOW))
    transport.error = None

    deliver_due(clock=clock_at(NOW + RETRY_AFTER[0]))

    stored = reload(delivery)
    assert (stored.state, stored.error, stored.attempts) == ("sent", "", 2)


def test_it_does_not_retry_a_permanent_error(alice: User, transport: SimpleNamespace) -> None:
    delivery = make_delivery(alice)
    transport.error = TransportError("No such mailbox." + "x" * 300, permanent=True)

    deliver_due(clock=clock_at(NOW))
    deliver_due(clock=clock_at(NOW + timedelta(days=2)))

    stored = reload(delivery)
    assert (stored.state, stored.attempts) == ("failed", 1)
    assert len(stored.error) == 255
    assert len(transport.sent) == 1


def test_it_goes_on_after_a_defect_of_one_delivery(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = make_delivery(alice), make_delivery(alice)

    def send(delivery: Delivery) -> None:
        if delivery.pk == broken.pk:
            raise KeyError("a defect")

    monkeypatch.setattr(deliveries_module, "TRANSPORTS", {"email": send})

    assert deliver_due(clock=clock_at(NOW)) == 1
    assert (reload(broken).state, reload(sound).state) == ("failed", "sent")
    assert "could not be sent" in caplog.text


def test_it_does_not_try_everything_on_a_server_that_is_away(
    alice: User, transport: SimpleNamespace
) -> None:
    for _ in range(FAILURES_IN_A_ROW + 2):
        make_delivery(alice)
    transport.error = TransportError("The mail server is away.", permanent=False)

    deliver_due(clock=clock_at(NOW))
    assert len(transport.sent) == FAILURES_IN_A_ROW

    transport.error = None
    assert deliver_due(clock=clock_at(NOW)) == 2


def test_it_does_not_undo_the_result_of_a_worker_that_took_over(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = reload(make_delivery(alice))

    def stall_then_fail(_: Delivery) -> None:
        Delivery.objects.update(attempts=2, next_attempt_at=NOW + 2 * CLAIM_LASTS)
        raise TransportError("Too late.", permanent=True)

    monkeypatch.setattr(deliveries_module, "TRANSPORTS", {"email": stall_then_fail})
    deliver_one(delivery, now=NOW)

    stored = reload(delivery)
    assert (stored.state, stored.attempts) == ("pending", 2)


def test_it_mails_through_the_tasks(alice: User) -> None:
    first, second = make_delivery(alice), make_delivery(alice)
    mail.outbox.clear()

    tasks.deliver([first.pk])
    assert (reload(first).state, reload(second).state) == ("sent", "pending")
    tasks.deliver_due()

    assert reload(second).state == "sent"
    assert [message.to for message in mail.outbox] == [["alice@example.com"]] * 2


def test_it_runs_its_tasks_where_the_schedule_expects_them(settings: Any) -> None:
    scheduled = settings.CELERY_BEAT_SCHEDULE["notifications.deliver_due"]

    assert scheduled["task"] == tasks.deliver_due.name
    assert scheduled["options"]["queue"] == "default"
    assert tasks.deliver.name == "notifications.deliver"


def test_it_knows_smtp_errors_as_temporary_by_default() -> None:
    # The transport relies on it: whatever is not sorted out before is an OSError, and retried.
    assert issubclass(smtplib.SMTPException, OSError)
