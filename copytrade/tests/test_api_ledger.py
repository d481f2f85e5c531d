"""The ledger and the metrics in the API: alice provides, bob and she follow, charlie is a stranger.

One event of alice's was copied by her own follower and by bob's.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import make_account
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship
from copytrade.tests.factories import make_copy, make_event, make_relationship

State = CopyOrder.State
PATH = "copy-relationships"
SENTENCE = "0.004 lots of 1,234.56 USD are less than the smallest lot."


class Cast:
    """A provider of alice's with a follower of hers and one of bob's, and an event of it."""

    def __init__(self, alice: User, bob: User) -> None:
        self.lead = make_account(alice, "Lead")
        self.mine = make_relationship(self.lead, make_account(alice, "Own"), alias="Own")
        self.bobs = make_relationship(
            self.lead, make_account(bob, "Bob's savings", currency="EUR"), alias="Client 7"
        )
        self.now = timezone.now()
        self.event = self.happens(EventKind.OPEN)
        self.done = self.copied(self.mine, slippage_points=3.0, slippage_money=1.5)
        self.skipped = make_copy(
            self.bobs, self.event, state=State.SKIPPED, planned_at=self.now,
            reason=SkipReason.BELOW_MINIMUM.value, sentence=SENTENCE, symbol="EURUSD",
        )  # fmt: skip

    def happens(self, kind: EventKind, **fields: Any) -> CopyEvent:
        told: dict[str, Any] = {
            "happened_at": self.now - timedelta(milliseconds=10), "detected_at": self.now,
            "volume": 1, "direction": "buy", "position_ticket": 4711, "deal_ticket": 4712,
        }  # fmt: skip
        return make_event(self.mine, kind, **{**told, **fields})

    def copied(self, row: CopyRelationship, **fields: Any) -> CopyOrder:
        moments = {
            name: self.now + timedelta(milliseconds=after)
            for name, after in (
                ("planned_at", 2), ("gated_at", 5), ("sent_at", 10), ("answered_at", 60),
            )
        }  # fmt: skip
        told: dict[str, Any] = {
            "symbol": "EURUSD", "volume": Decimal("0.23"), "filled_volume": Decimal("0.23"),
            "order_id": uuid4(), "follower_position": 990099, **moments,
        }  # fmt: skip
        return make_copy(row, self.event, **{**told, **fields})


@pytest.fixture
def cast(alice: User, bob: User) -> Cast:
    return Cast(alice, bob)


def results(client: Client, path: str) -> list[dict[str, Any]]:
    answer = client.ask("GET", path)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["count"] == len(told["results"])
    found: list[dict[str, Any]] = told["results"]
    return found


def test_an_event_counts_the_copies_that_one_may_see(cast: Cast, alice: User, bob: User) -> None:
    [hers] = results(client_of(alice), f"{PATH}/events")
    assert (hers["id"], hers["kind"], hers["volume"]) == (str(cast.event.pk), "open", "1.00000000")
    assert (hers["position_ticket"], hers["deal_ticket"]) == (4711, 4712)
    assert hers["copies"] == {
        "total": 2, "planned": 0, "skipped": 1, "ordered": 0, "done": 1, "failed": 0,
        "filled_lots": "0.23000000",
    }  # fmt: skip
    [his] = results(client_of(bob), f"{PATH}/events")
    assert (his["copies"]["total"], his["copies"]["done"]) == (1, 0)
    assert (his["owns_provider"], his["position_ticket"], his["deal_ticket"]) == (
        False, None, None,
    )  # fmt: skip
    assert client_of(bob).ask("GET", f"{PATH}/events/{cast.event.pk}").json() == his


def test_a_follower_sees_only_what_was_planned_for_it(cast: Cast, bob: User) -> None:
    other = cast.happens(EventKind.CLOSE)
    make_copy(cast.mine, other)
    assert [each["id"] for each in results(client_of(bob), f"{PATH}/events")] == [
        str(cast.event.pk)
    ]
    assert client_of(bob).ask("GET", f"{PATH}/events/{other.pk}").status_code == 404


def test_events_of_a_user_who_is_gone_stay(cast: Cast, alice: User, bob: User) -> None:
    make_copy(cast.mine, cast.happens(EventKind.CLOSE))
    alice.delete()
    assert not CopyRelationship.objects.exists()
    assert [each["id"] for each in results(client_of(bob), f"{PATH}/events")] == [
        str(cast.event.pk)
    ]


def test_strangers_find_nothing(cast: Cast, charlie: User) -> None:
    client = client_of(charlie)
    assert results(client, f"{PATH}/events") == results(client, f"{PATH}/copies") == []
    for path in (f"events/{cast.event.pk}", f"{cast.mine.pk}/events", f"{cast.mine.pk}/metrics"):
        assert client.ask("GET", f"{PATH}/{path}").status_code == 404


def test_the_provider_reads_no_secret_in_a_copy(cast: Cast, alice: User) -> None:
    cast.skipped.delete()
    copy = cast.copied(cast.bobs, slippage_points=2.0, slippage_money=7.77, sentence=SENTENCE)
    answer = client_of(alice).ask("GET", f"{PATH}/copies?relationship_id={cast.bobs.pk}")
    [told] = answer.json()["results"]
    assert (told["follower_name"], told["state"], told["filled_lots"], told["sentence"]) == (
        "Client 7", "done", "0.23000000", "",
    )  # fmt: skip
    assert (told["sending_milliseconds"], told["total_milliseconds"]) == (10.0, 60.0)
    hidden = ("follower_id", "slippage_money", "order_id", "follower_position")
    assert {told[name] for name in hidden} == {None}
    text = answer.content.decode()
    follower = cast.bobs.follower
    secrets = (
        "Bob",
        str(follower.pk),
        str(follower.login),
        "7.77",
        "1,234",
        "990099",
        str(copy.order_id),
    )
    assert not any(secret in text for secret in secrets)


def test_a_reason_is_told_plainly_to_the_provider(cast: Cast, alice: User, bob: User) -> None:
    path = f"{PATH}/copies?state=skipped"
    [hers], [his] = results(client_of(alice), path), results(client_of(bob), path)
    assert (hers["reason"], his["reason"]) == ("below_minimum", "below_minimum")
    assert hers["sentence"] == "It is less than the smallest lot."
    assert (his["sentence"], his["follower_name"]) == (SENTENCE, "Bob's savings")
    assert his["follower_id"] == str(cast.bobs.follower_id)


def test_a_relationship_lists_its_events(cast: Cast, alice: User) -> None:
    [told] = results(client_of(alice), f"{PATH}/{cast.mine.pk}/events")
    assert (told["event"]["id"], told["slippage_money"]) == (str(cast.event.pk), 1.5)
    assert told["order_id"] == str(cast.done.order_id)
    assert "position_ticket" not in told["event"]


def test_copies_are_filtered(cast: Cast, alice: User) -> None:
    client = client_of(alice)
    close = cast.happens(EventKind.CLOSE)
    make_copy(cast.mine, close, planned_at=cast.now - timedelta(days=2), symbol="GBPUSD")
    yesterday = (cast.now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    counts = {
        query: len(results(client, f"{PATH}/copies?{query}"))
        for query in (
            "", "state=done", "reason=below_minimum", "kind=close", "kind=stops", "symbol=GBPUSD",
            "search=gbp", f"since={yesterday}", f"until={yesterday}", f"event_id={cast.event.pk}",
            f"relationship_id={cast.bobs.pk}", f"provider_id={uuid4()}", "search=1,234",
        )
    }  # fmt: skip
    assert list(counts.values()) == [3, 2, 1, 1, 0, 1, 1, 2, 1, 2, 1, 0, 0]
    kinds = results(client, f"{PATH}/events?kind=close")
    assert [each["id"] for each in kinds] == [str(close.pk)]
    assert client.ask("GET", f"{PATH}/copies?state=gone").status_code == 400


@pytest.mark.parametrize("path", ["events", "copies", "{row}/events", "{row}/metrics"])
def test_a_page_costs_the_same_for_many(path: str, cast: Cast, alice: User, bob: User) -> None:
    client, address = client_of(alice), f"/api/v1/{PATH}/{path.format(row=cast.bobs.pk)}"

    def fill(number: int) -> int:
        for _ in range(number):
            event = cast.happens(EventKind.OPEN)
            for row in (cast.mine, cast.bobs):
                make_copy(row, event, planned_at=cast.now, sent_at=cast.now, slippage_money=1.0)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"{address}?page_size=200").status_code == 200
        return len(queries)

    assert fill(2) == fill(20)


def test_metrics_tell_success_latency_and_slippage(cast: Cast, alice: User, bob: User) -> None:
    cast.event = cast.happens(EventKind.CLOSE)
    cast.copied(cast.mine, state=State.FAILED, slippage_points=None)
    path = f"{PATH}/{cast.mine.pk}/metrics"
    answer = client_of(alice).ask("GET", path)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["done"], told["failed"], told["success_fraction"]) == (1, 1, 0.5)
    hops = {hop["hop"]: (hop["count"], hop["p50"], hop["p99"]) for hop in told["hops"]}
    assert hops == {
        "detected": (2, 10.0, 10.0), "planned": (2, 2.0, 2.0), "gated": (2, 3.0, 3.0),
        "sent": (2, 5.0, 5.0), "answered": (2, 50.0, 50.0), "detected_to_sent": (2, 10.0, 10.0),
        "detected_to_answered": (2, 60.0, 60.0),
    }  # fmt: skip
    assert told["slippage"] == {
        "count": 1, "mean_points": 3.0, "p95_points": 3.0, "worst_points": 3.0,
        "money": {"USD": 1.5},
    }  # fmt: skip
    assert client_of(bob).ask("GET", path).status_code == 404


def test_metrics_without_a_copy_say_so(alice: User) -> None:
    row = make_relationship(make_account(alice, "A"), make_account(alice, "B"))
    told = client_of(alice).ask("GET", f"{PATH}/{row.pk}/metrics").json()
    assert (told["done"], told["success_fraction"], told["measured"]) == (0, None, 0)
    assert {hop["p99"] for hop in told["hops"]} == {None}


@pytest.mark.parametrize(("days", "status"), [("1", 200), ("365", 200), ("0", 400), ("366", 400)])
def test_metrics_reach_back_a_year(days: str, status: int, cast: Cast, alice: User) -> None:
    answer = client_of(alice).ask("GET", f"{PATH}/{cast.mine.pk}/metrics?days={days}")
    assert answer.status_code == status


def test_the_ledger_outlives_the_other_side(cast: Cast, alice: User, bob: User) -> None:
    event = cast.happens(EventKind.CLOSE)
    mine = make_copy(cast.bobs, event, symbol="EURUSD", slippage_money=2.5, planned_at=cast.now)
    as_bob, as_alice = client_of(bob), client_of(alice)
    path = f"{PATH}/copies?event_id={mine.event_id}"
    before = as_bob.ask("GET", path).json()["results"]
    # As when staff delete a user: the relationship goes with the provider's account.
    CopyRelationship.objects.filter(pk=cast.bobs.pk).delete()
    assert as_bob.ask("GET", path).json()["results"] == before
    assert before[0]["follower_name"] == "Bob's savings"
    [shown] = as_alice.ask("GET", path).json()["results"]
    assert (shown["follower_name"], shown["follower_id"]) == ("A former follower", None)
    assert shown["slippage_money"] is None
