"""What the stops of many copies close at once is one message to their owner."""

from collections.abc import Iterator

import pytest

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import make_user
from copytrade.models import CopyPosition
from notifications.models import Notification
from tradeguard.tests.copying_stage import crowd, follows
from tradeguard.tests.enforcement_stage import trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def owner(db: None) -> User:
    return make_user()


def stopped_out(stage: Stage, provider: ConnectedAccount) -> None:
    """Let the provider open with a stop loss that its followers copy, and the price reach it."""
    stage.run(3)
    trade(stage, provider, 0.2, sl=1.09900)
    stage.run(16)
    assert CopyPosition.objects.filter(state="open").exists()
    Notification.objects.all().delete()
    stage.server.set_prices("EURUSD", 1.09790, 1.09792)
    stage.server.step()
    stage.run(16)
    assert not CopyPosition.objects.filter(state__in=CopyPosition.HELD).exists()


def updates(user: User) -> list[Notification]:
    return list(Notification.objects.filter(user=user, type="position_update").order_by("title"))


def test_stops_of_many_copies_are_one_message(stage: Stage, owner: User) -> None:
    other = make_user("other")
    provider = stage.open(owner, "Provider")
    for each in crowd(stage, owner, 12):
        follows(provider, each)
    follows(provider, stage.open(other, "Theirs"))
    stopped_out(stage, provider)
    together, own = updates(owner)
    assert together.title.startswith("Copies of EURUSD closed by their stop loss on 12 accounts, −")
    assert together.title.endswith(" USD")
    assert together.priority == "medium"
    lines = together.body.splitlines()
    assert len(lines) == 11
    assert "0.2 lots of EURUSD closed by its stop loss at 1.0979" in lines[0]
    assert lines[-1] == "and 2 more."
    assert own.title.startswith("Provider: 0.2 lots of EURUSD closed by its stop loss at ")
    (theirs,) = updates(other)
    assert theirs.title.startswith("Theirs: 0.2 lots of EURUSD closed by its stop loss at ")


def test_a_copy_that_falls_alone_is_told_as_ever(stage: Stage, owner: User) -> None:
    provider = stage.open(owner, "Provider")
    follows(provider, crowd(stage, owner, 1)[0])
    stopped_out(stage, provider)
    assert [each.title.split(":")[0] for each in updates(owner)] == ["Follower 0", "Provider"]


def test_what_no_copy_opened_is_told_account_by_account(stage: Stage, owner: User) -> None:
    accounts = [stage.open(owner, name) for name in ("One", "Two")]
    stage.run(3)
    for each in accounts:
        trade(stage, each, 0.2, sl=1.09900)
    stage.run(4)
    Notification.objects.all().delete()
    stage.server.set_prices("EURUSD", 1.09790, 1.09792)
    stage.server.step()
    stage.run(4)
    assert [each.title.split(":")[0] for each in updates(owner)] == ["One", "Two"]
