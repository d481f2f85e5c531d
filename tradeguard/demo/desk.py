"""The demo desk as data: who trades what, in which groups, under which rules.

Firms and servers are made up. The robots are tuned so that, from a fresh start, Alpha 3 uses up its
daily loss within a few minutes while most other accounts stay calm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from risk.models import RiskRule

Type = RiskRule.Type
Action = RiskRule.Action


@dataclass(frozen=True)
class DemoUser:
    username: str
    time_zone: str
    is_staff: bool = False

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"


@dataclass(frozen=True)
class Firm:
    broker: str
    server: str
    symbol_suffix: str = ""


@dataclass(frozen=True, kw_only=True)
class DemoAccount:
    """`deposit` is what the account holds today; what lacks to `initial` was lost before.

    Without a robot nobody trades it but people and copies.
    """

    name: str
    owner: str
    firm: Firm
    login: int
    initial: int
    deposit: int
    robot: Mapping[str, Any] | None = None
    is_netting: bool = False
    currency: str = "USD"
    leverage: int = 100
    commission_per_lot: float = 3.5
    is_demo: bool = True
    day_reset_zone: str = "America/New_York+7h"
    tags: tuple[str, ...] = ()

    @property
    def initial_balance(self) -> Decimal:
        return Decimal(self.initial)


@dataclass(frozen=True)
class DemoGroup:
    name: str
    owner: str
    description: str
    accounts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DemoRule:
    name: str
    owner: str
    rule_type: str
    limit: Decimal
    parameters: Mapping[str, object] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    is_firm_rule: bool = False
    action: str = RiskRule.Action.ALERT


TRADER = DemoUser("maya", "Europe/Prague")
COLLEAGUE = DemoUser("jonas", "Europe/Berlin")
STAFF = DemoUser("staff", "UTC", is_staff=True)
USERS = (TRADER, COLLEAGUE, STAFF)

CORVANE = Firm("Corvane Funding", "CorvaneFunding-Demo")
HALDEN = Firm("Halden Prime", "HaldenPrime-Server2")
NORTHGATE = Firm("Northgate Markets", "NorthgateMarkets-Live")
KESTREL = Firm("Kestrel Global", "KestrelGlobal-Live2", symbol_suffix=".r")

ACCOUNTS = (
    DemoAccount(
        name="Alpha 1", owner="maya", firm=CORVANE, login=71_204_411, initial=100_000,
        deposit=101_840, robot={"strategy": "trend"}, tags=("challenge",),
    ),
    DemoAccount(
        name="Alpha 2", owner="maya", firm=CORVANE, login=71_204_412, initial=100_000,
        deposit=99_310, robot={"strategy": "reversion"}, tags=("challenge",),
    ),
    # Trades far too often for what each trade costs: the losses come steadily, not by one price.
    DemoAccount(
        name="Alpha 3", owner="maya", firm=CORVANE, login=71_204_413, initial=100_000,
        deposit=98_120, commission_per_lot=15.0, tags=("challenge",),
        robot={"strategy": "scalper", "exposure": 17.0, "pace_bars": 1.0, "max_positions": 3,
               "loss_limit_fraction": 0.07},
    ),
    DemoAccount(
        name="Alpha 4", owner="maya", firm=CORVANE, login=71_204_414, initial=50_000,
        deposit=50_420, robot={"strategy": "holder"}, tags=("funded",),
    ),
    DemoAccount(
        name="Meridian Swing", owner="maya", firm=HALDEN, login=8_830_107, initial=80_000,
        deposit=82_650, currency="EUR", robot={"strategy": "trend", "exposure": 2.0},
        day_reset_zone="Europe/Prague", tags=("funded", "swing"),
    ),
    DemoAccount(
        name="Meridian Grid", owner="maya", firm=HALDEN, login=8_830_108, initial=60_000,
        deposit=58_900, currency="EUR", leverage=30, robot={"strategy": "grid", "exposure": 10.0},
        day_reset_zone="Europe/Prague", tags=("funded",),
    ),
    DemoAccount(
        name="Meridian Scalp", owner="maya", firm=HALDEN, login=8_830_115, initial=25_000,
        deposit=25_310, currency="EUR", robot={"strategy": "scalper", "exposure": 3.0},
        day_reset_zone="Europe/Prague", tags=("own money",),
    ),
    DemoAccount(
        name="Bluewater Macro", owner="maya", firm=NORTHGATE, login=550_231, initial=200_000,
        deposit=204_700, is_demo=False, robot={"strategy": "holder", "exposure": 2.0},
        tags=("own money",),
    ),
    DemoAccount(
        name="Bluewater Breakout", owner="maya", firm=NORTHGATE, login=550_232, initial=150_000,
        deposit=146_200, leverage=20, is_demo=False,
        robot={"strategy": "grid", "exposure": 12.0, "max_positions": 4,
               "symbols": ["EURUSD", "GBPUSD"]},
        tags=("own money",),
    ),
    DemoAccount(
        name="Kestrel Gold", owner="maya", firm=KESTREL, login=3_018_840, initial=40_000,
        deposit=41_260, is_demo=False, tags=("own money",), commission_per_lot=0.0,
        robot={"strategy": "trend", "exposure": 1.2, "symbols": ["XAUUSD", "XAGUSD", "GOLD"]},
    ),
    # One position a symbol: it grows, shrinks and reverses.
    DemoAccount(
        name="Kestrel Index", owner="maya", firm=KESTREL, login=3_018_862, initial=30_000,
        deposit=29_640, is_demo=False, is_netting=True, tags=("own money",),
        commission_per_lot=0.0,
        robot={"strategy": "reversion", "exposure": 0.8,
               "symbols": ["US500", "GER40", "BTCUSD", "EURJPY"]},
    ),
    # One trades, the others copy it: several trades a minute, each of them small.
    DemoAccount(
        name="Lead Signals", owner="maya", firm=NORTHGATE, login=550_260, initial=100_000,
        deposit=101_300, tags=("copying",),
        robot={"strategy": "signals", "exposure": 1.2, "symbols": ["EURUSD", "GBPUSD", "XAUUSD"]},
    ),
    DemoAccount(
        name="Mirror Ratio", owner="maya", firm=HALDEN, login=8_830_131, initial=40_000,
        deposit=40_750, currency="EUR", day_reset_zone="Europe/Prague", tags=("copying",),
    ),
    DemoAccount(
        name="Mirror Fixed", owner="maya", firm=NORTHGATE, login=550_261, initial=20_000,
        deposit=20_180, tags=("copying",),
    ),
    DemoAccount(
        name="Mirror Contra", owner="maya", firm=HALDEN, login=8_830_132, initial=25_000,
        deposit=24_640, tags=("copying",),
    ),
    DemoAccount(
        name="Mirror Netting", owner="maya", firm=KESTREL, login=3_018_871, initial=15_000,
        deposit=15_220, is_netting=True, tags=("copying",),
        commission_per_lot=0.0,
    ),
    DemoAccount(
        name="Nordwind 1", owner="jonas", firm=NORTHGATE, login=551_804, initial=50_000,
        deposit=51_150, currency="EUR", is_demo=False, robot={"strategy": "reversion"},
    ),
    DemoAccount(
        name="Nordwind 2", owner="jonas", firm=NORTHGATE, login=551_805, initial=50_000,
        deposit=49_480, currency="EUR", is_demo=False,
        robot={"strategy": "grid", "exposure": 6.0},
    ),
    DemoAccount(
        name="Nordwind Hedge", owner="jonas", firm=HALDEN, login=8_831_220, initial=30_000,
        deposit=30_240, robot={"strategy": "trend", "exposure": 1.5},
    ),
)  # fmt: skip

GROUPS = (
    DemoGroup(
        "Alpha desk", "maya", "The four challenge accounts at Corvane.",
        ("Alpha 1", "Alpha 2", "Alpha 3", "Alpha 4"),
    ),
    DemoGroup(
        "Funded", "maya", "Everything that pays out: a violated rule ends it.",
        ("Alpha 4", "Meridian Swing", "Meridian Grid"),
    ),
    DemoGroup(
        "Own money", "maya", "No firm's rules, only mine.",
        ("Meridian Scalp", "Bluewater Macro", "Bluewater Breakout", "Kestrel Gold",
         "Kestrel Index"),
    ),
    DemoGroup(
        "Nordwind", "jonas", "Family accounts.", ("Nordwind 1", "Nordwind 2", "Nordwind Hedge")
    ),
)  # fmt: skip

RULES = (
    DemoRule(
        name="Daily loss 5 %", owner="maya", rule_type=Type.MAX_DAILY_LOSS,
        limit=Decimal("0.05"), groups=("Alpha desk",), is_firm_rule=True,
        action=Action.CLOSE_ALL,
        parameters={"reference": "balance", "reset_time": "00:00", "reset_zone": "Europe/Prague"},
    ),
    DemoRule(
        name="Maximum loss 10 %", owner="maya", rule_type=Type.MAX_DRAWDOWN,
        limit=Decimal("0.10"), groups=("Alpha desk", "Funded"), is_firm_rule=True,
        action=Action.CLOSE_ALL,
    ),
    DemoRule(
        name="Profit target 10 %", owner="maya", rule_type=Type.PROFIT_TARGET,
        limit=Decimal("0.10"), groups=("Alpha desk",), is_firm_rule=True,
    ),
    DemoRule(
        name="Four trading days", owner="maya", rule_type=Type.MIN_TRADING_DAYS,
        limit=Decimal(4), groups=("Alpha desk",), is_firm_rule=True,
    ),
    DemoRule(
        name="Risk at most 1.5 % a symbol", owner="maya", rule_type=Type.RISK_PER_TRADE,
        limit=Decimal("0.015"), accounts=("Alpha 1", "Alpha 2"), action=Action.BLOCK,
    ),
    DemoRule(
        name="Trailing 4 %, locks at the start", owner="maya", rule_type=Type.MAX_DRAWDOWN,
        limit=Decimal("0.04"), accounts=("Alpha 4",), is_firm_rule=True,
        parameters={"kind": "trailing_intraday_equity", "lock": "at_initial"},
    ),
    DemoRule(
        name="Daily loss 4 % of the higher", owner="maya", rule_type=Type.MAX_DAILY_LOSS,
        limit=Decimal("0.04"), groups=("Funded",), is_firm_rule=True,
        parameters={"reference": "higher_of_balance_and_equity"},
    ),
    DemoRule(
        name="At most 5 positions", owner="maya", rule_type=Type.POSITION_LIMIT,
        limit=Decimal(5), accounts=("Meridian Grid", "Bluewater Breakout"),
        parameters={"hold_seconds": 20},
    ),
    DemoRule(
        name="At most 400 trades a day", owner="maya", rule_type=Type.MAX_DAILY_TRADES,
        limit=Decimal(400), accounts=("Meridian Scalp",), action=Action.BLOCK,
    ),
    DemoRule(
        name="Exposure to one currency", owner="maya", rule_type=Type.MAX_EXPOSURE,
        limit=Decimal(15), groups=("Own money",), action=Action.BLOCK,
        parameters={"exposure_of": "currency", "hold_seconds": 20},
    ),
    DemoRule(
        name="Leverage below 15", owner="maya", rule_type=Type.MAX_LEVERAGE,
        limit=Decimal(15), groups=("Funded", "Own money"), parameters={"hold_seconds": 20},
    ),
    DemoRule(
        name="Margin level above 150 %", owner="maya", rule_type=Type.MARGIN_LEVEL,
        limit=Decimal(150), groups=("Own money",), parameters={"hold_seconds": 20},
    ),
    DemoRule(
        name="At most 17 lots a symbol", owner="maya", rule_type=Type.MAX_POSITION_SIZE,
        limit=Decimal(17), accounts=("Bluewater Macro", "Bluewater Breakout"),
    ),
    DemoRule(
        name="Daily loss 1,500", owner="jonas", rule_type=Type.MAX_DAILY_LOSS,
        limit=Decimal(1_500), groups=("Nordwind",),
        parameters={"amount_kind": "money", "reference": "equity"},
    ),
    DemoRule(
        name="Margin level above 300 %", owner="jonas", rule_type=Type.MARGIN_LEVEL,
        limit=Decimal(300), groups=("Nordwind",),
    ),
)  # fmt: skip
