"""Parts of copying's pages that ask again and again: they tell the present, and ask rightly."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.urls import reverse

from accounts.models import User
from accounts.tests.factories import NOW, make_account
from copytrade.cascade.running import STORY
from copytrade.core.kinds import EventKind
from copytrade.models import CopyOrder, CopyRelationship
from copytrade.tests.factories import make_copy, make_event, make_relationship
from copytrade.tests.test_group_risk import connected, leave
from copytrade.tests.test_pages import client_of
from risk.core.statuses import Status
from risk.enforcement.goals import COPIED_LOTS
from risk.tests.factories import make_rule, make_run

MOVING = re.compile(r'<(?:div|section) id="([\w-]+)"[^>]*data-moving="(\d+)"[^>]*hx-get="([^"]+)"')


@pytest.fixture
def row(alice: User, bob: User) -> CopyRelationship:
    return make_relationship(
        make_account(alice, "Lead"), make_account(bob, "Bob's savings"), alias="Client 7"
    )


def moving_parts(page: str) -> dict[str, str]:
    """Return the addresses that a page asks, by the part that they bring anew."""
    return {name: address.replace("&amp;", "&") for name, _, address in MOVING.findall(page)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("copying", {"copying-rows"}),
        ("copying-ledger", {"copy-ledger"}),
        ("copying-metrics", {"copy-metrics"}),
        ("copying-provider", {"copy-group", "copy-cascades", "copying-rows", "copy-metrics"}),
        (
            "copying-relationship",
            {"copying-head", "copy-cascades", "copy-ledger", "copy-metrics"},
        ),
    ],
)
def test_each_part_is_brought_anew_by_what_it_asks(
    row: CopyRelationship, alice: User, name: str, expected: set[str]
) -> None:
    ids = {"copying-provider": [row.provider_id], "copying-relationship": [row.pk]}
    client = client_of(alice)
    parts = moving_parts(client.get(reverse(name, args=ids.get(name))).content.decode())
    assert set(parts) == expected
    for part, address in parts.items():
        answer = client.get(address)
        assert answer.status_code == 200
        # It asks the same again: of the same account, and for the same time.
        assert moving_parts(answer.content.decode())[part] == address


def test_an_offer_comes_and_goes_with_the_list(row: CopyRelationship, bob: User) -> None:
    CopyRelationship.objects.update(state=CopyRelationship.State.OFFERED, started_at=None)
    client = client_of(bob)
    page = client.get(reverse("copying")).content.decode()
    assert page.index('id="copying-rows"') < page.index("Waiting for your answer")
    CopyRelationship.objects.update(state=CopyRelationship.State.DECLINED)
    [address] = moving_parts(page).values()
    assert "Waiting for your answer" not in client.get(address).content.decode()


def test_a_broken_limit_is_not_praised_for_what_is_left_of_it_now(alice: User) -> None:
    lead, rule = connected(alice, "Lead"), make_rule(alice, applies_to_all_accounts=True)
    address = reverse("copying-group", args=[lead.pk])
    with time_machine.travel(NOW, tick=False):
        client = client_of(alice)
        leave(lead, rule, Status.VIOLATED, 5_000.0)
        broken = client.get(address).content.decode()
        leave(lead, rule, Status.SAFE, 5_000.0)
        safe = client.get(address).content.decode()
    assert "A limit is broken; 100 % left of it now" in broken
    assert "100 % of its weakest limit left" not in broken
    assert "100 % of its weakest limit left" in safe


def test_an_event_is_asked_after_until_its_last_copy_has_ended(
    row: CopyRelationship, bob: User
) -> None:
    event = make_event(row, EventKind.OPEN)
    copy = make_copy(row, event, state=CopyOrder.State.ORDERED, reason="")
    client, address = client_of(bob), reverse("copying-event", args=[event.pk])
    assert moving_parts(client.get(address).content.decode()) == {"event-copies": address}
    CopyOrder.objects.filter(pk=copy.pk).update(state=CopyOrder.State.DONE)
    assert moving_parts(client.get(address).content.decode()) == {}


@pytest.mark.parametrize(
    ("stages", "headline"),
    [
        (("done", "done"), "2 followers flat after 1.5 s, 3 positions closed"),
        (("done", "closing"), "Being closed: 1 of 2 followers confirmed flat"),
        (("done", "given_up"), "1 not flat"),
    ],
)
def test_a_liquidation_is_told_with_its_followers(
    alice: User, bob: User, stages: tuple[str, str], headline: str
) -> None:
    provider = make_account(alice, "Lead")
    liquidation = str(uuid4())
    for follower, stage, count in (
        (make_account(alice, "Mirror"), stages[0], 2),
        (make_account(bob, "Bob's savings"), stages[1], 1),
    ):
        row = make_relationship(provider, follower, alias=f"Client {count}")
        ended_at = None if stage == "closing" else NOW + timedelta(seconds=1.5)
        make_run(
            follower,
            cause="cascade",
            stage=stage,
            triggered_at=NOW,
            confirmed_at=ended_at if stage == "done" else None,
            finished_at=ended_at,
            positions_closed=count,
            message="Bob's own words." if count == 1 else "Closed 2 positions.",
            options={
                COPIED_LOTS: {},
                STORY: {
                    "liquidation": liquidation, "relationship_id": str(row.pk),
                    "provider_id": str(provider.pk), "provider_name": "Lead", "by": "cutoff",
                    "level_percent": 9.8, "scope": "copied", "closed_by_copies": 0,
                    "sentence": "Lead was liquidated at a margin level of 9.8 %.",
                },
            },
        )  # fmt: skip
    client = client_of(alice)
    for name in ("copying-provider", "copying-provider-cascades"):
        page = client.get(reverse(name, args=[provider.pk])).content.decode()
        assert headline in page
        assert "at a margin level of 9.8 %" in page
        assert "Closed 2 positions." in page
        assert "own words" not in page
