from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.delivering.letters import MOST_ITEMS, Letter, LetterKind
from notifications.models import Delivery, Notification, NotificationType, Priority
from notifications.services.letters import LONGEST_TITLE, build_letter
from notifications.tests.factories import make_delivery


def make_rows(user: User, *titles: str, hold: str = "storm", **fields: Any) -> list[Delivery]:
    letter_id = uuid4()
    return [
        make_delivery(user, title=title, hold=hold, letter_id=letter_id, **fields)
        for title in titles
    ]


@override_settings(PUBLIC_URL="https://guard.example/")
def test_a_single_letter_is_its_notification(alice: User) -> None:
    delivery = make_delivery(alice)
    notification = delivery.notification
    notification.happened_count = 3
    letter = build_letter([delivery])

    assert (letter.id, letter.kind) == (notification.pk, LetterKind.SINGLE)
    assert (letter.title, letter.body) == (notification.title, notification.body)
    assert (letter.priority, letter.at, letter.total) == ("urgent", NOW, 1)
    assert letter.url == "https://guard.example/accounts/3"
    [item] = letter.items
    assert (item.id, item.type, item.count) == (notification.pk, "risk_breach", 3)
    assert (item.object_type, item.object_id, item.url) == ("breach", "1", letter.url)
    assert letter.recipient.email == "alice@example.com"


def test_a_test_is_known_as_one(alice: User) -> None:
    assert build_letter([make_delivery(alice, dedupe_key="test:1")]).kind == LetterKind.TEST


def test_one_that_was_held_alone_reads_like_any_other(alice: User) -> None:
    [delivery] = make_rows(alice, "Alone", hold="quiet")
    letter = build_letter([delivery], counts={"risk_breach": 1})
    assert (letter.kind, letter.title, letter.body) == (
        LetterKind.SINGLE,
        "Alone",
        delivery.notification.body,
    )
    assert letter.id == delivery.letter_id


@override_settings(PUBLIC_URL="https://guard.example")
def test_a_digest_names_the_most_urgent_first_then_the_newest(alice: User) -> None:
    alice.time_zone = "Europe/Prague"
    alice.save()
    rows = [
        *make_rows(alice, "Old calm", priority="low", now=NOW - timedelta(days=1)),
        *make_rows(alice, "New calm", priority="low"),
        *make_rows(alice, "Urgent", now=NOW - timedelta(minutes=5)),
    ]
    rows[1].notification.happened_count = 3
    letter = build_letter(rows)

    assert (letter.kind, letter.priority, letter.at) == (LetterKind.STORM, "urgent", NOW)
    assert letter.title == "Urgent, and 2 more"
    assert [item.title for item in letter.items] == ["Urgent", "New calm", "Old calm"]
    # In the reader's own zone; what is not of the last day says so.
    assert letter.body.splitlines() == [
        "12:55 Urgent",
        "13:00 New calm (3 times)",
        "19 Nov 13:00 Old calm",
    ]
    assert letter.url == "https://guard.example/notifications"


def test_a_digest_of_quiet_hours_says_so(alice: User) -> None:
    letter = build_letter(make_rows(alice, "A", "B", hold="quiet"))
    assert letter.kind == LetterKind.QUIET
    assert letter.title.endswith(", and 1 more while it was quiet")


def test_a_digest_counts_what_it_leaves_out(alice: User) -> None:
    rows = make_rows(alice, *(f"Title {number}" for number in range(MOST_ITEMS)))
    letter = build_letter(rows, counts={"risk_breach": MOST_ITEMS + 2, "order_filled": 1_234})
    assert letter.total == MOST_ITEMS + 1_236
    assert letter.body.splitlines()[-1] == (
        "And 1,236 more: 1,234 × Order filled, 2 × Rule violated."
    )


def test_a_zone_that_is_not_known_is_utc(alice: User) -> None:
    alice.time_zone = "Mars/Phobos"
    alice.save()
    assert build_letter(make_rows(alice, "A", "B")).body.startswith("12:00 ")


def _unsaved(titles: list[tuple[str, str]]) -> Letter:
    user = User(username="alice", email="alice@example.com", time_zone="UTC")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        Delivery(
            hold="storm",
            letter_id=uuid4(),
            notification=Notification(
                user=user,
                type=NotificationType.ORDER_FILLED,
                priority=priority,
                title=title,
                created_at=at,
            ),
        )
        for title, priority in titles
    ]
    return build_letter(rows)


@given(
    st.lists(
        st.tuples(st.text(max_size=LONGEST_TITLE), st.sampled_from(Priority.values)),
        min_size=2,
        max_size=40,
    )
)
def test_a_digest_always_fits(titles: list[tuple[str, str]]) -> None:
    letter = _unsaved(titles)
    assert len(letter.title) <= LONGEST_TITLE
    assert letter.total == len(titles)
    assert len(letter.items) == min(len(titles), MOST_ITEMS)
    ranks = [Priority(item.priority).rank for item in letter.items]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] == max(Priority(priority).rank for _, priority in titles)
