"""How the pages write the numbers of every unit."""

import pytest

from risk.core.rule_names import UNITS
from risk.core.rule_types import RuleType
from risk.presentation.cells import (
    COUNTED,
    RULE_NAMES,
    bar_cell,
    left_amount,
    limit_amount,
    used_amount,
    words_of,
)


@pytest.mark.parametrize(
    ("value", "unit", "limit", "used"),
    [
        (2.5, "lots", "2.5 lots", "2.5 lots"),
        (700, "lots", "700 lots", "700 lots"),
        (0, "lots", "0 lots", "0 lots"),
        (1, "lots", "1 lot", "1 lot"),
        (0.1, "minutes", "6 seconds", "6 seconds"),
        (1, "minutes", "1 minute", "1 minute"),
        (3, "positions", "3 positions", "3 positions"),
        (1, "trades", "1 trade", "1 trade"),
        (0.8, "coefficient", "0.80", "0.80"),
        (0.5, "share", "50.0 %", "50.0 %"),
        (2.04, "minutes", "2 minutes", "2.1 minutes"),
        (119.9, "minutes", "119.9 minutes", "119.9 minutes"),
        (754.9, "minutes", "12 h 34 min", "12 h 34 min"),
        (1440, "minutes", "1 d", "1 d"),
        (30, "days", "30 days", "30 days"),
        (1, "days", "1 day", "1 day"),
        (2.41, "days", "2.4 days", "2.5 days"),
        (12.5, "x", "12.50×", "12.50×"),
        (1234.5, "USD", "1,234.50 USD", "1,234.50 USD"),
    ],
)
def test_it_writes_every_unit(value: float, unit: str, limit: str, used: str) -> None:
    assert (limit_amount(value, unit), used_amount(value, unit)) == (limit, used)


def test_it_rounds_what_is_left_down() -> None:
    assert left_amount(2.09, "minutes") == "2 minutes"
    assert left_amount(-754.9, "minutes") == "−12 h 34 min"


def test_it_knows_every_type_and_unit() -> None:
    assert set(RULE_NAMES) == {kind.value for kind in RuleType}
    assert set(UNITS.values()) <= COUNTED


def test_it_says_how_far_a_target_is_and_when_it_is_reached() -> None:
    target = {"limit": 1000.0, "unit": "USD", "status": "safe", "rule_type": "PROFIT_TARGET"}
    near = {**target, "buffer": 0.25, "left": 250.0}
    assert bar_cell("x", near).texts == ("25 % to go", "250.00 USD")
    assert bar_cell("x", near, is_compact=True).texts == ("25 % to go", "250.00")
    assert bar_cell("x", {**target, "buffer": 0.0, "left": 0.0}).texts == ("reached", "")
    assert words_of("PROFIT_TARGET").limit == "Target"
    assert words_of("MAX_DAILY_LOSS").limit == "Limit"


def test_it_says_in_the_window_and_no_percent() -> None:
    numbers = {"buffer": -25.0, "left": -754.9, "limit": 30.0, "unit": "minutes"}
    window = {**numbers, "status": "violated", "rule_type": "TRADING_WINDOW"}
    assert bar_cell("x", window).texts == ("in the window", "12 h 34 min")
    stop = {**numbers, "status": "violated", "rule_type": "STOP_LOSS_REQUIRED"}
    assert bar_cell("x", stop).texts[0] == "2,500 % over"
