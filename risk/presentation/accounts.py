"""The parts of the page of one account."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.figures import UNKNOWN, amount, price, signed, until
from accounts.screen.cells import age_cell, connection_cell
from accounts.screen.parts import Cell, Part, cells_of, short
from risk.core.figures import left_text
from risk.presentation.cells import (
    RULE_NAMES,
    RiskObject,
    bar_cell,
    by_importance,
    left_amount,
    limit_amount,
    shown_status,
    spent_amount,
    status_cell,
    words_of,
)
from risk.presentation.groups import part_key
from risk.presentation.headlines import account_headline, is_stale, own_sentence, page_title

_MODE_WORDS = {
    "netting": "netting: one position a symbol",
    "exchange": "exchange: one position a symbol",
    "hedging": "hedging",
}


def account_parts(risk: RiskObject, *, now: datetime) -> list[Part]:
    """Return the parts of the account page."""
    risk = {**risk, "status": shown_status(risk), "rules": by_importance(risk["rules"])}
    return [
        _title_part(risk),
        _banner_part(risk),
        _figures_part(risk),
        _rules_part(risk, now),
        _positions_part(risk),
    ]


def account_status(risk: RiskObject) -> Cell:
    """Return how safe an account is, for its row in the list of accounts."""
    return status_cell(f"a{short(risk['account_id'])}-status", shown_status(risk))


def _title_part(risk: RiskObject) -> Part:
    title = Cell("page-title", (page_title(risk["status"], risk["name"]),), risk["status"])
    return Part("live-title", "risk/parts/title.html", "title", {"title": title}, (title,))


def _banner_part(risk: RiskObject) -> Part:
    headline = account_headline(risk)
    context = {
        "status": risk["status"],
        "headline": headline,
        "is_watching_only": risk.get("is_watching_only"),
    }
    key = part_key(risk["status"], headline, risk.get("is_watching_only"))
    return Part("live-banner", "risk/parts/banner.html", key, context)


def _figures_part(risk: RiskObject) -> Part:
    currency = str(risk.get("currency") or "")
    level = risk.get("margin_level")
    leverage = risk.get("leverage")
    figures = [
        ("Equity", Cell("f-equity", (amount(risk.get("equity")),)), currency),
        ("Balance", Cell("f-balance", (amount(risk.get("balance")),)), currency),
        ("Floating", _result_cell("f-profit", risk.get("profit")), currency),
        ("Margin", Cell("f-margin", (amount(risk.get("margin")),)), currency),
        ("Free margin", Cell("f-free", (amount(risk.get("margin_free")),)), currency),
        ("Margin level", Cell("f-level", (f"{left_text(level, 0)} %" if level else UNKNOWN,)), ""),
        ("Leverage", Cell("f-leverage", (f"1:{leverage}" if leverage else UNKNOWN,)), ""),
        ("Credit", Cell("f-credit", (amount(risk.get("credit")),)), currency),
    ]
    context = {
        "figures": figures,
        "frame": Cell("f-frame", (), "stale" if is_stale(risk) else "live"),
        "connection": connection_cell(
            "f-link", risk["connection"]["state"], age_seconds=risk.get("reading_age_seconds")
        ),
        "age": age_cell("f-age", risk.get("reading_age_seconds")),
    }
    return Part(
        "account-figures",
        "risk/parts/figures.html",
        part_key(currency),
        context,
        cells_of(context.values()),
    )


def _rules_part(risk: RiskObject, now: datetime) -> Part:
    rows = [_rule_row(rule, risk, now) for rule in risk["rules"]]
    key = part_key(*((row["id"], row["name"], row["marks"]) for row in rows))
    return Part(
        "account-rules", "risk/parts/account_rules.html", key, {"rules": rows}, cells_of(rows)
    )


def _rule_row(rule: RiskObject, risk: RiskObject, now: datetime) -> dict[str, Any]:
    account_id, name = risk["account_id"], risk["name"]
    id_, unit = f"r{short(rule['rule_id'])}", str(rule.get("unit") or "")
    reset_at = parse_datetime(rule["reset_at"]) if rule.get("reset_at") else None
    return {
        "id": rule["rule_id"],
        "account_id": account_id,
        "name": rule.get("name") or RULE_NAMES.get(rule["rule_type"], ""),
        "type": RULE_NAMES.get(rule["rule_type"], rule["rule_type"]),
        "is_acknowledged": rule.get("acknowledged"),
        "may_acknowledge": rule.get("latched") and not rule.get("acknowledged"),
        "marks": (
            rule.get("latched"),
            rule.get("acknowledged"),
            rule.get("floor") is not None,
            rule.get("reset_at"),
        ),
        "is_level": unit == "%",
        "words": words_of(rule["rule_type"]),
        "has_floor": rule.get("floor") is not None,
        "reset": _reset_sentence(reset_at),
        "until": Cell(f"{id_}-until", (until(reset_at, now) if reset_at else "",)),
        "frame": Cell(f"{id_}-frame", (), rule["status"]),
        "status": status_cell(f"{id_}-status", rule["status"]),
        "bar": bar_cell(f"{id_}-bar", rule),
        "sentence": Cell(f"{id_}-say", (own_sentence(rule.get("message") or "", name),)),
        "used": Cell(f"{id_}-used", (spent_amount(rule.get("used"), unit),)),
        "left": Cell(f"{id_}-left", (left_amount(rule.get("left"), unit),)),
        "limit": Cell(f"{id_}-limit", (limit_amount(rule.get("limit"), unit),)),
        "floor": Cell(f"{id_}-floor", (limit_amount(rule.get("floor"), unit),)),
    }


def _reset_sentence(reset_at: datetime | None) -> str:
    return f"{timezone.localtime(reset_at):%a %H:%M}" if reset_at else ""


def _positions_part(risk: RiskObject) -> Part:
    positions: Sequence[RiskObject] = risk.get("positions") or ()
    rows = [_position_row(position) for position in positions]
    key = part_key(*(row["structure"] for row in rows))
    context = {
        "account_id": risk["account_id"],
        "is_watching_only": bool(risk.get("is_watching_only")),
        "positions": rows,
        "currency": risk.get("currency"),
        "mode": _MODE_WORDS.get(risk.get("margin_mode") or "", ""),
        "is_known": risk.get("positions") is not None and risk.get("equity") is not None,
        "total": _result_cell("p-total", risk.get("profit"), is_old=is_stale(risk)),
        "frame": Cell("p-frame", (), "stale" if is_stale(risk) else "live"),
    }
    names = ("is_known", "currency", "mode", "is_watching_only")
    key = part_key(key, *(context[name] for name in names))
    return Part(
        "account-positions",
        "risk/parts/positions.html",
        key,
        context,
        cells_of(context.values()),
    )


def _position_row(position: RiskObject) -> dict[str, Any]:
    id_, digits = f"p{position['ticket']}", position["price_digits"]
    fixed = {
        "ticket": position["ticket"],
        "symbol": position["symbol"],
        "side": position["side"],
        "volume": amount(position["volume"]),
        "price_open": price(position["price_open"], digits),
        "stop_loss": price(position.get("sl"), digits),
        "take_profit": price(position.get("tp"), digits),
        "opened": _broker_moment(position.get("opened_at_broker")),
    }
    return {
        **fixed,
        "structure": tuple(fixed.values()),
        "price": Cell(f"{id_}-price", (price(position.get("price_current"), digits),)),
        "swap": Cell(f"{id_}-swap", (signed(position.get("swap")),)),
        "profit": _result_cell(f"{id_}-profit", position.get("profit")),
    }


def _broker_moment(text: str | None) -> str:
    """Write a moment of the broker's wall clock; it belongs to no zone that we could convert."""
    moment = parse_datetime(text) if text else None
    return f"{moment:%d %b %H:%M}" if moment else UNKNOWN


def _result_cell(id_: str, value: float | None, *, is_old: bool = False) -> Cell:
    sign = "none" if not value or is_old else "gain" if value > 0 else "loss"
    return Cell(id_, (signed(value),), sign)
