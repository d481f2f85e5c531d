"""What a transport carries: one notification, or several that were gathered.

Pure: made from rows by whoever sends, so that a transport knows no table.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class LetterKind(StrEnum):
    SINGLE = "single"
    QUIET = "quiet"
    STORM = "storm"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a letter is for. `time_zone` is an IANA name; times in letters are shown in it."""

    username: str
    email: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Item:
    """One notification of a letter. `url` is absolute or empty; `count` says how often it was."""

    id: UUID
    type: str
    priority: str
    title: str
    body: str
    url: str
    object_type: str
    object_id: str
    at: datetime
    count: int = 1


@dataclass(frozen=True, slots=True)
class Letter:
    """What goes out at once by one channel.

    `id` is the same at every attempt: whoever receives it twice can tell. `items` holds at least
    one and at most MOST_ITEMS, the most urgent and newest first; `total` counts those left out,
    too. `title` and `body` say it all in words, for transports that show no list; for a single
    item they are the item's own.
    """

    id: UUID
    kind: LetterKind
    recipient: Recipient
    title: str
    body: str
    url: str
    priority: str
    at: datetime
    items: tuple[Item, ...]
    total: int = 1


MOST_ITEMS = 20
