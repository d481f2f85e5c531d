"""What a user's quiet hours mean right now, in a sentence."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

from notifications.quiet_hours import quiet_until


def quiet_sentence(*, now: datetime, zone: str, begins: time | None, ends: time | None) -> str:
    """Say what time it is where the user is and whether that is quiet, for the hours given."""
    here = ZoneInfo(zone)
    start = f"Now {now.astimezone(here):%H:%M} in {zone}"
    if begins is None and ends is None:
        return f"{start}. You have no quiet hours."
    if begins is None or ends is None:
        return f"{start}. Fill in both ends."
    if begins == ends:
        return f"{start}. Both ends are the same: there are no quiet hours."
    until = quiet_until(now, zone=zone, begins=begins, ends=ends)
    if until is None:
        return f"{start}: not quiet. It will be from {begins:%H:%M} to {ends:%H:%M}."
    return f"{start}: quiet until {until.astimezone(here):%H:%M}."
