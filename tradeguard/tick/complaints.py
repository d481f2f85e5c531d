"""What goes wrong five times a second, and is worth a line in the log now and then."""

import logging
import time

COMPLAIN_SECONDS = 30.0

logger = logging.getLogger(__name__)


class Complaints:
    """Logs a sentence unless one about the same matter was logged a moment ago."""

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}

    def say(self, about: str, sentence: str) -> None:
        now = time.monotonic()
        if now - self._said_at.get(about, float("-inf")) >= COMPLAIN_SECONDS:
            self._said_at[about] = now
            logger.error(sentence)
