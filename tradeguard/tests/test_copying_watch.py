"""Whom a host watches as relationships come and go."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from accounts.models import User
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship
from copytrade.watching.watch import ProviderWatch
from copytrade.watching.watched import Watched
from tradeguard.tests.copying_stage import follows, held
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def reads(stage: Stage, ticks: int) -> list[list[int]]:
    """Return which logins the watch asks for in so many ticks."""
    asked: list[list[int]] = []
    read = ProviderWatch._read

    def noted(watch: ProviderWatch, watched: Sequence[Watched]) -> Any:
        asked.append([each.provider.login for each in watched])
        return read(watch, watched)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProviderWatch, "_read", noted)
        stage.run(ticks)
    return asked


def test_a_provider_is_read_within_a_second_and_no_longer_than_it_is_copied(
    stage: Stage, alice: User
) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    stage.run(8)
    assert reads(stage, 3) == []

    row = follows(provider, follower)
    CopyRelationship.objects.filter(pk=row.pk).update(started_at=stage.now)
    assert reads(stage, 6)[-1] == [provider.login]

    stage.buy(provider, 1.0)
    stage.run(2)
    assert [len(each) for each in held(stage, [follower])] == [1]

    CopyRelationship.objects.filter(pk=row.pk).update(state="terminated")
    stage.run(6)
    assert reads(stage, 3) == []
    stage.buy(provider, 1.0)
    stage.run(6)
    assert CopyEvent.objects.count() == CopyOrder.objects.count() == 1


def test_what_a_provider_held_when_copying_began_is_copied_by_nobody(
    stage: Stage, alice: User
) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    stage.run(5)
    ticket = stage.buy(provider, 1.0)
    stage.run(5)
    row = follows(provider, follower)
    CopyRelationship.objects.filter(pk=row.pk).update(started_at=stage.now)
    stage.run(10)
    assert not CopyEvent.objects.exists()

    request = {
        "action": 1, "symbol": "EURUSD", "volume": 0.4, "type": 1, "type_filling": 1,
        "position": ticket,
    }  # fmt: skip
    assert stage.server.call("order_send", provider.login, request)[0] == 10009
    stage.run(10)

    assert held(stage, [follower]) == [[]]
    assert [row.state for row in CopyOrder.objects.all()] in ([], ["skipped"])
