"""What the processes write to their logs, and what says nothing there."""

from typing import Any


def log_lines(level: str) -> dict[str, Any]:
    """Return the configuration of logging for records from this level on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # One line per tick, five times a second, says nothing.
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "daphne": {"level": "WARNING"},
            "django.channels.server": {"level": "WARNING"},
            # It notes every address that it writes to, and those of webhooks and browsers are
            # secret; in warnings, too, as of an answer whose headers cannot be read.
            "urllib3": {"level": "ERROR"},
        },
    }
