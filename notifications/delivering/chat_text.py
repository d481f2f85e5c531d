"""How a letter reads in a chat: one message, the title first, cut where it gets too long."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from notifications.delivering.letters import Item, Letter

ELLIPSIS = "…"
# Colour says at a glance what the words say, too.
MARKS = {"urgent": "🔴 ", "high": "🟠 "}
# A body keeps at least so much of a message; below that it is left out.
SHORTEST_BODY = 20


@dataclass(frozen=True, slots=True)
class Markup:
    """How a service writes emphasis and links.

    `longest` counts UTF-16 units, as the services do or as their counting never exceeds. `escape`
    works sign by sign; `bold` and `link` take what is escaped already.
    """

    longest: int
    escape: Callable[[str], str]
    bold: Callable[[str], str]
    link: Callable[[str, str], str]


def compose(letter: Letter, markup: Markup) -> str:
    """Return a letter as one message of at most `markup.longest`."""
    title = headline(letter, markup)
    return f"{title}\n{details(letter, markup, longest=markup.longest - size(title) - 1)}"


def headline(letter: Letter, markup: Markup) -> str:
    mark = MARKS.get(letter.priority, "")
    return markup.bold(markup.escape(f"{mark}{letter.title}"))


def details(letter: Letter, markup: Markup, *, longest: int) -> str:
    """Return what stands below the title: the words or the list, the time and the link."""
    foot = _foot(letter, markup)
    room = longest - size(foot) - 2
    told = _list(letter, markup, room) if is_list(letter) else _one(letter, markup, room)
    return f"{told}\n\n{foot}" if told else foot


def is_list(letter: Letter) -> bool:
    return letter.total > 1 or len(letter.items) > 1


def fit(text: str, longest: int, *, escape: Callable[[str], str] = str) -> str:
    """Return the escaped text, cut at a word so that it measures at most `longest`."""
    text = text.strip()
    whole = escape(text)
    if size(whole) <= longest:
        return whole
    room = longest - size(ELLIPSIS)
    if room <= 0:
        return ""
    kept = 0
    for sign in text:
        room -= size(escape(sign))
        if room < 0:
            break
        kept += 1
    start = text[:kept]
    words = start.rpartition(" ")[0] if " " in start[kept * 4 // 5 :] else start
    return f"{escape(words.rstrip())}{ELLIPSIS}"


def size(text: str) -> int:
    """Return the length in UTF-16 units, by which chats measure."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def local_time(moment: datetime, zone: str) -> str:
    """Write a moment as it is read where its reader lives."""
    local = moment.astimezone(zone_of(zone))
    return f"{local.day} {local:%b %Y, %H:%M:%S %Z}"


def zone_of(name: str) -> ZoneInfo:
    """Return the zone of this name, or UTC when there is none any more."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def safe_url(url: str) -> str:
    """Return an address without a sign that could end a link in a chat's markup."""
    return quote(url, safe=":/?#@!$&'+,;=%~[]")


def _foot(letter: Letter, markup: Markup) -> str:
    when = markup.escape(local_time(letter.at, letter.recipient.time_zone))
    if not letter.url:
        return when
    return f"{when}\n{markup.link(markup.escape('Open in TradeGuard'), safe_url(letter.url))}"


def _one(letter: Letter, markup: Markup, room: int) -> str:
    count = letter.items[0].count
    times = f"{count} times. " if count > 1 else ""
    if room < SHORTEST_BODY:
        return ""
    return fit(f"{times}{letter.body}", room, escape=markup.escape)


def _list(letter: Letter, markup: Markup, room: int) -> str:
    lines: list[str] = []
    left = letter.total
    for item in letter.items:
        line = _line(item, letter, markup)
        rest = f"… and {left - 1:,} more" if left > 1 else ""
        if size("\n".join([*lines, line, rest])) > room:
            break
        lines.append(line)
        left -= 1
    if left > 0:
        lines.append(markup.escape(f"… and {left:,} more"))
    return "\n".join(lines)


def _line(item: Item, letter: Letter, markup: Markup) -> str:
    local = item.at.astimezone(zone_of(letter.recipient.time_zone))
    day = "" if _same_day(item.at, letter) else f"{local.day} {local:%b} "
    title = markup.escape(f"{MARKS.get(item.priority, '')}{item.title}")
    told = markup.link(title, safe_url(item.url)) if item.url else title
    times = markup.escape(f" ({item.count} times)") if item.count > 1 else ""
    return f"{markup.escape(f'{day}{local:%H:%M} ')}{told}{times}"


def _same_day(moment: datetime, letter: Letter) -> bool:
    zone = zone_of(letter.recipient.time_zone)
    return moment.astimezone(zone).date() == letter.at.astimezone(zone).date()
