"""What a full collection of garbage still looks at once a host is under way."""

import gc
from collections.abc import Iterator

import pytest

from accounts.tests.factories import make_user
from risk.models import RiskRule
from tradeguard.tests.stage import Stage, daily_loss, staged
from tradeguard.tick.runner import SETTLING_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        stage.is_acting = False
        yield stage


def keeps_from_the_collector(stage: Stage) -> bool:
    """Run a tick; tell whether something made right before it is looked at no more."""
    made = [object()]
    stage.run()
    return not any(each is made for each in gc.get_objects())


def test_it_leaves_alone_what_came_while_a_desk_settled(stage: Stage) -> None:
    alice = make_user()
    stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(2)
    assert not keeps_from_the_collector(stage)
    stage.run(seconds=SETTLING_SECONDS - 1)
    stage.run(2, seconds=1.0)
    assert not keeps_from_the_collector(stage)  # only once for a desk
    RiskRule.objects.get(name="Daily loss").save(update_fields=["updated_at"])
    stage.run(2, seconds=1.0)
    stage.run(seconds=SETTLING_SECONDS - 1.5)
    assert not keeps_from_the_collector(stage)
    stage.clock[0] += 1.0
    assert keeps_from_the_collector(stage)
