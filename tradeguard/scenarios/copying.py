"""What the copying scenarios play: three followers of a provider, and two that fall with one."""

from decimal import Decimal
from typing import Unpack

from django.utils import timezone

from copytrade.cascade.story import cascade_stories
from copytrade.models import CopyOrder
from copytrade.services.relationships import offer_relationship
from copytrade.terms import TermChanges
from risk.models import Enforcement
from tradeguard.scenarios.stage import Stage


def play_copy(stage: Stage) -> None:
    for name in ("Equal", "Half", "Tiny"):
        _follow(stage, "Lead", name, sizing="equity_ratio")
    stage.pause(2)
    ticket = stage.buy_by_hand("Lead", 100)
    _await_lots(stage, Equal=100, Half=50)
    skipped = CopyOrder.objects.filter(
        follower_id=stage.accounts["Tiny"].pk, state=CopyOrder.State.SKIPPED
    )
    stage.await_("the smallest account copies nothing of it", skipped.exists)
    stage.timeline.say(f"because: {skipped[0].sentence}")
    stage.pause(1)
    stage.close_by_hand("Lead", ticket, 40)
    _await_lots(stage, Lead=60, Equal=60, Half=30)
    stage.close_by_hand("Lead", ticket, 60)
    _await_lots(stage, Lead=0, Equal=0, Half=0)


def play_cascade(stage: Stage) -> None:
    stage.arm_cutoff()
    _follow(stage, "Lead", "Careful", sizing="multiplier", multiplier=Decimal("0.5"))
    _follow(stage, "Lead", "Loyal", sizing="multiplier", cascade_scope="everything")
    for name in ("Careful", "Loyal"):
        stage.buy_by_hand(name, 20)
    stage.pause(2)
    stage.buy_by_hand("Lead", 180)
    _await_lots(stage, Careful=20 + 90, Loyal=20 + 180)
    stage.move_price(to=220.40, step=4.0)
    stage.move_price(to=216.40)
    stage.await_breach("Lead")
    stage.await_flat("Lead")
    _await_lots(stage, Careful=20, Loyal=0)
    runs = Enforcement.objects.filter(
        cause=Enforcement.Cause.CASCADE,
        account_id__in=[stage.accounts[name].pk for name in ("Careful", "Loyal")],
    )
    stage.await_(
        "both followers are confirmed",
        lambda: runs.exclude(confirmed_at=None).count() == 2,
    )
    (story,) = cascade_stories(stage.user, provider_id=stage.accounts["Lead"].pk)
    stage.timeline.say(f"{story.reason} {story.positions_closed} positions closed with it")
    stage.expect("nobody is locked but the provider", not stage.is_locked("Loyal"))


def _follow(stage: Stage, provider: str, follower: str, **terms: Unpack[TermChanges]) -> None:
    offer_relationship(
        actor=stage.user,
        provider=stage.accounts[provider],
        follower=stage.accounts[follower],
        now=timezone.now(),
        **terms,
    )
    names = stage.accounts[follower].name, stage.accounts[provider].name
    stage.timeline.say("{} copies {}".format(*names))


def _await_lots(stage: Stage, **lots: float) -> None:
    held = ", ".join(f"{name} {each:g}" for name, each in lots.items())
    stage.await_(
        f"lots: {held}", lambda: all(stage.lots(name) == each for name, each in lots.items())
    )
