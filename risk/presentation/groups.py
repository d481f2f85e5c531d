"""The parts of the group page and of the cards in the list of groups."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from accounts.figures import UNKNOWN, amount
from accounts.screen.cells import age_cell, connection_cell
from accounts.screen.parts import Cell, Part, cells_of, short
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
)
from risk.presentation.headlines import group_headline, is_stale, page_title, unbroken
from risk.presentation.weakest import weakest_rule


def group_parts(risk: RiskObject) -> list[Part]:
    """Return the parts of the group page, from the worst news to the details."""
    risk = {**risk, "status": shown_status(risk), "rules": by_importance(risk["rules"])}
    return [
        _title_part(risk),
        _banner_part(risk),
        _weakest_part(risk),
        _rules_part(risk),
        _matrix_part(risk),
    ]


def card_part(risk: RiskObject) -> Part:
    """Return one group's card of the list."""
    risk = {**risk, "status": shown_status(risk)}
    prefix, member_count = f"g{short(risk['group_id'])}", len(risk["accounts"])
    rules = by_importance(risk["rules"])
    headline = group_headline(risk)
    weakest = weakest_rule(risk)
    context = {
        "group_id": risk["group_id"],
        "name": risk["name"],
        "member_count": member_count,
        "note": headline.note,
        "frame": Cell(f"{prefix}-frame", (), risk["status"]),
        "status": status_cell(f"{prefix}-status", risk["status"]),
        "sentence": Cell(
            f"{prefix}-say", (unbroken(weakest["message"]) if weakest else headline.sentence,)
        ),
        "rules": [
            {
                "name": rule.get("name") or RULE_NAMES.get(rule["rule_type"], ""),
                "bar": bar_cell(f"{prefix}-{short(rule['rule_id'])}", rule),
            }
            for rule in rules
        ],
    }
    key = part_key(
        risk["name"],
        member_count,
        headline.note,
        *((rule["rule_id"], rule.get("name")) for rule in rules),
    )
    return Part(prefix, "risk/parts/group_card.html", key, context, cells_of(context.values()))


def _title_part(risk: RiskObject) -> Part:
    title = Cell("page-title", (page_title(risk["status"], risk["name"]),), risk["status"])
    return Part("live-title", "risk/parts/title.html", "title", {"title": title}, (title,))


def _banner_part(risk: RiskObject) -> Part:
    headline = group_headline(risk)
    key = part_key(risk["status"], headline.title, headline.sentence, headline.note)
    context = {"status": risk["status"], "headline": headline}
    return Part("live-banner", "risk/parts/banner.html", key, context)


def _weakest_part(risk: RiskObject) -> Part:
    weakest, rule = risk.get("weakest_account"), weakest_rule(risk)
    if not weakest or not rule:
        return Part("group-weakest", "risk/parts/weakest.html", "none", {"risk": risk})
    unit = str(rule.get("unit") or "")
    account: RiskObject = next(
        (item for item in risk["accounts"] if item["id"] == weakest["id"]), {}
    )
    context = {
        "risk": risk,
        "weakest": weakest,
        "rule_name": rule.get("name") or RULE_NAMES.get(rule["rule_type"], ""),
        "frame": Cell("w-frame", (), weakest["status"]),
        "status": status_cell("w-status", weakest["status"]),
        "sentence": Cell("w-say", (unbroken(rule["message"]),)),
        "bar": bar_cell("w-bar", rule),
        "is_level": unit == "%",
        "used": Cell("w-used", (spent_amount(rule.get("used"), unit),)),
        "limit": Cell("w-limit", (limit_amount(rule.get("limit"), unit),)),
        "left": Cell("w-left", (left_amount(rule.get("left"), unit),)),
        "floor": Cell("w-floor", (limit_amount(rule.get("floor"), unit),)),
        "equity": Cell("w-equity", (UNKNOWN if is_stale(account) else _equity(account),)),
        "has_floor": rule.get("floor") is not None,
        "age": age_cell("w-age", account.get("reading_age_seconds")),
    }
    key = part_key(weakest["id"], weakest["name"], rule["rule_id"], context["has_floor"])
    return Part(
        "group-weakest", "risk/parts/weakest.html", key, context, cells_of(context.values())
    )


def _rules_part(risk: RiskObject) -> Part:
    rows = []
    for rule in risk["rules"]:
        id_ = f"r{short(rule['rule_id'])}"
        rows.append(
            {
                "name": rule.get("name") or RULE_NAMES.get(rule["rule_type"], ""),
                "type": RULE_NAMES.get(rule["rule_type"], rule["rule_type"]),
                "frame": Cell(f"{id_}-frame", (), rule["status"]),
                "status": status_cell(f"{id_}-status", rule["status"]),
                "bar": bar_cell(f"{id_}-bar", rule),
                "sentence": Cell(f"{id_}-say", (unbroken(rule["message"]),)),
            }
        )
    key = part_key(*((rule["rule_id"], rule.get("name")) for rule in risk["rules"]))
    return Part("group-rules", "risk/parts/rules.html", key, {"rules": rows}, cells_of(rows))


def _matrix_part(risk: RiskObject) -> Part:
    columns = [
        {
            "id": rule["rule_id"],
            "name": rule.get("name") or RULE_NAMES.get(rule["rule_type"], ""),
            "unit": rule.get("unit"),
        }
        for rule in risk["rules"]
    ]
    rows = [_matrix_row(account, columns) for account in risk["accounts"]]
    key = part_key(
        *((column["id"], column["name"]) for column in columns),
        *(
            (account["id"], account["name"], row["applies"])
            for account, row in zip(risk["accounts"], rows, strict=True)
        ),
    )
    context = {"columns": columns, "rows": rows}
    return Part("group-matrix", "risk/parts/matrix.html", key, context, cells_of(rows))


def _matrix_row(account: RiskObject, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    id_ = f"a{short(account['id'])}"
    own = {rule["rule_id"]: rule for rule in account.get("rules", ())}
    bars = []
    for column in columns:
        rule = own.get(column["id"])
        cell_id = f"{id_}-{short(column['id'])}"
        bars.append(
            {
                "name": column["name"],
                "bar": bar_cell(cell_id, {**rule, "unit": column["unit"]}, is_compact=True)
                if rule
                else None,
            }
        )
    return {
        "id": account["id"],
        "name": account["name"],
        "frame": Cell(f"{id_}-frame", (), account["status"]),
        "status": status_cell(f"{id_}-status", account["status"]),
        "connection": connection_cell(
            f"{id_}-link",
            account.get("connection") or "disconnected",
            age_seconds=account.get("reading_age_seconds"),
        ),
        "age": age_cell(f"{id_}-age", account.get("reading_age_seconds")),
        "equity": Cell(f"{id_}-equity", (_equity(account),)),
        "bars": bars,
        "applies": tuple(bool(item["bar"]) for item in bars),
    }


def _equity(account: RiskObject) -> str:
    equity = account.get("equity")
    if equity is None:
        return UNKNOWN
    return f"{amount(equity)} {account.get('currency') or ''}".rstrip()


def part_key(*values: object) -> str:
    # Short, because the page hands its keys back when it connects.
    return f"{zlib.crc32(repr(values).encode()):08x}"
