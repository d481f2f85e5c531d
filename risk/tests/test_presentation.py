from typing import Any
from uuid import uuid4

import pytest

from risk.presentation.cells import bar_cell, by_importance
from risk.presentation.groups import group_parts
from risk.presentation.headlines import group_headline, own_sentence
from risk.presentation.weakest import weakest_rule


def make_rule(**fields: Any) -> dict[str, Any]:
    weakest = {"id": "a1", "name": "Alpha 3", "status": "critical", "buffer": 0.04}
    return {
        "rule_id": "r1",
        "rule_type": "MAX_DAILY_LOSS",
        "name": "Daily loss",
        "status": "critical",
        "buffer": 0.04248,
        "used": 4787.6,
        "limit": 5000.0,
        "left": 212.4,
        "floor": 95_000.0,
        "unit": "USD",
        "message": "Alpha 3: 212.40 USD of 5,000.00 left today (4 %)",
        "weakest_account": weakest,
        **fields,
    }


def make_risk(*rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "group_id": "g1",
        "name": "Desk",
        "status": "critical",
        "unknown_accounts": [],
        "weakest_account": {"id": "a1", "name": "Alpha 3", "status": "critical", "buffer": 0.04},
        "rules": list(rules),
        "accounts": [
            {
                "id": "a1",
                "name": "Alpha 3",
                "status": "critical",
                "buffer": 0.04,
                "reading_age_seconds": 0.2,
                "connection": "connected",
                "currency": "USD",
                "equity": 95_212.4,
                "rules": [{**rule} for rule in rules],
            }
        ],
        **fields,
    }


@pytest.mark.parametrize(
    ("fields", "texts", "value"),
    [
        ({}, ("4 % left", "212.40 USD"), 95.8),
        ({"buffer": None, "left": None}, ("—", "not known"), None),
        (
            {"buffer": None, "left": None, "status": "violated"},
            ("—", "not known"),
            100.0,
        ),
        ({"buffer": -0.04, "left": -200.001}, ("4 % over", "200.01 USD"), 100.0),
        ({"buffer": 1.0, "left": 5000.0}, ("100 % left", "5,000.00 USD"), 0.0),
        (
            {"unit": "positions", "buffer": -1 / 6, "left": -1.0},
            ("17 % over", "1 position"),
            100.0,
        ),
        ({"unit": "%", "used": 163.46, "limit": 150.0}, ("163 %", "limit 150 %"), 95.8),
        ({"unit": "%", "used": None, "buffer": 1.0}, ("no margin", "limit 5,000 %"), 0.0),
        ({"unit": "x", "buffer": 0.5, "left": 5.0}, ("50 % left", "5.00×"), 50.0),
    ],
)
def test_it_never_shows_more_than_there_is(
    fields: dict[str, Any], texts: tuple[str, str], value: float | None
) -> None:
    cell = bar_cell("c", make_rule(**fields))
    assert (cell.texts, cell.value) == (texts, value)


def test_it_puts_loss_rules_first() -> None:
    types = ["MARGIN_LEVEL", "MAX_DRAWDOWN", "NEW_TYPE", "MAX_DAILY_LOSS"]
    ordered = by_importance([make_rule(rule_type=each) for each in types])
    assert [rule["rule_type"] for rule in ordered] == [
        "MAX_DAILY_LOSS",
        "MAX_DRAWDOWN",
        "MARGIN_LEVEL",
        "NEW_TYPE",
    ]


def test_it_finds_the_rule_that_makes_the_account_the_weakest() -> None:
    calm = make_rule(rule_id="r2", status="safe", buffer=0.9)
    nearer = make_rule(rule_id="r3", buffer=0.02)
    rule = weakest_rule(make_risk(calm, make_rule(), nearer))
    assert rule is not None
    assert rule["rule_id"] == "r3"


@pytest.mark.parametrize("rule_type", ["PROFIT_TARGET", "MIN_TRADING_DAYS", "CONSISTENCY"])
def test_an_objective_makes_no_account_the_weakest(rule_type: str) -> None:
    objective = make_rule(rule_id="r2", rule_type=rule_type, name="To be reached", buffer=0.01)
    risk = make_risk(objective, make_rule())

    rule = weakest_rule(risk)

    assert rule is not None
    assert rule["rule_id"] == "r1"
    assert "Daily loss" in group_headline(risk).sentence
    assert weakest_rule(make_risk(objective)) is None


@pytest.mark.parametrize(
    ("fields", "title", "words"),
    [
        ({}, "Close to the limit", "Alpha 3 is close to breaking “Daily loss”."),
        ({"accounts": []}, "Nothing to watch", "no accounts yet"),
        ({"rules": []}, "No rule applies", "No rule applies"),
        ({"status": "safe"}, "All inside their limits", "room left"),
    ],
)
def test_it_says_in_a_sentence_what_matters(fields: dict[str, Any], title: str, words: str) -> None:
    headline = group_headline(make_risk(make_rule(), **fields))
    assert headline.title == title
    assert words in headline.sentence


def test_it_shows_a_weakest_margin_level_as_a_level() -> None:
    own = {"id": str(uuid4()), "name": "Alpha 3", "status": "critical", "buffer": 0.04}
    level = make_rule(unit="%", used=1673.46, limit=300.0, left=1373.46, weakest_account=own)
    risk = make_risk(level, weakest_account=own)
    html = next(part for part in group_parts(risk) if part.id == "group-weakest").render()
    assert "<dt>Level</dt>" in html
    assert "1,673.4 %" in html
    assert "<dt>Left</dt>" not in html


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ({"reading_age_seconds": 2.1}, "Stale: no fresh figures from Alpha 3."),
        ({"reading_age_seconds": None}, "Stale: no fresh figures from Alpha 3."),
        ({"connection": "disconnected"}, "Disconnected: Alpha 3."),
        ({"connection": "error"}, "Connection error: Alpha 3."),
        ({}, "Some figures are not known of Alpha 3."),
    ],
)
def test_it_says_why_an_account_is_not_seen(account: dict[str, Any], words: str) -> None:
    risk = make_risk(make_rule(), status="unknown", unknown_accounts=["a1"])
    risk["accounts"] = [{**risk["accounts"][0], **account}, {**risk["accounts"][0], "id": "a2"}]
    assert group_headline(risk).sentence == words


def test_it_says_when_nothing_is_seen() -> None:
    risk = make_risk(make_rule(), status="unknown", unknown_accounts=["a1"])
    risk["accounts"][0]["reading_age_seconds"] = 2.1
    headline = group_headline(risk)
    assert headline.title == "Not everything is known"
    assert headline.sentence.startswith("All figures are stale")


def test_its_parts_change_with_structure_and_not_with_numbers() -> None:
    def keys(risk: dict[str, Any]) -> dict[str, str]:
        return {part.id: part.key for part in group_parts(risk)}

    before = keys(make_risk(make_rule()))
    assert keys(make_risk(make_rule(left=200.0, used=4800.0, buffer=0.04))) == before
    after = keys(make_risk(make_rule(name="Renamed")))
    assert {name for name in before if before[name] != after[name]} == {
        "live-banner",
        "group-rules",
        "group-matrix",
    }


def test_it_leaves_the_name_out_on_the_accounts_own_page() -> None:
    assert own_sentence("Alpha 3: not known, why", "Alpha 3") == "Not known, why"


def test_a_percent_sign_stays_with_its_number() -> None:
    sentence = own_sentence("Alpha 3: 5.00 of 5.00 left (4 %)", "Alpha 3")
    assert sentence == "5.00 of 5.00 left (4\N{NO-BREAK SPACE}%)"
