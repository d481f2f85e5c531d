from accounts.screen.cells import age_cell, connection_cell
from accounts.screen.parts import Cell, Part, Screen, cells_of


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
