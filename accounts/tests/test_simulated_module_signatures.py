"""Every argument of every function, as the recorded surface of the package describes them."""

import re
from typing import Any

import numpy as np
import pytest

from accounts.terminals.simulated.surface.arguments import REQUEST_PARAMETERS
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.tests.recorded_surface import KEYWORDS, POSITIONAL_ONLY, recorded_surface
from accounts.tests.recording_link import NO_CONNECTION, RecordingLink, connected

# A value that fits the parameter of that name, by what the signatures call it.
FITTING = {
    "symbol": "EURUSD", "date_from": 0, "date_to": 1, "count": 1, "flags": -1, "timeframe": 1,
    "start_pos": 0, "action": 0, "volume": 0.1, "price": 1.1, "price_open": 1.1,
    "price_close": 1.2, "enable": True, "path": "C:/one", "login": 1001, "password": "first",
    "server": "Sim", "timeout": 1000, "portable": False, "group": "*", "ticket": 1, "position": 1,
}  # fmt: skip
# What the package keeps of a number: the least and the greatest that it takes.
RANGES = {
    "int (unsigned 32)": (0, 2**32 - 1),
    "int (unsigned 64)": (0, 2**64 - 1),
    "int (signed 64)": (-(2**63), 2**63 - 1),
}
ANSWERS = {
    "symbols": [], "history_deals": [], "history_orders": [], "positions": [], "orders": [],
    "market_book": [], "rates": np.zeros(0), "ticks": np.zeros(0), "order_calc_margin": 1.0,
    "order_calc_profit": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    return recorded_surface()


@pytest.fixture
def link() -> RecordingLink:
    link = RecordingLink()
    link.answers |= ANSWERS
    return link


@pytest.fixture
def terminal(link: RecordingLink) -> SimulatedMetaTrader5:
    return connected(link)


def functions(api: dict[str, Any], calling: str) -> dict[str, list[tuple[str, bool]]]:
    """Return the parameters of each function called in a way: name, and whether it has a default.

    A signature of several forms is the sum of their parameters.
    """
    found = {}
    for name, fact in api["functions"].items():
        if not fact["calling"].startswith(calling) or name in ("order_send", "order_check"):
            continue
        listed = ", ".join(re.findall(r"\(([^)]*)\)", fact["signature"]))
        parts = [part.strip() for part in listed.split(",")]
        found[name] = [
            (part.split(":")[0].split("=")[0].strip(), "=" in part)
            for part in parts
            if part and part not in "/*"
        ]
    return found


def wrong(name: str) -> Any:
    return object() if name.startswith("date") else 5 if isinstance(FITTING[name], str) else "five"


def test_positional_functions_count_and_check_each_argument(
    api: dict[str, Any], terminal: SimulatedMetaTrader5
) -> None:
    walked = functions(api, POSITIONAL_ONLY)
    assert len(walked) == 15
    for name, parameters in walked.items():
        call = getattr(terminal, name)
        fitting = [FITTING[parameter] for parameter, _ in parameters]
        call(*fitting)
        assert terminal.last_error()[1] != "Invalid arguments", name
        required = sum(not has_default for _, has_default in parameters)
        attempts = [fitting[: required - 1], [*fitting, 1]]
        for place, (parameter, _) in enumerate(parameters):
            attempts.append([*fitting[:place], wrong(parameter), *fitting[place + 1 :]])
        for arguments in attempts:
            assert call(*arguments) in (None, False), (name, arguments)
            assert terminal.last_error() == (-2, "Invalid arguments"), (name, arguments)


def test_functions_with_keywords_check_each_of_them(
    api: dict[str, Any], terminal: SimulatedMetaTrader5
) -> None:
    walked = functions(api, KEYWORDS)
    assert len(walked) == 7
    for name, parameters in walked.items():
        by_name = {parameter for parameter, _ in parameters} - {"date_from", "date_to"}
        dates = (0, 1) if name.startswith("history") else ()
        for parameter in by_name:
            assert getattr(terminal, name)(*dates, **{parameter: wrong(parameter)}) in (None, False)
            text = f'Invalid "{parameter}" argument'
            assert terminal.last_error() == (-2, text), (name, parameter)


def test_every_function_fails_without_a_session(api: dict[str, Any], link: RecordingLink) -> None:
    module = SimulatedMetaTrader5(link)
    asked = 0
    for name, fact in api["functions"].items():
        if name in ("initialize", "shutdown", "last_error") or fact["calling"] == "python":
            continue
        parameters = {**functions(api, POSITIONAL_ONLY), **functions(api, KEYWORDS)}.get(name, [])
        arguments = (
            [{"action": 1}]
            if name in ("order_send", "order_check")
            else [FITTING[parameter] for parameter, _ in parameters]
            if fact["calling"].startswith(POSITIONAL_ONLY)
            else {"login": [1001]}.get(name, [0, 1] if name.startswith("history") else [])
        )
        failure = False if fact["returns"].startswith("bool") else None
        assert getattr(module, name)(*arguments) is failure, name
        assert module.last_error() == NO_CONNECTION, name
        asked += 1
    assert asked == 29
    assert link.calls == []


def test_a_request_takes_the_fields_of_the_package(api: dict[str, Any]) -> None:
    assert [parameter.name for parameter in REQUEST_PARAMETERS] == api["tuples"]["TradeRequest"]


def test_each_field_of_a_request_has_its_type_and_range(
    api: dict[str, Any], terminal: SimulatedMetaTrader5
) -> None:
    for field, kind in api["tuple_types"]["TradeRequest"].items():
        if kind in RANGES:
            low, high = RANGES[kind]
            fitting: list[Any] = [low, high, True]
            refused: list[Any] = [low - 1, high + 1, 1.0, "1", None, np.int64(1)]
        elif kind == "float":
            fitting, refused = [0.0, np.float64(1.5)], [1, "1.0", None, np.float32(1.5)]
        else:
            fitting, refused = ["", "ü" * 29], ["x" * 30, 5, None, b"x", "\ud800"]
        for value in fitting:
            assert terminal.order_send({field: value}) is not None, (field, value)
        for value in refused:
            for send in (terminal.order_send, terminal.order_check):
                assert send(**{field: value}) is None, (field, value)
                assert terminal.last_error() == (-2, f'Invalid "{field}" argument')


def test_dates_are_kept_in_32_bits_as_the_package_keeps_them(
    terminal: SimulatedMetaTrader5, link: RecordingLink
) -> None:
    for given, kept in ((2**31 - 1, 2**31 - 1), (2**31, -(2**31)), (1.9, 1), (-1, -1)):
        terminal.history_deals_get(given, given)
        assert link.last()[2:4] == (kept, kept)
