import json
from enum import IntEnum
from pathlib import Path

import pytest

from accounts.core.kinds import (
    DealEntry,
    DealReason,
    DealType,
    MarginMode,
    OrderType,
    StopOutMode,
    TradeMode,
    words,
)

API = Path(__file__).parents[3] / "shared" / "mt5_api.json"
PREFIXES: dict[type[IntEnum], str] = {
    TradeMode: "ACCOUNT_TRADE_MODE",
    StopOutMode: "ACCOUNT_STOPOUT_MODE",
    OrderType: "ORDER_TYPE",
    DealEntry: "DEAL_ENTRY",
    DealReason: "DEAL_REASON",
}


def constants() -> dict[str, int]:
    if not API.exists():
        pytest.skip("needs mt5_api.json, the description of the package")
    told: dict[str, int] = json.loads(API.read_text())["constants"]
    return told


@pytest.mark.parametrize("kind", PREFIXES)
def test_its_names_and_numbers_are_those_of_the_package(kind: type[IntEnum]) -> None:
    prefix = f"{PREFIXES[kind]}_"
    told = {name: number for name, number in constants().items() if name.startswith(prefix)}
    assert {f"{prefix}{each.name}": each.value for each in kind} == told


def test_three_kinds_of_deals_carry_no_type_in_their_names() -> None:
    told = constants()
    for each in DealType:
        name = f"DEAL_TYPE_{each.name}" if each < DealType.DIVIDEND else f"DEAL_{each.name}"
        assert told[name] == each.value
    assert sum(name.startswith("DEAL_TYPE_") for name in told) == DealType.DIVIDEND


def test_margin_modes_are_named_for_what_positions_do() -> None:
    told = constants()
    assert told["ACCOUNT_MARGIN_MODE_RETAIL_NETTING"] == MarginMode.NETTING
    assert told["ACCOUNT_MARGIN_MODE_EXCHANGE"] == MarginMode.EXCHANGE
    assert told["ACCOUNT_MARGIN_MODE_RETAIL_HEDGING"] == MarginMode.HEDGING


def test_programs_are_told_words() -> None:
    assert words(StopOutMode) == {0: "percent", 1: "money"}
    assert words(OrderType)[6] == "buy_stop_limit"
