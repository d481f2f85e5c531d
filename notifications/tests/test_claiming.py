"""In which order letters go out, and which deliveries make one letter."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from accounts.tests.factories import NOW, make_user
from notifications.delivering.letters import MOST_ITEMS, Letter, LetterKind
from notifications.delivering.transport import Credentials, TransportError
from notifications.models import Delivery
from notifications.services.claiming import (
    CLAIM_LASTS,
    Candidate,
    claim_gathered,
    claim_singles,
    plan,
)
from notifications.services.deliveries import cancel_stranded, deliver_due
from notifications.services.sending import BATCH_SIZE, _batches
from notifications.tests.carrier import Carrier
from notifications.tests.factories import make_channel, make_delivery

LATER = timedelta(hours=1)
CALM: dict[str, Any] = {"type": "order_rejected", "priority": "medium"}


def clock_at(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def letters_of(name: str = "email") -> list[int | None]:
    return [letter.delivery_id for letter in plan(name, now=NOW)]


def test_urgent_letters_go_first_then_channels_take_turns(alice: User, bob: User) -> None:
    many = [make_delivery(alice, **CALM) for _ in range(3)]
    single = make_delivery(bob, **CALM)
    urgent = make_delivery(alice)
    test = make_delivery(bob, type="system_alert", priority="low", dedupe_key="test:1")

    assert letters_of() == [
        urgent.pk,
        test.pk,
        # Alice had her turn with the urgent one, as had Bob with his test.
        many[0].pk,
        single.pk,
        many[1].pk,
        many[2].pk,
    ]


def test_within_a_turn_the_longest_due_goes_first(alice: User, bob: User) -> None:
    young = make_delivery(alice, **CALM)
    old = make_delivery(bob, **CALM, next_attempt_at=NOW - LATER)
    assert letters_of() == [old.pk, young.pk]


def test_a_hundred_letters_to_one_do_not_hold_up_another(alice: User, bob: User) -> None:
    for _ in range(100):
        make_delivery(alice, **CALM, next_attempt_at=NOW - LATER)
    single = make_delivery(bob, **CALM)
    assert letters_of().index(single.pk) == 1


def test_many_channels_of_one_do_not_hold_up_another(alice: User, bob: User) -> None:
    for _ in range(5):
        channel = make_channel(alice, "webhook")
        make_delivery(alice, channel=channel, **CALM, next_attempt_at=NOW - LATER)
        make_delivery(alice, channel=channel, **CALM, next_attempt_at=NOW - LATER, hold="storm")
    single = make_delivery(bob, channel=make_channel(bob, "webhook"), **CALM)
    assert letters_of("webhook").index(single.pk) == 1


def test_it_plans_for_some_or_for_all_others(alice: User, bob: User) -> None:
    of_alice, of_bob = make_delivery(alice), make_delivery(bob)

    [only] = plan("email", now=NOW, only=[alice.pk])
    [without] = plan("email", now=NOW, without=[alice.pk])
    assert (only.delivery_id, without.delivery_id) == (of_alice.pk, of_bob.pk)
    assert plan("email", now=NOW, only=[]) == []


def test_it_plans_nothing_that_cannot_go(alice: User, bob: User, charlie: User) -> None:
    make_delivery(alice, next_attempt_at=NOW + timedelta(microseconds=1))
    make_delivery(bob, channel=make_channel(bob, switched_off_at=NOW))
    make_delivery(charlie)
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    make_delivery(make_user("dora"), state=Delivery.State.SENT)
    assert letters_of() == []


def test_what_was_gathered_is_one_letter(alice: User, carrier: Carrier) -> None:
    due = make_delivery(alice, **CALM, hold="quiet", title="First")
    make_delivery(alice, hold="quiet", title="Worst", next_attempt_at=NOW + LATER)
    make_delivery(alice, **CALM, hold="storm", title="Other")

    assert deliver_due(clock=clock_at(NOW)) == 2

    quiet, storm = sorted(carrier.sent, key=lambda letter: letter.kind)
    assert (quiet.kind, quiet.total) == (LetterKind.QUIET, 2)
    assert [item.title for item in quiet.items] == ["Worst", "First"]
    assert storm.title == "Other"
    assert set(Delivery.objects.values_list("state", "attempts", "next_attempt_at")) == {
        ("sent", 1, None)
    }
    assert Delivery.objects.get(pk=due.pk).letter_id == quiet.id


def test_what_is_gathered_waits_until_one_of_it_is_due(alice: User, carrier: Carrier) -> None:
    for _ in range(2):
        make_delivery(alice, hold="storm", next_attempt_at=NOW + LATER)
    assert deliver_due(clock=clock_at(NOW + LATER - timedelta(microseconds=1))) == 0
    assert deliver_due(clock=clock_at(NOW + LATER)) == 1


def test_channels_have_letters_of_their_own(alice: User, bob: User, carrier: Carrier) -> None:
    for user in (alice, alice, bob, bob):
        make_delivery(user, hold="storm")
    assert deliver_due(clock=clock_at(NOW)) == 2
    assert {(letter.recipient.username, letter.total) for letter in carrier.sent} == {
        ("alice", 2),
        ("bob", 2),
    }


def test_a_letter_keeps_its_id_and_rows_at_every_attempt(alice: User, carrier: Carrier) -> None:
    for title in ("One", "Two"):
        make_delivery(alice, **CALM, hold="storm", title=title)
    carrier.error = TransportError("Not now.", permanent=False)
    deliver_due(clock=clock_at(NOW))
    carrier.error = None
    make_delivery(alice, **CALM, hold="storm", title="Three", now=NOW + LATER)

    assert deliver_due(clock=clock_at(NOW + LATER)) == 2

    [first, again, other] = sorted(carrier.tried, key=lambda letter: -letter.total)
    assert first.id == again.id
    assert [item.title for item in first.items] == [item.title for item in again.items]
    assert ([item.title for item in other.items], other.id == first.id) == (["Three"], False)


def test_a_storm_of_thousands_is_one_letter(alice: User, carrier: Carrier) -> None:
    worst = make_delivery(alice, title="Worst", hold="storm")
    notification = worst.notification
    copies = []
    for number in range(300):
        notification.pk = uuid4()
        notification.dedupe_key = f"storm:{number}"
        notification.type, notification.priority = "order_filled", "low"
        notification.save(force_insert=True)
        copies.append(
            Delivery(
                notification_id=notification.pk,
                channel_id=worst.channel_id,
                transport="email",
                hold="storm",
                next_attempt_at=NOW,
                created_at=NOW,
            )
        )
    Delivery.objects.bulk_create(copies)

    assert deliver_due(clock=clock_at(NOW)) == 1

    [letter] = carrier.sent
    assert (letter.total, len(letter.items), letter.items[0].title) == (301, MOST_ITEMS, "Worst")
    assert letter.title == "Worst, and 300 more"
    assert "And 281 more: 281 × Order filled." in letter.body
    assert not Delivery.objects.exclude(state="sent").exists()


def test_two_senders_never_have_the_same_letter(alice: User) -> None:
    singles = [make_delivery(alice).pk for _ in range(3)]
    group = make_delivery(alice, hold="storm")
    gathered = Candidate(
        channel_id=UUID(str(group.channel_id)), user_id=alice.pk, was_left=False, hold="storm"
    )

    assert [claim.first.pk for claim in claim_singles(singles[::-1], now=NOW)] == singles[::-1]
    assert claim_singles(singles, now=NOW) == []
    assert claim_gathered(gathered, now=NOW) is not None
    assert claim_gathered(gathered, now=NOW) is None
    lapsed = NOW + CLAIM_LASTS
    assert len(claim_singles(singles, now=lapsed)) == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one write at a time anyway")
def test_senders_side_by_side_send_everything_once(carrier: Carrier) -> None:
    users = [make_user(f"user{number}") for number in range(5)]
    singles = [make_delivery(user, **CALM) for user in users for _ in range(20)]
    for user in users:
        for _ in range(10):
            make_delivery(user, **CALM, hold="storm")

    def work(_number: int) -> int:
        try:
            return deliver_due(clock=clock_at(NOW), transport="email")
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        sent = sum(pool.map(work, range(6)))
    sent += deliver_due(clock=clock_at(NOW))

    assert sent == len(carrier.sent) == len(singles) + len(users)
    assert len({letter.id for letter in carrier.sent}) == sent
    assert not Delivery.objects.exclude(state="sent").exists()


def test_what_was_gathered_and_killed_goes_out_later_as_the_same_letter(
    alice: User, carrier: Carrier
) -> None:
    make_delivery(alice, hold="storm")
    make_delivery(alice, hold="storm")

    def die(_letter: Letter, _credentials: Credentials) -> None:
        raise KeyboardInterrupt

    carrier.on_send = die
    with pytest.raises(KeyboardInterrupt):
        deliver_due(clock=clock_at(NOW))
    carrier.on_send = lambda _letter, _credentials: None
    make_delivery(alice, hold="storm")

    assert deliver_due(clock=clock_at(NOW + CLAIM_LASTS)) == 2
    assert [letter.id for letter in carrier.tried].count(carrier.tried[0].id) == 2
    assert sorted(letter.total for letter in carrier.sent) == [1, 2]


def test_it_cancels_what_has_no_way_to_go(alice: User, bob: User, carrier: Carrier) -> None:
    channel = make_channel(alice, "webhook")
    gone = make_delivery(alice, channel=channel, **CALM)
    channel.delete()
    inactive = make_delivery(bob, **CALM)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    sound = make_delivery(alice, **CALM)
    unknown = make_delivery(alice, **CALM)
    Delivery.objects.filter(pk=unknown.pk).update(transport="pigeon")
    waiting = make_delivery(bob, next_attempt_at=NOW + LATER)

    assert cancel_stranded(now=NOW) == 3
    assert cancel_stranded(now=NOW) == 0

    states = dict(Delivery.objects.values_list("pk", "state"))
    assert {states[row.pk] for row in (gone, inactive, unknown)} == {"cancelled"}
    assert {states[row.pk] for row in (sound, waiting)} == {"pending"}


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80))
def test_batches_keep_the_order_and_what_goes_alone(kinds: list[tuple[bool, bool]]) -> None:
    channel = uuid4()
    letters = [
        Candidate(
            channel_id=channel,
            user_id=1,
            was_left=was_left,
            delivery_id=None if gathered else number,
        )
        for number, (was_left, gathered) in enumerate(kinds)
    ]
    batches = list(_batches(letters))
    assert [letter for batch in batches for letter in batch] == letters
    for batch in batches:
        alone = any(letter.was_left or letter.delivery_id is None for letter in batch)
        assert 1 <= len(batch) <= (1 if alone else BATCH_SIZE)
