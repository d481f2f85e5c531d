"""When an order that waits is looked at again, by a clock that may be set back."""

from datetime import datetime, timedelta
from typing import Final

# Nothing is put off for longer than this: what lies further ahead was written by another clock.
LONGEST_WAIT: Final = timedelta(seconds=90)


def is_due(again_at: datetime | None, now: datetime) -> bool:
    """Tell whether what was put off until `again_at` is to be looked at."""
    return again_at is None or again_at <= now or again_at - now > LONGEST_WAIT
