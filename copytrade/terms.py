"""What a relationship copies and how: the terms that people may set, and what makes no sense."""

from collections.abc import Iterable, Mapping
from datetime import time
from decimal import Decimal
from typing import Any, Final, TypedDict

from django.core.exceptions import ValidationError

from accounts.core.zones import broker_zone
from copytrade.core.kinds import Sizing
from copytrade.models import CopyRelationship

MOST_SYMBOLS: Final = 500
MOST_MAGICS: Final = 100
LONGEST_SYMBOL: Final = 29  # what the terminal takes
_LARGEST_MAGIC: Final = 2**63 - 1


class TermChanges(TypedDict, total=False):
    """The fields of CopyRelationship that people may set; it says what they mean."""

    sizing: str
    multiplier: Decimal
    fixed_lots: Decimal | None
    risk_fraction: Decimal | None
    below_minimum: str
    maximum_lots: Decimal | None
    symbol_map: Mapping[str, str]
    include_symbols: Iterable[str]
    exclude_symbols: Iterable[str]
    directions: str
    magics: Iterable[int]
    is_reverse: bool
    copies_stops: bool
    stop_loss_points: int | None
    take_profit_points: int | None
    copies_pendings: bool
    open_deadline_seconds: int
    maximum_slippage_points: int | None
    maximum_positions: int | None
    trading_from: time | None
    trading_until: time | None
    trading_zone: str
    equity_stop: Decimal | None
    start_policy: str
    cascade_scope: str


TERMS: Final = tuple(TermChanges.__annotations__)
_LISTS: Final = ("include_symbols", "exclude_symbols", "magics")
# A slippage of none at all is a sensible wish; none of these at all is not.
_POSITIVE: Final = ("stop_loss_points", "take_profit_points", "maximum_positions", "equity_stop")


def set_terms(relationship: CopyRelationship, changes: Mapping[str, Any]) -> list[str]:
    """Set the terms that differ and return their names; raises ValidationError by field."""
    changed = []
    for name, value in changes.items():
        if name not in TERMS:
            raise TypeError(f"{name} is not a term of a relationship.")
        told = _listed(name, value)
        if getattr(relationship, name) != told:
            setattr(relationship, name, told)
            changed.append(name)
    return changed


def check_terms(relationship: CopyRelationship) -> None:
    """Raise ValidationError, with the fields named, when the terms make no sense together."""
    errors: dict[str, list[str]] = {}
    try:
        relationship.clean_fields(exclude=_others(relationship))
    except ValidationError as error:
        errors = {name: list(texts) for name, texts in error.message_dict.items()}
    for name, text in _problems(relationship).items():
        errors.setdefault(name, []).append(text)
    if errors:
        raise ValidationError(errors)


def _listed(name: str, value: Any) -> Any:
    """Store lists as lists, each value once; what is none is left for the check to complain of."""
    if name not in _LISTS or isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        return dict(value) if isinstance(value, Mapping) else value
    stripped = (each.strip() if isinstance(each, str) else each for each in value)
    found: list[Any] = []
    for each in stripped:
        if each not in found:
            found.append(each)
    return found


def _others(relationship: CopyRelationship) -> set[str]:
    return {field.name for field in relationship._meta.concrete_fields} - {*TERMS, "alias"}


def _problems(row: CopyRelationship) -> dict[str, str]:
    found = {**_size_problems(row), **_symbol_problems(row), **_hour_problems(row)}
    for name in _POSITIVE:
        value = getattr(row, name)
        if isinstance(value, int | Decimal) and value <= 0:
            found[name] = "Give more than 0, or leave it empty."
    problem = _magic_problem(row.magics)
    return {**found, "magics": problem} if problem else found


def _size_problems(row: CopyRelationship) -> dict[str, str]:
    if row.sizing == Sizing.FIXED_LOT and row.fixed_lots is None:
        return {"fixed_lots": "Say how many lots each copy has."}
    if row.sizing == Sizing.RISK_PERCENT and row.risk_fraction is None:
        return {"risk_fraction": "Say which part of the equity a copy may lose at its stop."}
    return {}


def _symbol_problems(row: CopyRelationship) -> dict[str, str]:
    found = {}
    for name in ("include_symbols", "exclude_symbols"):
        problem = _names_problem(getattr(row, name))
        if problem:
            found[name] = problem
    if not found:
        both = sorted({*row.include_symbols} & {*row.exclude_symbols})
        if both:
            found["exclude_symbols"] = f"{both[0]} is in both lists."
    mapped = row.symbol_map
    if not isinstance(mapped, dict):
        found["symbol_map"] = "Give an object: the follower's symbol by the provider's."
    else:
        problem = _names_problem([*mapped.keys(), *mapped.values()])
        if problem:
            found["symbol_map"] = problem
    return found


def _names_problem(names: object) -> str:
    if not isinstance(names, list):
        return "Give a list of symbols."
    if len(names) > MOST_SYMBOLS:
        return f"At most {MOST_SYMBOLS} symbols are possible."
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            return "Write each symbol as the terminal shows it."
        if len(name) > LONGEST_SYMBOL:
            return f"A symbol has at most {LONGEST_SYMBOL} characters."
    return ""


def _magic_problem(magics: object) -> str:
    if not isinstance(magics, list):
        return "Give a list of magic numbers."
    if len(magics) > MOST_MAGICS:
        return f"At most {MOST_MAGICS} magic numbers are possible."
    for magic in magics:
        is_number = isinstance(magic, int) and not isinstance(magic, bool)
        if not is_number or not 0 <= magic <= _LARGEST_MAGIC:
            return "A magic number is a whole number, 0 or more."
    return ""


def _hour_problems(row: CopyRelationship) -> dict[str, str]:
    found = {}
    if (row.trading_from is None) != (row.trading_until is None):
        missing = "trading_from" if row.trading_from is None else "trading_until"
        found[missing] = "Give both ends of the hours, or none."
    elif row.trading_from is not None and row.trading_from == row.trading_until:
        found["trading_until"] = "The hours end when they begin; leave both empty for all day."
    try:
        broker_zone(row.trading_zone)
    except ValueError as error:
        found["trading_zone"] = str(error)
    return found
