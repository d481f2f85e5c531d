import pytest

from copytrade.core.symbols import Affix, match_symbol, usual_affixes

BASES = ("EURUSD", "GBPUSD", "USDJPY", "AUDNZD", "XAUUSD", "US500", "GER40", "BTCUSD")


def names(prefix: str = "", suffix: str = "", *more: str) -> frozenset[str]:
    return frozenset({f"{prefix}{base}{suffix}" for base in BASES}) | frozenset(more)


PLAIN = names()


@pytest.mark.parametrize(
    ("listed", "affix"),
    [
        (PLAIN, Affix()),
        (names("", ".r"), Affix("", ".r")),
        (names("", "m"), Affix("", "m")),
        (names("m"), Affix("m", "")),
        (names("#", "_i"), Affix("#", "_i")),
        (names("", ".r", "EURUSD", "GBPUSD"), Affix("", ".r")),
        (names() | names("", ".pro"), Affix()),
    ],
)
def test_the_usual_affix_is_that_of_most_pairs(listed: frozenset[str], affix: Affix) -> None:
    assert usual_affixes(listed)[0] == affix


def test_a_server_without_pairs_has_no_usual_affix() -> None:
    assert usual_affixes(frozenset({"AAPL.us", "MSFT.us"})) == ()


@pytest.mark.parametrize(
    ("symbol", "theirs", "ours", "expected"),
    [
        ("EURUSD", PLAIN, PLAIN, "EURUSD"),
        ("EURUSD", PLAIN, names("", ".r"), "EURUSD.r"),
        ("EURUSD", PLAIN, names("", "m"), "EURUSDm"),
        ("EURUSD", PLAIN, names("m"), "mEURUSD"),
        ("EURUSD.r", names("", ".r"), PLAIN, "EURUSD"),
        ("EURUSD.r", names("", ".r"), names("m"), "mEURUSD"),
        ("mEURUSD", names("m"), names("", ".pro"), "EURUSD.pro"),
        ("US500.r", names("", ".r"), names("", "m"), "US500m"),
        ("GER40", PLAIN, names("#", "_i"), "#GER40_i"),
        ("US500.r", names("", ".r"), names("", "m", "US500"), "US500"),
        # the exact name comes first, whatever the usual affix is
        ("EURUSD", PLAIN, names("", ".r", "EURUSD"), "EURUSD"),
        # without the provider's list a pair still shows its affix
        ("EURUSD.r", frozenset(), PLAIN, "EURUSD"),
        # an index on a server that marks its pairs only
        ("US500", PLAIN, frozenset({"EURUSD.r", "GBPUSD.r", "US500"}), "US500"),
        # the more common of two
        ("EURUSD", PLAIN, names("", ".r", "EURUSD.pro"), "EURUSD.r"),
    ],
)
def test_a_symbol_is_found_under_the_other_name(
    symbol: str, theirs: frozenset[str], ours: frozenset[str], expected: str
) -> None:
    assert match_symbol(symbol, {}, theirs, ours) == expected


@pytest.mark.parametrize(
    ("symbol", "ours"),
    [
        ("NZDUSD", PLAIN),
        ("eurusd", PLAIN),
        ("EURUSD", frozenset({"eurusd", "EurUsd"})),
        ("GOLD", frozenset({"GOLDMAN", "EURUSD"})),
        ("US500", frozenset({"EURUSD", "US500_DEC", "GER40_DEC"})),  # shared by two symbols only
        ("EURUSD", frozenset()),
    ],
)
def test_what_is_not_there_is_not_guessed(symbol: str, ours: frozenset[str]) -> None:
    assert match_symbol(symbol, {}, PLAIN, ours) is None


def test_stocks_carry_a_marked_suffix_of_their_own() -> None:
    ours = PLAIN | {"AAPL.us", "MSFT.us", "TSLA.us"}

    assert match_symbol("AAPL", {}, PLAIN, ours) == "AAPL.us"
    assert match_symbol("AAPL.us", {}, ours, frozenset({"AAPL"})) == "AAPL"


def test_two_candidates_alike_are_none() -> None:
    listings = {f"{stock}.{place}" for stock in ("AAPL", "MSFT", "TSLA") for place in ("us", "de")}

    assert match_symbol("AAPL", {}, PLAIN, frozenset(listings)) is None


def test_the_map_decides_alone() -> None:
    assert match_symbol("XAUUSD", {"XAUUSD": "GOLD"}, PLAIN, PLAIN | {"GOLD"}) == "GOLD"
    assert match_symbol("XAUUSD", {"XAUUSD": "GOLD"}, PLAIN, PLAIN) is None
    assert match_symbol("EURUSD", {"XAUUSD": "GOLD"}, PLAIN, PLAIN) == "EURUSD"
