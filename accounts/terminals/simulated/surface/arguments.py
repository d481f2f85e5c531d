"""The argument rules of the MetaTrader5 package and the texts with which it refuses.

Types are checked as its C code does: an int or a float must be one (``numpy.float64`` is a float,
``numpy.int64`` no int), a bool passes for an int. Keywords that a function does not know are not
looked at.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..link import CODE_INVALID_PARAMS
from .tuples import TradeRequest

ORDINALS: Final = ("1st", "2nd", "3rd")
MAX_TAG_LENGTH: Final = 29  # symbol and comment of a request
MAX_CREDENTIAL_LENGTH: Final = 253  # server and password
MAX_PATH_LENGTH: Final = 258
SIGNED_32_SPAN: Final = 1 << 32


class ArgumentError(Exception):
    """A call refused before it left the process."""

    code = CODE_INVALID_PARAMS

    def __init__(self, text: str = "Invalid arguments") -> None:
        super().__init__(text)
        self.text = text


Check = Callable[[Any], Any]
"""Gives the value as it crosses to the terminal; raises ValueError when it does not fit."""


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    value.encode()  # half a surrogate pair is no text: UnicodeEncodeError is a ValueError
    return str(value)


def text_of(max_length: int) -> Check:
    def check(value: Any) -> str:
        if len(checked := text(value)) > max_length:
            raise ValueError(value)
        return checked

    return check


def integer_of(bits: int, *, signed: bool = False) -> Check:
    low = -(1 << (bits - 1)) if signed else 0
    high = low + (1 << bits)

    def check(value: Any) -> int:
        if not isinstance(value, int) or not low <= value < high:
            raise ValueError(value)
        return int(value)

    return check


def real(value: Any) -> float:
    if not isinstance(value, float):
        raise ValueError(value)
    return float(value)


def number(value: Any) -> float:
    """Take a positional price or volume: unlike the fields of a request it may be an int."""
    if not isinstance(value, int | float):
        raise ValueError(value)
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(value) from error


def switch(value: Any) -> bool:
    if not isinstance(value, int):
        raise ValueError(value)
    return bool(value)


def epoch(value: Any) -> int:
    """Cut a date down to the signed 32 bits that the package keeps of it.

    A naive datetime is local time. Dates from 2038-01-19 03:14:08 UTC on wrap around into 1901,
    as they do with the package.
    """
    if isinstance(value, datetime):
        try:
            value = value.timestamp()
        except (OverflowError, OSError) as error:  # a local time outside the C library's range
            raise ValueError(value) from error
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    if not isinstance(value, int):
        raise ValueError(value)
    half = SIGNED_32_SPAN // 2
    return (value + half) % SIGNED_32_SPAN - half


unsigned_32 = integer_of(32)
unsigned_64 = integer_of(64)
signed_32 = integer_of(32, signed=True)
signed_64 = integer_of(64, signed=True)
tag = text_of(MAX_TAG_LENGTH)
credential = text_of(MAX_CREDENTIAL_LENGTH)
terminal_path = text_of(MAX_PATH_LENGTH)


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    check: Check


GROUP: Final = Parameter("group", text)


def exactly(values: Sequence[Any], *checks: Check) -> tuple[Any, ...]:
    """Read the arguments of a positional-only function."""
    if len(values) != len(checks):
        raise ArgumentError
    try:
        return tuple(check(value) for check, value in zip(checks, values, strict=True))
    except ValueError:
        raise ArgumentError from None


def unnamed(values: Sequence[Any], *checks: Check) -> tuple[Any, ...]:
    """Read the leading arguments of a function that also takes keywords: at most one per check."""
    if len(values) > len(checks):
        raise ArgumentError("Invalid number of arguments")
    taken = []
    for check, value, ordinal in zip(checks, values, ORDINALS, strict=False):
        try:
            taken.append(check(value))
        except ValueError:
            raise ArgumentError(f"Invalid {ordinal} unnamed argument") from None
    return tuple(taken)


def named(values: Mapping[str, Any], *parameters: Parameter) -> dict[str, Any]:
    """Read the keywords that were given; those that were not are missing from the answer."""
    taken = {}
    for parameter in parameters:
        if parameter.name not in values:
            continue
        try:
            taken[parameter.name] = parameter.check(values[parameter.name])
        except ValueError:
            raise ArgumentError(f'Invalid "{parameter.name}" argument') from None
    return taken


def mixed(
    values: Sequence[Any],
    keywords: Mapping[str, Any],
    *parameters: Parameter,
    keyword_only: int = 0,
) -> dict[str, Any]:
    """Read arguments by position and by name, the last ``keyword_only`` by name alone."""
    leading = parameters[: len(parameters) - keyword_only]
    taken = unnamed(values, *(parameter.check for parameter in leading))
    given = {parameter.name: value for parameter, value in zip(leading, taken, strict=False)}
    return given | named(keywords, *parameters[len(taken) :])


def no_unnamed(values: Sequence[Any]) -> None:
    if values:
        raise ArgumentError("Unnamed arguments not allowed")


REQUEST_PARAMETERS: Final = tuple(
    Parameter(name, check)
    for name, check in {
        "action": unsigned_32,
        "magic": unsigned_64,
        "order": unsigned_64,
        "symbol": tag,
        "volume": real,
        "price": real,
        "stoplimit": real,
        "sl": real,
        "tp": real,
        "deviation": unsigned_64,
        "type": unsigned_32,
        "type_filling": unsigned_32,
        "type_time": unsigned_32,
        "expiration": signed_64,
        "comment": tag,
        "position": unsigned_64,
        "position_by": unsigned_64,
    }.items()
)
EMPTY_REQUEST: Final = TradeRequest(
    {tag: "", real: 0.0}.get(parameter.check, 0) for parameter in REQUEST_PARAMETERS
)


def trade_request(values: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Read a request, one dict or keywords, into all seventeen fields; what is missing is zero.

    The package refuses a positional dict as soon as it is handed a keyword dict, even an empty
    one, so ``f(*args, **kwargs)`` around order_send fails there. Python shows no callee that
    difference, and such a call passes here: write ``order_send(**request)``.
    """
    if keywords:
        no_unnamed(values)
        request = keywords
    elif len(values) > 1:
        raise ArgumentError("Invalid number of arguments")
    elif not values:
        raise ArgumentError
    elif not isinstance(values[0], dict):
        raise ArgumentError("Invalid 1st unnamed argument")
    else:
        request = values[0]
    return EMPTY_REQUEST._asdict() | named(request, *REQUEST_PARAMETERS)
