"""News calendars that users import: what is announced, and how far the calendar reaches."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from risk.models import NewsCalendar, NewsEvent

COLUMNS: Final = ("at", "currency", "importance", "title")
MOST_BYTES: Final = 4 * 1024 * 1024
MOST_EVENTS: Final = 20_000
MOST_ERRORS: Final = 20
_LONGEST_TITLE: Final = 160
_IMPORTANCES: Final = tuple(NewsEvent.Importance.values)


@dataclass(frozen=True, slots=True)
class ImportedCalendar:
    """What an import did; events that lay inside the new calendar's reach were replaced."""

    added: int
    removed: int
    calendar: NewsCalendar


@dataclass(frozen=True, slots=True)
class _Events:
    events: list[NewsEvent]
    covers_from_at: datetime
    covers_until_at: datetime


def import_calendar(
    *,
    user: User,
    file: IO[bytes] | bytes,
    now: datetime,
    covers_from_at: datetime | None = None,
    covers_until_at: datetime | None = None,
) -> ImportedCalendar:
    """Import a calendar from CSV or JSON: all of it, or nothing.

    CSV has the columns at, currency, importance and title; JSON is a list of such objects, or an
    object with `events` and, if it knows better, `covers_from_at` and `covers_until_at`. Times
    carry their offset from UTC. The calendar covers the time from its first to its last event
    unless told otherwise; inside it, former events are replaced, so that one that was moved does
    not stay. Raises ValidationError at `file` with a sentence for each row that is wrong.
    """
    read = _read(user, file, covers_from_at, covers_until_at)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        reach = (read.covers_from_at, read.covers_until_at)
        own = NewsEvent.objects.filter(user=user)
        removed = own.filter(at__range=reach).delete()[0]
        NewsEvent.objects.bulk_create(read.events, batch_size=1000)
        calendar = _extended(user, *reach, now)
    return ImportedCalendar(len(read.events), removed, calendar)


@transaction.atomic
def clear_calendar(*, user: User) -> int:
    """Delete a user's calendar; windows around news are unknown from then on."""
    NewsCalendar.objects.filter(user=user).delete()
    return NewsEvent.objects.filter(user=user).delete()[0]


def _extended(user: User, since: datetime, until: datetime, now: datetime) -> NewsCalendar:
    """Join the new reach with the former one; where a gap lies between, the new one counts."""
    former = NewsCalendar.objects.filter(user=user).first()
    if former is not None and since <= former.covers_until_at and until >= former.covers_from_at:
        since = min(since, former.covers_from_at)
        until = max(until, former.covers_until_at)
    calendar, _ = NewsCalendar.objects.update_or_create(
        user=user,
        defaults={"covers_from_at": since, "covers_until_at": until, "imported_at": now},
    )
    return calendar


def _read(
    user: User, file: IO[bytes] | bytes, since: datetime | None, until: datetime | None
) -> _Events:
    text = _text(file)
    if text.lstrip()[:1] in ("[", "{"):
        rows, reach = _json_rows(text)
        since, until = since or reach[0], until or reach[1]
    else:
        rows = list(_csv_rows(text))
    if not rows:
        raise _wrong("There is no event in the file.")
    if len(rows) > MOST_EVENTS:
        raise _wrong(f"At most {MOST_EVENTS:,} events are possible.")
    events = _events(user, rows)
    moments = [event.at for event in events]
    since, until = since or min(moments), until or max(moments)
    if since > min(moments) or until < max(moments):
        raise _wrong("The time that the calendar covers must contain all of its events.")
    return _Events(events, since, until)


def _text(file: IO[bytes] | bytes) -> str:
    content = file if isinstance(file, bytes) else file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _wrong(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong("The file is not text in UTF-8.") from None


def _csv_rows(text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    first_line = text.split("\n", 1)[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise _wrong(
                f"The first line names the columns {', '.join(COLUMNS)};"
                f" missing: {', '.join(missing)}."
            )
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(header):
                raise _wrong(
                    f"Line {reader.line_num}: {len(values)} values for {len(header)} columns."
                )
            yield f"Line {reader.line_num}", dict(zip(header, values, strict=True))
    except csv.Error as error:
        raise _wrong(f"Line {reader.line_num}: this is no CSV ({error}).") from error


def _json_rows(
    text: str,
) -> tuple[list[tuple[str, Mapping[str, object]]], tuple[datetime | None, datetime | None]]:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise _wrong("The file is no JSON that can be read.") from None
    reach: list[datetime | None] = [None, None]
    if isinstance(data, dict):
        for place, name in enumerate(("covers_from_at", "covers_until_at")):
            if data.get(name) is not None:
                try:
                    reach[place] = _moment(data[name])
                except ValueError as error:
                    raise _wrong(f"{name}: {error}") from None
        data = data.get("events")
    if not isinstance(data, list):
        raise _wrong("Give a list of events, or an object with a list of “events”.")
    return [
        (f"Event {number}", row if isinstance(row, dict) else {})
        for number, row in enumerate(data, 1)
    ], (reach[0], reach[1])


def _events(user: User, rows: Iterable[tuple[str, Mapping[str, object]]]) -> list[NewsEvent]:
    events: dict[tuple[object, ...], NewsEvent] = {}
    errors: list[str] = []
    for place, row in rows:
        try:
            event = _event(user, row)
        except ValueError as error:
            errors.append(f"{place}: {error}")
            continue
        # The same row twice is one event.
        events[event.at, event.currency, event.title] = event
    if errors:
        more = len(errors) - MOST_ERRORS
        told = errors[:MOST_ERRORS] + ([f"And {more} more rows are wrong."] if more > 0 else [])
        raise ValidationError({"file": told})
    return list(events.values())


def _event(user: User, row: Mapping[str, object]) -> NewsEvent:
    currency = str(row.get("currency", "")).strip().upper()
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise ValueError("the currency is three letters, for example USD.")
    importance = str(row.get("importance", "")).strip().lower()
    if importance not in _IMPORTANCES:
        raise ValueError(f"the importance is one of {', '.join(_IMPORTANCES)}.")
    title = " ".join(str(row.get("title") or "").split())
    if not 0 < len(title) <= _LONGEST_TITLE or not title.isprintable():
        raise ValueError(f"the title has 1 to {_LONGEST_TITLE} printable characters.")
    at = _moment(row.get("at"))
    return NewsEvent(user=user, at=at, currency=currency, importance=importance, title=title)


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 2000 <= moment.year <= 2100:
        raise ValueError(
            "the time is written with its offset from UTC, as in 2026-10-02T12:30:00Z."
        )
    return moment.astimezone(UTC)


def _wrong(sentence: str) -> ValidationError:
    return ValidationError({"file": sentence})
