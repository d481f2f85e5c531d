"""Importing a news calendar: all of it, or nothing."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from accounts.tests.factories import NOW
from risk.models import NewsCalendar, NewsEvent
from risk.services import news
from risk.services.news import clear_calendar, import_calendar

AT = datetime(2026, 10, 2, 12, 30, tzinfo=UTC)
ROW = {"at": "2026-10-02T12:30:00Z", "currency": "USD", "importance": "high", "title": "Payrolls"}
HEADER = "at,currency,importance,title\n"


def events_of(user: User) -> list[tuple[datetime, str, str, str]]:
    rows = NewsEvent.objects.filter(user=user)
    return [(row.at, row.currency, row.importance, row.title) for row in rows]


def as_json(*rows: object, **reach: str) -> bytes:
    return json.dumps({"events": rows, **reach}).encode()


@pytest.mark.parametrize(
    "file",
    [
        json.dumps([ROW]).encode(),
        as_json(ROW),
        as_json(ROW, ROW),  # the same twice is one
        b"\xef\xbb\xbf" + f"{HEADER}2026-10-02T12:30:00Z,usd,High,Payrolls\r\n\r\n".encode(),
        b"title;importance;currency;at\nPayrolls;high;USD;2026-10-02 14:30:00+02:00\n",
        b'currency,at,title,importance,forecast\nUSD,2026-10-02T12:30Z,"Payrolls",high,"1,5"\n',
    ],
)
def test_it_reads_csv_and_json(alice: User, file: bytes) -> None:
    done = import_calendar(user=alice, file=io.BytesIO(file), now=NOW)
    assert events_of(alice) == [(AT, "USD", "high", "Payrolls")]
    assert (done.added, done.removed) == (1, 0)
    calendar = NewsCalendar.objects.get(user=alice)
    assert (calendar.covers_from_at, calendar.covers_until_at) == (AT, AT)
    assert calendar.imported_at == NOW


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"at": "2026-10-02T12:30:00"}, "offset from UTC"),
        ({"at": "tomorrow"}, "offset from UTC"),
        ({"at": None}, "offset from UTC"),
        ({"at": "1500-10-02T12:30:00Z"}, "offset from UTC"),
        ({"currency": "Dollar"}, "three letters"),
        ({"currency": ""}, "three letters"),
        ({"importance": "huge"}, "low, medium, high"),
        ({"title": ""}, "title"),
        ({"title": "x" * 161}, "title"),
        ({"title": "a\x00b"}, "title"),
    ],
)
def test_it_says_which_row_is_wrong_and_imports_nothing(
    alice: User, row: dict[str, object], text: str
) -> None:
    import_calendar(user=alice, file=as_json({**ROW, "title": "Old"}), now=NOW)
    with pytest.raises(ValidationError, match=text) as error:
        import_calendar(user=alice, file=as_json(ROW, {**ROW, **row}), now=NOW)
    assert error.value.message_dict["file"][0].startswith("Event 2: ")
    assert [event[3] for event in events_of(alice)] == ["Old"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (b"", "missing: at, currency"),
        (HEADER.encode(), "no event"),
        (b"[]", "no event"),
        (b"{}", "list of events"),
        (b"[", "no JSON"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"at,currency\n2026-10-02T12:30:00Z,USD\n", "missing: importance, title"),
        (f"{HEADER}2026-10-02T12:30:00Z,USD\n".encode(), "Line 2: 2 values for 4 columns"),
        (f"{HEADER}x,USD,high,A\ny,USD,high,B\n".encode(), "Line 3: "),
        (as_json(ROW, covers_from_at="2026-10-03T00:00:00Z"), "must contain"),
        (as_json(ROW, covers_until_at="soon"), "covers_until_at"),
    ],
)
def test_it_says_what_is_wrong_with_a_file(alice: User, file: bytes, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        import_calendar(user=alice, file=file, now=NOW)
    assert not NewsEvent.objects.exists()
    assert not NewsCalendar.objects.exists()


def test_it_takes_no_file_that_is_too_large(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "MOST_EVENTS", 1)
    with pytest.raises(ValidationError, match="At most 1"):
        import_calendar(user=alice, file=as_json(ROW, ROW), now=NOW)
    monkeypatch.setattr(news, "MOST_BYTES", 10)
    with pytest.raises(ValidationError, match="larger"):
        import_calendar(user=alice, file=as_json(ROW), now=NOW)


def test_it_tells_a_few_wrong_rows_and_counts_the_rest(alice: User) -> None:
    with pytest.raises(ValidationError) as error:
        import_calendar(user=alice, file=as_json(*[{} for _ in range(30)]), now=NOW)
    texts = error.value.message_dict["file"]
    assert (len(texts), texts[-1]) == (21, "And 10 more rows are wrong.")


def week(start: datetime, *titles: str) -> bytes:
    rows = [
        {**ROW, "at": (start + timedelta(hours=number)).isoformat(), "title": title}
        for number, title in enumerate(titles)
    ]
    until = start + timedelta(days=7)
    return as_json(*rows, covers_from_at=start.isoformat(), covers_until_at=until.isoformat())


def test_a_moved_event_does_not_stay(alice: User, bob: User) -> None:
    import_calendar(user=bob, file=week(AT, "Theirs"), now=NOW)
    import_calendar(user=alice, file=week(AT, "A", "B"), now=NOW)
    done = import_calendar(user=alice, file=week(AT, "A"), now=NOW)
    assert (done.added, done.removed) == (1, 2)
    assert [event[3] for event in events_of(alice)] == ["A"]
    assert [event[3] for event in events_of(bob)] == ["Theirs"]


def test_calendars_that_meet_are_joined_and_a_gap_is_not_covered(alice: User) -> None:
    def reach() -> tuple[datetime, datetime]:
        calendar = NewsCalendar.objects.get(user=alice)
        return calendar.covers_from_at, calendar.covers_until_at

    days = timedelta(days=1)
    import_calendar(user=alice, file=week(AT, "A"), now=NOW)
    import_calendar(user=alice, file=week(AT + 7 * days, "B"), now=NOW)
    assert reach() == (AT, AT + 14 * days)
    import_calendar(user=alice, file=week(AT + 20 * days, "C"), now=NOW)
    assert reach() == (AT + 20 * days, AT + 27 * days)
    assert clear_calendar(user=alice) == 3
    assert not NewsCalendar.objects.exists()


@given(st.text(max_size=200))
def test_any_text_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValidationError) as error:
        news._read(User(pk=1), (HEADER + text).encode(errors="replace"), None, None)
    assert set(error.value.message_dict) == {"file"}
