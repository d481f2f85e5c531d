"""The ends of a crowd's orders are taken in together, and mean what they mean one by one."""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import User
from copytrade.core.kinds import EventKind
from copytrade.keeping import outcomes, plain
from copytrade.keeping.closing import SOON_UNFOLDED, close_by_itself
from copytrade.keeping.outcomes import settle, unsettled
from copytrade.keeping.slippage import Slippages
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyPosition
from risk.models import Order
from risk.orders.view import HostView
from tradeguard.tests.copying_stage import copy, crowd, event_of, follows, without_keeper
from tradeguard.tests.enforcement_stage import MARGIN_MODES
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

LOTS = (Decimal("0.30"), Decimal("1.00"), Decimal("1.70"))
FIELDS = ("state", "volume", "follower_position", "closed_at")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def opened(stage: Stage, user: User, **account: Any) -> tuple[CopyEvent, list[Any]]:
    """Let a crowd be filled without anybody taking that in."""
    provider = stage.open(user, "Provider")
    followers = crowd(stage, user, len(LOTS), **account)
    for follower, lots in zip(followers, LOTS, strict=True):
        follows(provider, follower, multiplier=lots)
    stage.run(3)
    without_keeper(stage)
    event = event_of(stage, provider, EventKind.OPEN, 77, price=1.1)
    copy(stage, event)
    return event, [provider, *followers]


def take_in(stage: Stage, tickets: Any = None) -> int:
    followers = list(Order.objects.values_list("account_id", flat=True))
    settled = settle(
        unsettled(followers), stage.now, slippages=Slippages(stage.server), tickets=tickets or {}
    )
    return settled.copies


def ledger() -> tuple[list[Any], list[Any]]:
    return (
        [*CopyOrder.objects.order_by("pk").values()],
        [*CopyPosition.objects.order_by("pk").values()],
    )


def unsettle(before: Any) -> None:
    """Write back what a ledger was."""
    copies, positions = before
    for row in copies:
        CopyOrder.objects.filter(pk=row["id"]).update(**row)
    for row in positions:
        CopyPosition.objects.filter(pk=row["id"]).update(**row)


def one_by_one(stage: Stage, monkeypatch: pytest.MonkeyPatch, tickets: Any = None) -> int:
    with monkeypatch.context() as patch:
        patch.setattr(outcomes, "settle_plain", lambda *_, **__: {})
        return take_in(stage, tickets)


@pytest.mark.parametrize("has_left", [False, True])
@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_filled_opens_mean_what_they_mean_one_by_one(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch, mode: str, has_left: bool
) -> None:
    _, (_, *followers) = opened(stage, alice, margin_mode=MARGIN_MODES[mode])
    tickets = {(followers[0].pk, "EURUSD"): 4711} if mode == "netting" else {}
    if has_left:
        CopyPosition.objects.filter(follower_id=followers[1].pk).update(closes_on_fill=True)
    before = ledger()
    assert one_by_one(stage, monkeypatch, tickets) == len(LOTS)
    slow = ledger()
    unsettle(before)
    assert slow != ledger() == before

    monkeypatch.setattr(outcomes, "Outcome", None)
    assert take_in(stage, tickets) == len(LOTS)
    assert ledger() == slow
    assert sorted(row["volume"] for row in slow[1]) == sorted(LOTS)
    assert None not in [row["slippage_money"] for row in slow[0]]
    assert take_in(stage, tickets) == 0


def test_whole_closes_mean_what_they_mean_one_by_one(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (provider, *_) = opened(stage, alice)
    take_in(stage)
    stage.run(5, seconds=1.0)
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    before = ledger()
    assert one_by_one(stage, monkeypatch) == len(LOTS)
    slow = ledger()
    unsettle(before)

    monkeypatch.setattr(outcomes, "Outcome", None)
    assert take_in(stage) == len(LOTS)
    assert ledger() == slow
    assert {row["state"] for row in slow[1]} == {"closed"}
    assert take_in(stage) == 0


def test_what_is_not_plain_is_taken_in_all_the_same(stage: Stage, alice: User) -> None:
    _, (provider, *followers) = opened(stage, alice)
    take_in(stage)
    stage.run(5, seconds=1.0)
    part = event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=Decimal("0.50"))
    copy(stage, part)
    order = Order.objects.filter(account_id=followers[1].pk).latest("created_at")
    Order.objects.filter(pk=order.pk).update(state="rejected", filled_volume=None)
    assert (
        plain.settle_plain(
            list(Order.objects.values_list("pk", flat=True)),
            stage.now,
            slippages=Slippages(stage.server),
            tickets={},
        )
        == {}
    )
    assert take_in(stage) == len(LOTS)
    left = dict(CopyPosition.objects.values_list("follower_id", "volume"))
    # The smallest lot is the smallest part that can be closed.
    assert left[followers[1].pk] == LOTS[1]
    assert left[followers[2].pk] == Decimal("0.85")


def test_what_changes_meanwhile_is_left_to_be_taken_in_by_itself(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (_, *followers) = opened(stage, alice)
    learn = Slippages.learn

    def crossed(slippages: Slippages, fills: Any, now: Any) -> None:
        CopyPosition.objects.filter(follower_id=followers[0].pk).update(state="kept")
        learn(slippages, fills, now)

    monkeypatch.setattr(Slippages, "learn", crossed)
    assert take_in(stage) == len(LOTS)
    states = dict(CopyPosition.objects.values_list("follower_id", "state"))
    assert [states[each.pk] for each in followers] == ["kept", "open", "open"]
    assert set(CopyOrder.objects.values_list("state", flat=True)) == {"done"}


def test_it_closes_nothing_itself_while_the_provider_s_close_is_no_row_yet(
    stage: Stage, alice: User
) -> None:
    _, (provider, follower, *_) = opened(stage, alice)
    assert stage.tick is not None
    assert stage.tick.acting is not None
    stage.run(5, seconds=1.0)
    take_in(stage)
    poll = stage.tick._hot_keys._poll
    assert poll is not None
    view = HostView(poll, stage.tick.run(stage.now, poll.monotonic + 0.2))
    row = CopyPosition.objects.get(follower_id=follower.pk)
    batch = CopyBatch.objects.create(
        id=uuid.uuid4(), event_id=uuid.uuid4(), provider_id=provider.pk, host="local",
        number=0, payload=b"", created_at=stage.now,
    )  # fmt: skip
    around = Surroundings("local", stage.tick._sessions.source, view, stage.now)
    assert not close_by_itself(row, around)
    assert CopyPosition.objects.get(pk=row.pk).state == "open"
    CopyBatch.objects.filter(pk=batch.pk).update(created_at=stage.now - 2 * SOON_UNFOLDED)
    assert close_by_itself(row, around)
    assert CopyPosition.objects.get(pk=row.pk).state == "closing"
