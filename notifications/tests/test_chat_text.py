import html
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.delivering import sms_text
from notifications.delivering.chat_text import ELLIPSIS, compose, details, fit, local_time, size
from notifications.delivering.letters import Recipient
from notifications.tests.transport_contract import AT, make_digest, make_letter
from notifications.transports import discord, slack, telegram

MARKUPS = {
    "telegram": telegram.MARKUP,
    "discord": discord.MARKUP,
    "slack": slack.MARKUP,
}
ESCAPES = [str, html.escape, discord.MARKUP.escape, slack.MARKUP.escape]
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80)


@given(text=texts, longest=st.integers(0, 60), escape=st.sampled_from(ESCAPES))
def test_it_cuts_to_what_fits_and_never_inside_an_escape(
    text: str, longest: int, escape: Callable[[str], str]
) -> None:
    cut = fit(text, longest, escape=escape)

    assert size(cut) <= longest
    if size(escape(text.strip())) <= longest:
        assert cut == escape(text.strip())
    elif cut:
        kept = cut.removesuffix(ELLIPSIS)
        starts = {escape(text.strip()[:end].rstrip()) for end in range(len(text) + 1)}
        assert kept in starts


@pytest.mark.parametrize(("longest", "cut"), [(9, "one two…"), (10, "one two xx"), (2, "o…")])
def test_it_cuts_at_a_word_when_one_ends_near(longest: int, cut: str) -> None:
    assert fit("one two xx", longest) == cut


@pytest.mark.parametrize("name", list(MARKUPS))
@given(title=texts, body=texts, factor=st.integers(1, 200))
def test_it_never_gets_longer_than_a_service_takes(
    name: str, title: str, body: str, factor: int
) -> None:
    markup = MARKUPS[name]
    letter = make_letter(title=(title * 160)[:160], body=body * factor)

    assert size(compose(letter, markup)) <= markup.longest
    assert size(details(letter, markup, longest=500)) <= 500


@pytest.mark.parametrize("name", list(MARKUPS))
def test_it_lists_as_many_as_fit_and_counts_all_others(name: str) -> None:
    letter = make_digest(300)
    items = tuple(replace(item, title="*" * 160) for item in letter.items)
    markup = replace(MARKUPS[name], longest=1_500)

    text = compose(replace(letter, items=items), markup)

    listed = text.count("https://desk.example.com/accounts/")
    assert 0 < listed < 20
    assert f"… and {300 - listed} more" in text


def test_it_says_nothing_of_more_when_all_are_listed() -> None:
    text = compose(make_digest(3), telegram.MARKUP)

    assert "Notice 3" in text
    assert "more" not in text


def test_it_lists_one_of_many_and_counts_the_others() -> None:
    letter = make_digest(300)

    text = compose(replace(letter, items=letter.items[:1]), telegram.MARKUP)

    assert "13:00" in text
    assert "… and 299 more" in text


def test_it_counts_repetitions_and_names_the_day_of_yesterdays() -> None:
    letter = make_digest(2)
    first, second = letter.items
    items = (replace(first, count=3), replace(second, at=AT - timedelta(days=1)))

    text = compose(replace(letter, items=items), telegram.MARKUP)

    assert "Notice 1</a> (3 times)" in text
    assert '\n19 Nov 13:00 <a href="https://desk.example.com/accounts/2">Notice 2</a>' in text
    again = make_letter()
    again = replace(again, items=(replace(again.items[0], count=3),))
    assert "\n3 times. Alpha 3 lost" in compose(again, telegram.MARKUP)


@pytest.mark.parametrize("zone", ["Atlantis/Center", "", "../../etc/passwd", "/etc/localtime"])
def test_it_shows_utc_when_the_zone_is_gone(zone: str) -> None:
    letter = replace(make_letter(), recipient=Recipient("alice", "a@b.c", zone))

    assert "20 Nov 2026, 12:00:00 UTC" in compose(letter, telegram.MARKUP)


def test_it_writes_a_moment_as_its_reader_lives() -> None:
    assert local_time(AT, "America/New_York") == "20 Nov 2026, 07:00:00 EST"


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=700))
def test_it_sends_at_most_three_parts_of_a_text_message(text: str) -> None:
    cut = sms_text.cut(text)

    if sms_text.is_basic(cut):
        assert sum(2 if sign in "^{}\\[~]|€" else 1 for sign in cut) <= 459
    else:
        assert size(cut) <= 201
    assert text.strip().startswith(cut.removesuffix("...").rstrip())


@pytest.mark.parametrize(
    ("sign", "fits"), [("x", 459), ("€", 229), ("ж", 201), ("🔥", 100), ("é", 459)]
)
def test_it_uses_all_of_three_parts(sign: str, fits: int) -> None:
    assert sms_text.cut(sign * fits) == sign * fits
    assert sms_text.cut(sign * (fits + 1)).endswith(f"{sign}...")


def test_it_writes_typography_plainly_to_phones() -> None:
    letter = make_letter(title="“Alpha” – −5\u202f% × 2 → out…", body="")

    assert sms_text.compose(letter) == 'TradeGuard: "Alpha" - -5 % x 2 -> out...'
