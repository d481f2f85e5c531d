"""What the pages of copying show to whom: alice provides, bob follows, charlie is a stranger."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW, make_account, make_user
from copytrade.core.kinds import EventKind, Sizing, SkipReason
from copytrade.models import CopyOrder, CopyRelationship
from copytrade.tests.factories import make_copy, make_event, make_position, make_relationship
from copytrade.views.ledger import EXCERPT_LENGTH

State = CopyRelationship.State


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    client.get("/settings")  # the first page of a session is noted, which costs queries of its own
    return client


@pytest.fixture
def row(alice: User, bob: User) -> CopyRelationship:
    return make_relationship(
        make_account(alice, "Lead"), make_account(bob, "Bob's savings"), alias="Client 7"
    )


@pytest.fixture
def own(alice: User) -> tuple[ConnectedAccount, ConnectedAccount]:
    """Two watched accounts of alice's."""
    return (
        make_account(alice, "Lead", with_key=True, is_active=True),
        make_account(alice, "Mirror", with_key=True, is_active=True),
    )


def terms(**changes: object) -> dict[str, object]:
    """Return a form as the wizard sends it when nothing but the accounts was touched."""
    return {
        "whose": "own",
        "sizing": "equity_ratio",
        "multiplier": "1",
        "below_minimum": "skip",
        "directions": "both",
        "copies_stops": "on",
        "open_deadline_seconds": "60",
        "trading_zone": "UTC",
        "start_policy": "new_only",
        "cascade_scope": "copied",
        **changes,
    }


def errors_in(page: str) -> list[str]:
    """Return what stands at the fields of a page that are wrong."""
    lists = re.findall(r'<ul class="errors"[^>]*>(.*?)</ul>', page, re.DOTALL)
    return [text for each in lists for text in re.findall(r"<li>(.*?)</li>", each)]


def own_pages(row: CopyRelationship) -> Iterator[str]:
    for name in ("relationship", "head", "cascades", "edit", "accept", "decline", "end"):
        yield reverse(f"copying-{name}", args=[row.pk])
    yield reverse("copying-hold", args=[row.pk, "pause"])
    yield reverse("copying-relationship-example", args=[row.pk])
    yield reverse("copying-provider", args=[row.provider_id])
    yield reverse("copying-group", args=[row.provider_id])
    yield reverse("copying-provider-cascades", args=[row.provider_id])
    yield reverse("account-copying", args=[row.provider_id])
    yield reverse("copying-metrics") + f"?relationship={row.pk}"
    yield reverse("copying-metrics") + f"?provider={row.provider_id}"
    yield reverse("copying-event", args=[make_event(row, EventKind.OPEN).pk])


def test_a_stranger_finds_nothing(row: CopyRelationship, charlie: User) -> None:
    client = client_of(charlie)
    assert {client.get(address).status_code for address in own_pages(row)} == {404}
    for address in (reverse("copying"), reverse("copying-ledger")):
        assert "Lead" not in client.get(address).content.decode()


def test_the_providers_owner_reads_an_alias_and_no_money(
    row: CopyRelationship, alice: User
) -> None:
    event = make_event(row, EventKind.OPEN, volume=Decimal(1), direction="buy", price=1.1)
    make_copy(
        row, event, filled_volume=Decimal("0.23"), volume=Decimal("0.23"),
        slippage_points=3.0, slippage_money=9.87, follower_position=4_711_000,
    )  # fmt: skip
    make_position(row, follower_position=4_711_000)
    client = client_of(alice)
    for address in (
        reverse("copying"),
        reverse("copying-relationship", args=[row.pk]),
        reverse("copying-event", args=[event.pk]),
        reverse("copying-provider", args=[row.provider_id]),
    ):
        page = client.get(address).content.decode()
        assert "Client 7" in page
        for secret in ("savings", "9.87", "4711000", str(row.follower.login)):
            assert secret not in page, address


def test_the_pages_ask_as_much_for_many_as_for_few(alice: User) -> None:
    provider = make_account(alice, "Lead")
    client = client_of(alice)
    addresses = [
        reverse("copying"),
        reverse("copying-ledger"),
        reverse("copying-metrics"),
        reverse("copying-provider", args=[provider.pk]),
        reverse("account-copying", args=[provider.pk]),
    ]

    def follow(count: int) -> None:
        for number in range(count):
            other = make_user(f"bob{CopyRelationship.objects.count()}_{number}")
            row = make_relationship(provider, make_account(other, f"Follower {number}"))
            make_position(row)
            event = make_event(row, EventKind.OPEN)
            make_copy(row, event)
            make_copy(
                make_relationship(make_account(alice, f"Two {row.alias}"), row.provider), event
            )

    def counts() -> list[int]:
        found = []
        for address in addresses:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address).status_code == 200
            found.append(len(queries))
        return found

    follow(2)
    few = counts()
    follow(9)
    assert counts() == few
    assert max(few) <= 40


def test_an_event_of_a_thousand_copies_shows_a_page_of_them(alice: User) -> None:
    row = make_relationship(make_account(alice, "Lead"), make_account(alice, "Mirror"))
    event = make_event(row, EventKind.OPEN)
    CopyOrder.objects.bulk_create(
        CopyOrder(
            event_id=event.pk, relationship_id=other.pk, provider_id=row.provider_id,
            follower_id=row.follower_id, state="done", planned_at=event.detected_at,
        )
        for other in [
            make_relationship(row.provider, make_account(alice, f"Mirror {number}"))
            for number in range(120)
        ]
    )  # fmt: skip
    client = client_of(alice)
    opened = client.get(reverse("copying-ledger-rows"), {"open": str(event.pk)}).content.decode()
    assert opened.count('class="copy-state"') == 50
    assert "70 more on its page" in opened
    address = reverse("copying-event", args=[event.pk])
    assert client.get(address).content.decode().count('class="copy-state"') == 100
    assert client.get(address, {"page": 2}).content.decode().count('class="copy-state"') == 20


def test_the_ledger_says_nothing_while_nothing_changes(row: CopyRelationship, bob: User) -> None:
    event = make_event(row, EventKind.OPEN)
    copy = make_copy(row, event, state=CopyOrder.State.ORDERED)
    client, address = client_of(bob), reverse("copying-ledger-rows")
    first = client.get(address, {"open": str(event.pk)})
    seen = first.context["seen"]
    assert client.get(address, {"open": str(event.pk), "seen": seen}).status_code == 204
    copy.state, copy.reason = CopyOrder.State.SKIPPED, SkipReason.LATE
    copy.sentence = "It was seen 61 s after it happened."
    copy.save()
    page = client.get(address, {"open": str(event.pk), "seen": seen}).content.decode()
    assert "It was seen 61 s after it happened." in page
    assert f'data-event="{event.pk}" open' in page


def test_the_wizard_begins_to_copy(
    own: tuple[ConnectedAccount, ConnectedAccount], alice: User
) -> None:
    provider, follower = own
    data = terms(provider=provider.pk, follower=follower.pk, sizing="fixed_lot", fixed_lots="0.05")
    answer = client_of(alice).post(reverse("copying-create"), data)
    row = CopyRelationship.objects.get()
    assert answer.headers["Location"] == reverse("copying-relationship", args=[row.pk])
    assert (row.state, row.sizing, row.fixed_lots) == (
        State.ACTIVE, Sizing.FIXED_LOT, Decimal("0.05"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"provider": ""}, "This field is required."),
        ({"follower": ""}, "Choose the account that copies."),
        ({"whose": "another"}, "Type or paste the id of the account that copies."),
        ({"whose": "another", "follower_id": "nonsense"}, "A copying id looks like"),
        ({"sizing": "fixed_lot"}, "Say how many lots each copy has."),
        ({"sizing": "risk_percent"}, "Say which part of the equity a copy may lose"),
        ({"multiplier": "many"}, "Enter a number."),
        ({"include_symbols": "EURUSD", "exclude_symbols": "EURUSD"}, "EURUSD is in both lists."),
        ({"symbol_map": "US30"}, "write it as US30 = DJ30."),
        ({"trading_from": "08:00"}, "Give both ends of the hours, or none."),
        ({"trading_zone": "Nowhere"}, "is not a known time zone"),
        ({"equity_stop": "0"}, "Give more than 0, or leave it empty."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_the_rest_is_kept(
    own: tuple[ConnectedAccount, ConnectedAccount],
    alice: User,
    changes: dict[str, object],
    sentence: str,
) -> None:
    accounts = {"provider": own[0].pk, "follower": own[1].pk}
    data = terms(**{**accounts, "maximum_lots": "3.25", **changes})
    page = client_of(alice).post(reverse("copying-create"), data).content.decode()
    [error] = errors_in(page)
    assert sentence in error
    assert 'value="3.25"' in page
    assert not CopyRelationship.objects.exists()


def test_an_account_does_not_copy_itself(
    own: tuple[ConnectedAccount, ConnectedAccount], alice: User
) -> None:
    data = terms(provider=own[0].pk, follower=own[0].pk)
    page = client_of(alice).post(reverse("copying-create"), data).content.decode()
    assert errors_in(page) == ["An account cannot copy itself: choose another one."]


def test_a_loop_is_refused_with_a_sentence(
    own: tuple[ConnectedAccount, ConnectedAccount], alice: User
) -> None:
    client = client_of(alice)
    client.post(reverse("copying-create"), terms(provider=own[0].pk, follower=own[1].pk))
    data = terms(provider=own[1].pk, follower=own[0].pk)
    page = client.post(reverse("copying-create"), data).content.decode()
    assert 'class="form-errors" role="alert"' in page
    assert "loop" in page or "circle" in page
    assert CopyRelationship.objects.count() == 1


def test_the_firms_sentence_is_confirmed_before_the_first_copy(alice: User) -> None:
    provider = make_account(alice, "Lead", with_key=True, is_active=True)
    follower = make_account(
        alice, "Challenge", with_key=True, is_active=True, broker="FTMO", server="FTMO-Demo"
    )
    client, data = client_of(alice), terms(provider=provider.pk, follower=follower.pk)
    review = client.post(reverse("copying-review"), data).content.decode()
    assert "FTMO on copying" in review
    assert 'name="confirms_firm_terms"' in review
    page = client.post(reverse("copying-create"), data).content.decode()
    assert "Confirm that you have read what the firm says" in errors_in(page)[0]
    client.post(reverse("copying-create"), {**data, "confirms_firm_terms": "on"})
    assert CopyRelationship.objects.get().follower_confirmed_at is not None


def test_the_example_says_why_there_is_none(
    own: tuple[ConnectedAccount, ConnectedAccount], alice: User
) -> None:
    client, address = client_of(alice), reverse("copying-example")
    data = terms(provider=own[0].pk, follower=own[1].pk)
    assert "Choose both accounts" in client.post(address, terms()).content.decode()
    wrong = client.post(address, {**data, "multiplier": "many"}).content.decode()
    assert "Enter a number." in wrong
    by_risk = {**data, "sizing": "risk_percent", "risk_fraction": "1"}
    assert "a stop" in client.post(address, by_risk).content.decode()
    early = client.post(address, data).content.decode()
    assert "data-again" in early


def test_a_term_is_edited_as_it_was_typed(row: CopyRelationship, bob: User) -> None:
    CopyRelationship.objects.update(
        multiplier=Decimal(20), sizing="risk_percent", risk_fraction=Decimal("0.0150")
    )
    client, address = client_of(bob), reverse("copying-edit", args=[row.pk])
    page = client.get(address).content.decode()
    shown = dict(re.findall(r'name="(multiplier|risk_fraction)" value="([^"]*)"', page))
    assert shown == {"multiplier": "20", "risk_fraction": "1.5"}
    data = terms(sizing="risk_percent", risk_fraction="1.25", multiplier="20")
    client.post(address, data)
    row.refresh_from_db()
    assert row.risk_fraction == Decimal("0.0125")


def test_the_ways_to_end_say_what_is_held(row: CopyRelationship, alice: User, bob: User) -> None:
    make_position(row, volume=Decimal("0.20"))
    make_position(row, volume=Decimal("0.30"))
    address = reverse("copying-end", args=[row.pk])
    page = client_of(bob).get(address).content.decode()
    assert "Closed at the market: 2 positions, 0.50 lots." in page
    assert 'value="close_now"' not in client_of(alice).get(address).content.decode()


@pytest.mark.parametrize("change", ["pause", "close-only", "resume"])
def test_it_is_held_back_and_goes_on(row: CopyRelationship, bob: User, change: str) -> None:
    client = client_of(bob)
    if change == "resume":
        client.post(reverse("copying-hold", args=[row.pk, "pause"]), {"reason": "On holiday."})
        assert "On holiday." in client.get(reverse("copying")).content.decode()
    client.post(reverse("copying-hold", args=[row.pk, change]))
    row.refresh_from_db()
    expected = {"pause": "paused", "close-only": "close_only", "resume": "active"}
    assert row.state == expected[change]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("pause", "Closes go on, and so do changes of stops"),
        ("close-only", "Nothing new is copied; changes of stops still are."),
    ],
)
def test_who_holds_it_back_reads_that_stops_still_move(
    row: CopyRelationship, bob: User, change: str, text: str
) -> None:
    page = client_of(bob).get(reverse("copying-hold", args=[row.pk, change])).content.decode()
    assert text in page


def test_an_offer_is_read_and_accepted(bob: User, alice: User) -> None:
    row = make_relationship(
        make_account(alice, "Lead", with_key=True, is_active=True),
        make_account(bob, "Savings", with_key=True, is_active=True),
        state=State.OFFERED, started_at=None,
    )  # fmt: skip
    client, address = client_of(bob), reverse("copying-accept", args=[row.pk])
    form = client.get(address).context["form"]
    early = {"seen_at": (row.terms_changed_at - timedelta(seconds=1)).isoformat()}
    assert "read it again" in client.post(address, early).content.decode()
    client.post(address, {"seen_at": form["seen_at"].value()})
    row.refresh_from_db()
    assert row.state == State.ACTIVE


def test_an_offer_is_shown_where_its_owner_looks(row: CopyRelationship, bob: User) -> None:
    CopyRelationship.objects.update(state=State.OFFERED, started_at=None)
    client = client_of(bob)
    assert "alice offers Bob&#x27;s savings to copy Lead" in (
        client.get(reverse("copying")).content.decode()
    )
    part = client.get(reverse("account-copying", args=[row.follower_id])).content.decode()
    assert "Offered" in part


def test_a_relationships_page_shows_the_newest_events_alone(
    row: CopyRelationship, bob: User
) -> None:
    for number in range(EXCERPT_LENGTH + 1):
        at = NOW + timedelta(seconds=number)
        make_copy(row, make_event(row, EventKind.OPEN, magic=number, detected_at=at))
    client = client_of(bob)

    page = client.get(reverse("copying-relationship", args=[row.pk])).content.decode()
    assert page.count('<details id="event-') == EXCERPT_LENGTH
    asked = re.search(r'hx-get="([^"]*/ledger/rows[^"]*)"', page)
    assert asked is not None
    again = client.get(asked[1].replace("&amp;", "&")).content.decode()
    assert again.count('<details id="event-') == EXCERPT_LENGTH
    whole = client.get(reverse("copying-ledger"), {"relationship": str(row.pk)}).content.decode()
    assert whole.count('<details id="event-') == EXCERPT_LENGTH + 1


@pytest.mark.parametrize(
    ("is_held", "sentence"), [(True, "what was copied stays open"), (False, "nothing was held")]
)
def test_keeping_nothing_is_not_told_as_keeping(
    row: CopyRelationship, bob: User, is_held: bool, sentence: str
) -> None:
    if is_held:
        make_position(row)
    address = reverse("copying-end", args=[row.pk])
    page = client_of(bob).post(address, {"ending": "keep"}, follow=True).content.decode()
    assert sentence in page
