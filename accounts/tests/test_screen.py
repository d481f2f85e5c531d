from datetime import timedelta
from typing import Any

import pytest

from accounts.models import AccountConnection, User
from accounts.screen.account_notices import greetings
from accounts.screen.account_rows import account_rows, structure_cell, summary_cells
from accounts.screen.cells import age_cell, connection_cell
from accounts.screen.deal_rows import deal_rows
from accounts.screen.parts import Cell, Part, Screen, cells_of
from accounts.selectors import accounts_of
from accounts.tests.factories import NOW, make_account
from accounts.tests.history_rows import make_deal
from accounts.tests.states import leave_states


def make_part(text: str, *, key: str = "one", status: str | None = None) -> Part:
    cell = Cell("c", (text,), status)
    context = {"level": "info", "title": text, "body": "", "link": ""}
    return Part("toast", "notifications/toast.html", key, context, (cell,))


def test_it_sends_a_part_once_and_then_its_cells() -> None:
    screen = Screen()
    fragment, patches = screen.update([make_part("1")])
    assert "<strong>1</strong>" in fragment
    assert patches == []
    assert screen.update([make_part("1")]) == ("", [])
    assert screen.update([make_part("2")]) == ("", [["c", "2"]])


def test_it_renders_a_part_again_when_its_key_changes() -> None:
    screen = Screen()
    screen.update([make_part("1")])
    fragment, patches = screen.update([make_part("2", key="two")])
    assert "<strong>2</strong>" in fragment
    assert patches == []
    # The fragment carried the cell already.
    assert screen.update([make_part("2", key="two")]) == ("", [])


def test_it_sends_all_cells_of_a_part_that_the_page_holds() -> None:
    screen = Screen({"toast": "one"})
    assert screen.update([make_part("1")]) == ("", [["c", "1"]])


def test_it_shortens_patches_from_the_right() -> None:
    assert Cell("a", ("1",)).patch() == ["a", "1"]
    assert Cell("a", ("1",), "safe").patch() == ["a", "1", "safe"]
    assert Cell("a", (), "safe").patch() == ["a", [], "safe"]
    assert Cell("a", ("1", "2"), "safe", 4.5, has_bar=True).patch() == [
        "a",
        ["1", "2"],
        "safe",
        4.5,
    ]
    assert Cell("a", ("—", "?"), "unknown", None, has_bar=True).patch()[3] is None


def test_it_finds_cells_in_nested_values() -> None:
    first, second = Cell("a"), Cell("b")
    assert cells_of([first, {"x": [second], "y": "text", "z": None}]) == (first, second)


def test_it_tells_live_from_stale_at_two_seconds() -> None:
    assert age_cell("a", 0.99).text == "live"
    assert age_cell("a", 1.0).text == "1 s ago"
    assert age_cell("a", 2.0).status == "live"
    assert age_cell("a", 2.01).status == "stale"
    assert age_cell("a", 125.0).text == "last known 2 min ago"
    assert age_cell("a", None).text == "no reading"


def test_it_does_not_call_a_silent_session_connected() -> None:
    assert connection_cell("a", "connected", age_seconds=2.0).status == "connected"
    assert connection_cell("a", "connected", age_seconds=2.01).status == "disconnected"
    assert connection_cell("a", "connected", age_seconds=None).text == "No answer"
    assert connection_cell("a", "error", age_seconds=None).status == "error"


def test_it_says_why_an_account_is_not_connected_and_nothing_when_it_is(alice: User) -> None:
    account = make_account(alice, state="error")
    AccountConnection.objects.update(last_error="The password is wrong.")
    [row] = account_rows(accounts_of(alice), now=NOW)
    assert (row.connection.text, row.reason.text) == ("Connection error", "The password is wrong.")
    AccountConnection.objects.filter(account=account).update(state="connected")
    [row] = account_rows(accounts_of(alice), now=NOW)
    assert row.reason.text == ""


@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        ({"algo_trading_allowed": False}, "Algorithmic trading is switched off in the terminal."),
        ({"trade_allowed": False}, "Watching only: this login may not trade."),
        ({"trade_allowed": False, "algo_trading_allowed": False}, "Watching only: this login"),
    ],
)
def test_it_says_what_a_connected_account_cannot_do(
    alice: User, rights: dict[str, Any], reason: str
) -> None:
    account = make_account(alice, state="connected")
    leave_states([account], read_at=NOW.timestamp(), **rights)
    [row] = account_rows(accounts_of(alice), now=NOW)
    assert row.connection.text == "Connected"
    assert row.reason.text.startswith(reason)
    [stale] = account_rows(accounts_of(alice), now=NOW + timedelta(seconds=3))
    assert stale.reason.text == ""


def test_it_sums_up_what_is_connected_and_what_failed(alice: User) -> None:
    make_account(alice, "One", state="error")
    make_account(alice, "Two", state="connected")
    rows = account_rows(accounts_of(alice), now=NOW)
    assert [cell.text for cell in summary_cells(rows)] == [
        "0 of 2 connected",  # no reading: it is not shown as connected either
        "1 with an error",
        "",
    ]


@pytest.mark.parametrize("change", ["rename", "delete", "wish"])
def test_the_structure_changes_with_what_a_row_shows(alice: User, change: str) -> None:
    account = make_account(alice)
    before = structure_cell(accounts_of(alice))
    assert structure_cell(accounts_of(alice)) == before
    if change == "rename":
        account.name = "Other"
        account.save(update_fields=["name", "updated_at"])
    elif change == "delete":
        account.delete()
    else:
        AccountConnection.objects.update(is_wanted=True)
    assert structure_cell(accounts_of(alice)) != before


def test_it_names_deals_as_traders_do(alice: User) -> None:
    account = make_account(alice)
    make_deal(account, ticket=1, type=0, entry=1, profit="10.5", commission="-3.5")
    make_deal(account, ticket=2, type=2, entry=0, profit="1000", volume_lots="0")
    make_deal(account, ticket=3, type=99, entry=9, profit="-0.01")
    balance, trade, unknown = sorted(deal_rows(account.deals.all()), key=lambda row: row.kind)
    assert (trade.kind, trade.entry, trade.volume, trade.price) == ("Buy", "out", "0.1", "1.1")
    assert (trade.result, trade.tone) == ("+7.00", "gain")
    assert (balance.kind, balance.volume, balance.result) == ("Balance", "—", "+1,000.00")
    assert (unknown.kind, unknown.result, unknown.tone) == ("Type 99", "−0.01", "loss")


def test_it_greets_a_few_by_name_and_many_in_sum(alice: User) -> None:
    accounts = [make_account(alice, f"A{number}", state="connected") for number in range(4)]
    assert [each.title for each in greetings(accounts[:3], now=NOW)] == [
        "A0 is connected.",
        "A1 is connected.",
        "A2 is connected.",
    ]
    [told] = greetings(accounts, now=NOW)
    assert (told.title, told.sentences, told.level) == ("4 accounts are connected.", (), "success")
