"""The scenarios: for each action one story, from the first tick to its end.

All accounts hold shares that only the script moves: a fall by one dollar costs one dollar a share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.utils import timezone

from risk.models import Enforcement, Order, RiskRule, RuleBreach
from risk.services.orders import await_outcome, close_position, place_order
from risk.services.panic import close_all
from tradeguard.scenarios.copying import play_cascade, play_copy
from tradeguard.scenarios.stage import SYMBOL, HouseRule, Part, Stage

Type, Action = RiskRule.Type, RiskRule.Action
Run = Enforcement.Action


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A story: who is in it, under which rules, and what happens."""

    name: str
    title: str
    story: str
    parts: Sequence[Part]
    rules: Sequence[HouseRule] = ()
    play: Callable[[Stage], None]


def _daily_loss_cascade(stage: Stage) -> None:
    for name, lots in (("Fast", 1_000), ("Steady", 800), ("Calm", 500)):
        stage.buy_by_hand(name, lots)
    stage.pause(2)
    stage.move_price(to=257.90)
    for name in ("Fast", "Steady", "Calm"):
        stage.await_breach(name)
        stage.await_flat(name)
        stage.expect_locked(name)


def _safety_margin(stage: Stage) -> None:
    stage.buy_by_hand("Careful", 1_000)
    stage.pause(1)
    stage.move_price(to=264.00)
    stage.move_price(to=263.50, step=0.10)
    stage.await_flat("Careful")
    breach = RuleBreach.objects.get(account_id=stage.accounts["Careful"].pk)
    stage.expect("the limit itself was never reached", breach.violated_at is None)


def _margin_cutoff(stage: Stage) -> None:
    stage.arm_cutoff()
    stage.buy_by_hand("Stretched", 180)
    stage.pause(1)
    stage.move_price(to=220.40, step=4.0)
    stage.move_price(to=216.40)
    stage.await_breach("Stretched")
    stage.await_flat("Stretched")
    stage.expect_locked("Stretched")


def _size_reduced(stage: Stage) -> None:
    stage.buy_by_hand("Eager", 300)
    stage.pause(1)
    stage.buy_by_hand("Eager", 400)
    stage.await_breach("Eager")
    stage.await_done("Eager", Run.REDUCE_SIZE)
    stage.expect("500 lots are left", stage.lots("Eager") == 500)
    order = _order(stage, "Eager", 100)
    stage.expect(f"no further order passes: {order.message}", order.state == Order.State.REJECTED)


def _order_reduced(stage: Stage) -> None:
    order = _order(stage, "Eager", 800)
    stage.expect("the order for 800 lots became one for 500", order.volume == Decimal(500))
    stage.expect("it is filled", order.state == Order.State.FILLED)


def _stop_loss_required(stage: Stage) -> None:
    stage.buy_by_hand("Hasty", 100, stop_loss=262.40)
    stage.buy_by_hand("Hasty", 200)
    stage.await_done("Hasty", Run.CLOSE_POSITION)
    stage.expect("the position with a stop loss is left", stage.lots("Hasty") == 100)
    stage.expect("the account is not locked", not stage.is_locked("Hasty"))


def _orders_blocked(stage: Stage) -> None:
    ticket = stage.buy_by_hand("Stubborn", 600)
    stage.pause(1)
    stage.move_price(to=259.90)
    stage.await_breach("Stubborn")
    order = _order(stage, "Stubborn", 10)
    stage.expect(f"the order is blocked: {order.message}", order.state == Order.State.REJECTED)
    now = timezone.now()
    account = stage.accounts["Stubborn"]
    closing = close_position(account=account, user=stage.user, ticket=ticket, now=now)
    closing = await_outcome(closing, timeout_seconds=5.0)
    stage.expect("closing is always allowed", closing.state == Order.State.FILLED)


def _alert_only(stage: Stage) -> None:
    stage.buy_by_hand("Watched", 600)
    stage.pause(1)
    stage.move_price(to=259.90)
    stage.await_breach("Watched")
    stage.pause(2)
    stage.expect("nothing was closed", stage.lots("Watched") == 600)


def _closed_market(stage: Stage) -> None:
    stage.buy_by_hand("Patient", 1_000)
    stage.pause(1)
    stage.open_market(False)
    stage.move_price(to=262.90, step=1.0)
    stage.await_breach("Patient")
    runs = Enforcement.objects.filter(account_id=stage.accounts["Patient"].pk)
    stage.await_(
        "closing waits for the market", runs.filter(stage=Enforcement.Stage.WAITING).exists
    )
    stage.pause(2)
    stage.open_market(True)
    stage.await_flat("Patient")


def _opened_while_locked(stage: Stage) -> None:
    stage.buy_by_hand("Defiant", 100)
    stage.pause(1)
    account, now = stage.accounts["Defiant"], timezone.now()
    close_all(accounts=[account], actor=stage.user, reason="The scenario's panic button", now=now)
    stage.await_flat("Defiant")
    stage.buy_by_hand("Defiant", 50)
    stage.await_("what was opened while locked is closed", lambda: stage.lots("Defiant") == 0)
    stage.expect_locked("Defiant")


def _order(stage: Stage, name: str, lots: int) -> Order:
    """Send an order to buy through TradeGuard, with a stop loss, and wait for its outcome."""
    order = place_order(
        account=stage.accounts[name],
        user=stage.user,
        origin=Order.Origin.TICKET,
        symbol=SYMBOL,
        direction="buy",
        volume=Decimal(lots),
        stop_loss=250.0,
        now=timezone.now(),
    )
    order = await_outcome(order, timeout_seconds=5.0)
    stage.timeline.look()
    return order


def _daily_loss(action: RiskRule.Action) -> HouseRule:
    return HouseRule(
        name="Daily loss 5 %", rule_type=Type.MAX_DAILY_LOSS, limit="0.05", action=action
    )


_SIZE_LIMIT = HouseRule(
    name="At most 500 shares",
    rule_type=Type.MAX_POSITION_SIZE,
    limit="500",
    action=Action.REDUCE_SIZE,
    parameters={"hold_seconds": 5},
)

SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="daily_loss_cascade",
            title="Daily loss cascade",
            story="A falling price takes three accounts over their daily loss, one after another.",
            parts=(Part(name="Fast"), Part(name="Steady"), Part(name="Calm")),
            rules=(_daily_loss(Action.CLOSE_ALL),),
            play=_daily_loss_cascade,
        ),
        Scenario(
            name="safety_margin",
            title="Safety margin",
            story="A rule that acts at 97 % of its limit closes before the limit is reached.",
            parts=(Part(name="Careful"),),
            rules=(
                HouseRule(
                    name="Daily loss 5 %, acting at 97 %",
                    rule_type=Type.MAX_DAILY_LOSS,
                    limit="0.05",
                    action=Action.CLOSE_ALL,
                    act_at_fraction="0.97",
                ),
            ),
            play=_safety_margin,
        ),
        Scenario(
            name="margin_cutoff",
            title="Margin cut-off",
            story="The margin runs out: a warning at 50 %, liquidation at 10 %.",
            parts=(Part(name="Stretched", deposit=10_000.0),),
            play=_margin_cutoff,
        ),
        Scenario(
            name="size_reduced",
            title="Size reduced",
            story="Too much is bought in the terminal: the excess is closed, newest first.",
            parts=(Part(name="Eager"),),
            rules=(_SIZE_LIMIT,),
            play=_size_reduced,
        ),
        Scenario(
            name="order_reduced",
            title="Order reduced",
            story="An order that is too large passes with the largest size that is allowed.",
            parts=(Part(name="Eager", deposit=500_000.0),),
            rules=(_SIZE_LIMIT,),
            play=_order_reduced,
        ),
        Scenario(
            name="stop_loss_required",
            title="Stop loss required",
            story="Of two positions the one without a stop loss is closed.",
            parts=(Part(name="Hasty"),),
            rules=(
                HouseRule(
                    name="A stop loss within 3 seconds",
                    rule_type=Type.STOP_LOSS_REQUIRED,
                    limit="0.05",
                    action=Action.CLOSE_POSITION,
                    parameters={"hold_seconds": 5},
                ),
            ),
            play=_stop_loss_required,
        ),
        Scenario(
            name="orders_blocked",
            title="Orders blocked",
            story="After a violation nothing can be opened through TradeGuard, and all closed.",
            parts=(Part(name="Stubborn"),),
            rules=(_daily_loss(Action.BLOCK),),
            play=_orders_blocked,
        ),
        Scenario(
            name="alert_only",
            title="Alert only",
            story="A violated rule that only alerts leaves everything as it is.",
            parts=(Part(name="Watched"),),
            rules=(_daily_loss(Action.ALERT),),
            play=_alert_only,
        ),
        Scenario(
            name="closed_market",
            title="Closed market",
            story="The market is closed when the rule is violated: closing waits until it opens.",
            parts=(Part(name="Patient"),),
            rules=(_daily_loss(Action.CLOSE_ALL),),
            play=_closed_market,
        ),
        Scenario(
            name="opened_while_locked",
            title="Opened while locked",
            story="After the panic button a position is opened in the terminal, and closed again.",
            parts=(Part(name="Defiant"),),
            play=_opened_while_locked,
        ),
        Scenario(
            name="copy",
            title="Copying",
            story="Three followers copy a trade by their equity; one of them is too small for it.",
            parts=(
                Part(name="Lead"),
                Part(name="Equal"),
                Part(name="Half", deposit=50_000.0),
                Part(name="Tiny", deposit=500.0),
            ),
            play=play_copy,
        ),
        Scenario(
            name="cascade",
            title="Cascade",
            story="A provider is liquidated and takes its followers with it.",
            parts=(
                Part(name="Lead", deposit=10_000.0),
                Part(name="Careful"),
                Part(name="Loyal"),
            ),
            play=play_cascade,
        ),
    )
}
