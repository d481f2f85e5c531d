"""Open ledgers hear of a copied trade: when it is planned, and when its copies have ended."""

from uuid import UUID

import pytest

from accounts.tests.factories import make_user
from copytrade.keeping import outcomes, plain
from copytrade.models import CopyOrder
from copytrade.replication import desk
from tradeguard.tests.copying_stage import follows
from tradeguard.tests.enforcement_stage import trade
from tradeguard.tests.stage import staged

pytestmark = pytest.mark.django_db(transaction=True)


def test_open_ledgers_hear_of_a_copied_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[UUID] = []
    ended: list[UUID] = []
    with staged() as stage:
        owner = make_user()
        provider, follower = stage.open(owner, "Lead"), stage.open(owner, "Second")
        follows(provider, follower)
        follows(stage.open(owner, "Idle"), follower)
        stage.run(3)
        monkeypatch.setattr(desk, "ring_ledgers", planned.extend)
        for module in (plain, outcomes):
            monkeypatch.setattr(module, "ring_ledgers", ended.extend)
        trade(stage, provider, 1.0)
        stage.run(10)
    assert CopyOrder.objects.get().state == CopyOrder.State.DONE
    assert planned == ended == [provider.pk]
