"""What the broker says to a call: a result, or how it failed, in plain values."""

import logging
from collections.abc import Mapping
from typing import Any

from accounts.terminals.link import LinkError, LinkTimeout

from ..link import CODE_CALL_FAILED, CODE_TIMEOUT

logger = logging.getLogger(__name__)


class BrokerError(LinkError):
    """The broker failed at a call for a reason of its own; it may have carried it out."""

    def __init__(self, reason: str) -> None:
        super().__init__(CODE_CALL_FAILED, f"Terminal: Call failed ({reason})")


def answer_of(result: Any) -> Mapping[str, Any]:
    return {"result": result, "is_list": isinstance(result, list)}


def answer_of_failure(error: Exception) -> Mapping[str, Any]:
    """Return what a client is told of a call that failed."""
    if isinstance(error, LinkError):
        return {"link_error": (error.code, error.text)}
    if isinstance(error, (ValueError, TypeError, KeyError)):
        return {"value_error": str(error)}
    logger.error("A call failed.", exc_info=error)
    return {"failure": f"{type(error).__name__}: {error}"}


def result_of(answer: Mapping[str, Any]) -> Any:
    """Return what an answer holds; raise what it says that went wrong."""
    if "link_error" in answer:
        code, text = answer["link_error"]
        raise LinkTimeout(code, text) if code == CODE_TIMEOUT else LinkError(code, text)
    if "value_error" in answer:
        raise ValueError(answer["value_error"])
    if "failure" in answer:
        raise BrokerError(answer["failure"])
    return list(answer["result"]) if answer["is_list"] else answer["result"]
