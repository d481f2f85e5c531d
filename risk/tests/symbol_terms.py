"""Terms of symbols as a broker would tell them."""

from typing import Any

from accounts.symbol_terms import SymbolTerms


def eurusd(**changes: Any) -> SymbolTerms:
    """Return EURUSD of an account in USD: 1 lot is 100,000, 1 point is 0.00001."""
    told: dict[str, Any] = {
        "name": "EURUSD",
        "digits": 5,
        "point": 0.00001,
        "contract_size": 100_000.0,
        "tick_size": 0.00001,
        "tick_value": 1.0,
        "tick_value_profit": 1.0,
        "tick_value_loss": 1.0,
        "volume_min": 0.01,
        "volume_max": 50.0,
        "volume_step": 0.01,
        "volume_limit": 0.0,
        "filling_mode": 3,
        "expiration_mode": 15,
        "order_mode": 127,
        "execution_mode": 2,
        "trade_mode": 4,
        "stops_level": 0,
        "freeze_level": 0,
        "margin_initial": 0.0,
        "margin_hedged": 100_000.0,
        "margin_hedged_use_leg": False,
        "calc_mode": 0,
        "currency_base": "EUR",
        "currency_profit": "USD",
        "currency_margin": "EUR",
        "bid": 1.08772,
        "ask": 1.08774,
    }
    return SymbolTerms(**{**told, **changes})
